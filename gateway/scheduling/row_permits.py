"""Permits for the rows that operations hold in memory while they are answered."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

# The share of one token (our choice): its operations may wait for one another while those of other tokens run.
OWNER_SHARE = 0.5

_Waiting = deque[tuple[int, asyncio.Future[None]]]


class RowPermits:
    """Lets operations hold at most ``max_rows`` rows together, and those of one token at most OWNER_SHARE of them.

    Each operation gets the permits for all of its rows at once, because operations that held some of them could wait
    for one another. An operation that needs more than its share runs when the token has no other, and one that needs
    more than all runs alone. If operations of several tokens wait, each token gets its turn.
    """

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._held: Counter[bytes] = Counter()
        self._waiting: OrderedDict[bytes, _Waiting] = OrderedDict()

    @property
    def held_rows(self) -> int:
        """The rows that operations hold now."""
        return self._held.total()

    @asynccontextmanager
    async def hold(
        self, owner: bytes, rows: int, timeout_seconds: float, timeout_error: Callable[[], Exception]
    ) -> AsyncIterator[None]:
        """Hold permits for ``rows`` during the context.

        Raises what ``timeout_error`` returns if they are not free within ``timeout_seconds``.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._acquire(owner, rows)
        except TimeoutError:
            raise timeout_error() from None
        try:
            yield
        finally:
            self._release(owner, rows)

    async def _acquire(self, owner: bytes, rows: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append((rows, turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._admit()
            else:
                self._release(owner, rows)
            raise

    def _release(self, owner: bytes, rows: int) -> None:
        self._held[owner] -= rows
        if not self._held[owner]:
            del self._held[owner]
        self._admit()

    def _admit(self) -> None:
        """Let operations begin, one of each token after the other, until one does not fit."""
        blocked = 0
        while len(self._waiting) > blocked:
            owner, waiting = next(iter(self._waiting.items()))
            self._waiting.move_to_end(owner)
            while waiting and waiting[0][1].done():
                waiting.popleft()
            if not waiting:
                del self._waiting[owner]
                continue
            rows, turn = waiting[0]
            if not _fits(rows, self._held[owner], int(self._max_rows * OWNER_SHARE)):
                blocked += 1
                continue
            if not _fits(rows, self.held_rows, self._max_rows):
                # It is the next one, as soon as there is room.
                self._waiting.move_to_end(owner, last=False)
                return
            waiting.popleft()
            self._held[owner] += rows
            turn.set_result(None)
            blocked = 0


def _fits(rows: int, held_rows: int, limit: int) -> bool:
    return not held_rows or held_rows + rows <= limit
