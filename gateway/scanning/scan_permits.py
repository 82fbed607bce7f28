"""Permits for scans: how many at once may hold the rows of their queries, and which scan is next."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from math import exp2
from types import TracebackType
from typing import Self

from gateway.scheduling.permits import Patience, never

# Our choice. Measured: a scan of 300,000 rows takes at most 35 MB with the sandbox's rows, so four take 140 MB. If each
# row has another customer, they take 133 MB each. One token leaves room for another one.
SCANS_PER_TOKEN = 2
SCANS = 4

# A scan counts half once this much time has passed since its end (our choice: a few long scans).
HALF_LIFE_SECONDS = 60.0

# The tokens whose scans are remembered: more than can wait. One takes about 200 bytes.
MAX_TOKENS = 1_000


@dataclass(frozen=True, slots=True)
class _Waiting:
    locator: bytes
    is_patient: Patience


class ScanPermits:
    """At most ``total`` scans at once hold a permit, and ``per_token`` of one token.

    The next one is a scan whose token has the fewest permits, then one whose token used the least time lately, then the
    one that has waited longest. So a token that scans much does not delay one that scans little. The last free permit
    is only for a token without any: a few tokens that the upstream answers slowly do not hold all. Patient scans come
    after all others.
    """

    def __init__(self, per_token: int = SCANS_PER_TOKEN, total: int = SCANS) -> None:
        self._per_token = per_token
        self._total = total
        self._running: Counter[bytes] = Counter()
        self._waiting: dict[asyncio.Future[None], _Waiting] = {}
        # The seconds that the scans of a token took, as of the time beside them, on the loop's clock.
        self._used: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    @property
    def held(self) -> int:
        return self._running.total()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def hold(self, locator: bytes, is_patient: Patience = never) -> AsyncIterator[None]:
        """Hold a permit during the context, waiting for it for as long as it takes."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = _Waiting(locator, is_patient)
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
            turn = min(self._candidates(), key=self._rank, default=None)
            if turn is None:
                return
            self._running[self._waiting.pop(turn).locator] += 1
            turn.set_result(None)

    def _candidates(self) -> list[asyncio.Future[None]]:
        """Return the waiting scans that may have a permit, in the order of their arrival."""
        most = self._per_token if self.held < self._total - 1 else 1
        # A canceled scan leaves the queue when it runs again.
        return [
            turn for turn, waiting in self._waiting.items() if not turn.done() and self._running[waiting.locator] < most
        ]

    def _rank(self, turn: asyncio.Future[None]) -> tuple[bool, int, float]:
        waiting = self._waiting[turn]
        return waiting.is_patient(), self._running[waiting.locator], self._seconds(waiting.locator)

    def _release(self, locator: bytes) -> None:
        self._running[locator] -= 1
        if not self._running[locator]:
            del self._running[locator]
        self._give()

    def _seconds(self, locator: bytes) -> float:
        """Return the time that the scans of a token took lately."""
        seconds, noted_at = self._used.get(locator, (0.0, 0.0))
        return seconds * exp2((noted_at - self._now()) / HALF_LIFE_SECONDS)

    def _note(self, locator: bytes, seconds: float) -> None:
        self._used[locator] = (self._seconds(locator) + seconds, self._now())
        self._used.move_to_end(locator)
        if len(self._used) > MAX_TOKENS:
            self._used.popitem(last=False)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class ScanPermit:
    """The permit of one scan, which it takes when its query turns out to have many rows, and keeps to its end.

    A scan that holds a permit never waits for another one.
    """

    def __init__(self, permits: ScanPermits, locator: bytes, is_patient: Patience = never) -> None:
        self._permits = permits
        self._locator = locator
        self._is_patient = is_patient
        self._stack = AsyncExitStack()
        self.is_waiting = False
        self.is_held = False

    async def take(self) -> None:
        """Wait for the permit, for as long as it takes, unless it is held already."""
        if self.is_held:
            return
        self.is_waiting = True
        try:
            # The callers of the scan have deadlines; the scan itself has none.
            await self._stack.enter_async_context(self._permits.hold(self._locator, self._is_patient))
        finally:
            self.is_waiting = False
        self.is_held = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        self.is_held = False
