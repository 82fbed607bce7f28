"""Permits for long work: how much of it may hold memory at once, and whose is next."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from math import exp2

from gateway.scheduling.permits import Patience, never

# Work counts half once this much time has passed since its end (our choice: a few long scans).
HALF_LIFE_SECONDS = 60.0

# The tokens whose work is remembered: more than can wait. One takes about 200 bytes.
MAX_TOKENS = 1_000


@dataclass(frozen=True, slots=True)
class _Waiting:
    locator: bytes
    is_patient: Patience
    is_further: bool


class FairPermits:
    """At most ``total`` callers at once hold a permit, and ``per_token`` of one token.

    The next one is for a token that has the fewest permits, then for one that used the least time lately, then for the
    one that has waited longest. So a token with much work does not delay one with little. The last free permit is only
    for a token without any: a few tokens whose work takes long do not hold all. Patient work comes after all other.
    Further work, on what earlier work of the token left in memory, comes before the token's other work.
    """

    def __init__(self, per_token: int, total: int, half_life_seconds: float = HALF_LIFE_SECONDS) -> None:
        self._per_token = per_token
        self._total = total
        self._half_life_seconds = half_life_seconds
        self._running: Counter[bytes] = Counter()
        self._waiting: dict[asyncio.Future[None], _Waiting] = {}
        # The seconds that the work of a token took, as of the time beside them, on the loop's clock.
        self._used: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    @property
    def held(self) -> int:
        return self._running.total()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def hold(
        self, locator: bytes, is_patient: Patience = never, *, is_further: bool = False
    ) -> AsyncIterator[None]:
        """Hold a permit during the context, waiting for it for as long as it takes."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = _Waiting(locator, is_patient, is_further)
        self._give()
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.pop(turn, None)
            if not turn.cancelled():
                self._release(locator)
            raise
        started = self._now()
        try:
            yield
        finally:
            self._note(locator, self._now() - started)
            self._release(locator)

    def _give(self) -> None:
        """Give the free permits to those who wait."""
        while self.held < self._total:
            # One moment for all: the past counts less from moment to moment.
            turn = min(self._candidates(), key=partial(self._rank, self._now()), default=None)
            if turn is None:
                return
            self._running[self._waiting.pop(turn).locator] += 1
            turn.set_result(None)

    def _candidates(self) -> list[asyncio.Future[None]]:
        """Return the waiting turns that may have a permit, in the order of their arrival."""
        most = self._per_token if self.held < self._total - 1 else 1
        # A canceled one leaves the queue when it runs again.
        return [
            turn for turn, waiting in self._waiting.items() if not turn.done() and self._running[waiting.locator] < most
        ]

    def _rank(self, now: float, turn: asyncio.Future[None]) -> tuple[bool, int, float, bool]:
        waiting = self._waiting[turn]
        used_seconds = self._seconds(waiting.locator, now)
        return waiting.is_patient(), self._running[waiting.locator], used_seconds, not waiting.is_further

    def _release(self, locator: bytes) -> None:
        self._running[locator] -= 1
        if not self._running[locator]:
            del self._running[locator]
        self._give()

    def _seconds(self, locator: bytes, now: float) -> float:
        """Return the time that the work of a token took lately."""
        seconds, noted_at = self._used.get(locator, (0.0, 0.0))
        return seconds * exp2((noted_at - now) / self._half_life_seconds)

    def _note(self, locator: bytes, seconds: float) -> None:
        now = self._now()
        self._used[locator] = (self._seconds(locator, now) + seconds, now)
        self._used.move_to_end(locator)
        if len(self._used) > MAX_TOKENS:
            self._used.popitem(last=False)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
