"""Permits for work that needs different amounts of one resource, such as memory."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

# The share of one token (our choice): its work may wait for itself while that of other tokens runs.
OWNER_SHARE = 0.5

_Waiting = deque[tuple[int, asyncio.Future[None]]]


class WeightedPermits:
    """Lets work of a total weight of ``limit`` run at once, and for one token at most OWNER_SHARE of that.

    Work gets the permits for all of its weight at once, because work that held a part could wait for one another. Work
    heavier than a share runs when its token has no other, and work heavier than the limit runs alone. If work of
    several tokens waits, each token gets its turn.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: Counter[bytes] = Counter()
        self._waiting: OrderedDict[bytes, _Waiting] = OrderedDict()

    @property
    def held(self) -> int:
        """The weight of the work that runs now."""
        return self._held.total()

    @asynccontextmanager
    async def hold(
        self, owner: bytes, weight: int, timeout_seconds: float, timeout_error: Callable[[], Exception]
    ) -> AsyncIterator[None]:
        """Hold permits for ``weight`` during the context.

        Raises what ``timeout_error`` returns if they are not free within ``timeout_seconds``.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._acquire(owner, weight)
        except TimeoutError:
            raise timeout_error() from None
        try:
            yield
        finally:
            self._release(owner, weight)

    async def _acquire(self, owner: bytes, weight: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append((weight, turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._admit()
            else:
                self._release(owner, weight)
            raise

    def _release(self, owner: bytes, weight: int) -> None:
        self._held[owner] -= weight
        if not self._held[owner]:
            del self._held[owner]
        self._admit()

    def _admit(self) -> None:
        """Let work begin, one piece of each token after the other, until one does not fit."""
        blocked = 0
        while len(self._waiting) > blocked:
            owner, waiting = next(iter(self._waiting.items()))
            self._waiting.move_to_end(owner)
            while waiting and waiting[0][1].done():
                waiting.popleft()
            if not waiting:
                del self._waiting[owner]
                continue
            weight, turn = waiting[0]
            if not _fits(weight, self._held[owner], int(self.limit * OWNER_SHARE)):
                blocked += 1
                continue
            if not _fits(weight, self.held, self.limit):
                # It is the next one, as soon as there is room.
                self._waiting.move_to_end(owner, last=False)
                return
            waiting.popleft()
            self._held[owner] += weight
            turn.set_result(None)
            blocked = 0


def _fits(weight: int, held: int, limit: int) -> bool:
    return not held or held + weight <= limit
