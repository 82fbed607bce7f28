"""The rows that operations hold in memory until they are answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

from gateway.errors import ServiceUnavailable

# About 50 MB (our choice): the rows of seven largest pages.
MAX_HELD_ROWS = 75_000

# An operation waits at most this long for room, and a client may retry after it. Most operations with many rows end
# sooner (our choice).
WAIT_SECONDS = 5


class HeldRows:
    """Counts the rows of all operations of each token. A block that several operations of a token hold counts once.

    Rows count from their arrival. If a token's operations hold ``limit`` rows, its others wait or are refused.
    """

    def __init__(self, limit: int = MAX_HELD_ROWS) -> None:
        self.limit = limit
        # A token's count exists as long as one of its operations.
        self._tokens: WeakValueDictionary[bytes, TokenRows] = WeakValueDictionary()

    def operation(self, owner: bytes) -> OperationRows:
        """Return the count of a new operation of the token ``owner``."""
        token = self._tokens.get(owner)
        if token is None:
            token = self._tokens[owner] = TokenRows(self.limit)
        return OperationRows(token)


class TokenRows:
    """The rows that all operations of one token hold."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0
        # The operations that hold a block, by its identity.
        self._holders: Counter[int] = Counter()
        # Turns of operations that hold nothing yet, and of those that hold rows: these must not wait for the others.
        self.first_turn, self.next_turn = asyncio.Lock(), asyncio.Lock()
        self.has_less = asyncio.Event()
        # The operation that may hold more than the limit, so that operations with rows cannot wait for one another.
        self.exempt: OperationRows | None = None

    def hold(self, block: Sequence[Any]) -> None:
        """Count one more operation that holds ``block``."""
        self._holders[id(block)] += 1
        if self._holders[id(block)] == 1:
            self.count += len(block)

    def drop(self, block: Sequence[Any]) -> None:
        """Count one operation less that holds ``block``."""
        self._holders[id(block)] -= 1
        if not self._holders[id(block)]:
            del self._holders[id(block)]
            self.count -= len(block)
            self.has_less.set()

    def holds(self, block: Sequence[Any]) -> bool:
        """Return True if an operation of the token holds ``block``."""
        return id(block) in self._holders


class OperationRows:
    """The rows that one operation holds. It is never refused for its own rows alone."""

    __slots__ = ("_blocks", "_token")

    def __init__(self, token: TokenRows) -> None:
        self._token = token
        # By identity. They are referred to, so that no other block can have the same identity.
        self._blocks: dict[int, Sequence[Any]] = {}

    @property
    def count(self) -> int:
        """The number of rows."""
        return sum(map(len, self._blocks.values()))

    @property
    def blocks(self) -> list[Sequence[Any]]:
        """The blocks, each once."""
        return list(self._blocks.values())

    def before_load(self) -> None:
        """Raise ServiceUnavailable if the operation must not wait for further rows with those that it holds.

        An operation without rows may always wait.
        """
        if self._blocks and self._token.exempt is None and not self.has_room(0):
            raise no_room()

    def has_room(self, rows: int) -> bool:
        """Return True if the operation may hold ``rows`` further rows."""
        token = self._token
        return token.exempt is self or token.count <= self.count or token.count + rows <= token.limit

    def _may_hold(self, block: Sequence[Any]) -> bool:
        """Return True if the operation may hold ``block``, which others perhaps hold too."""
        return self._token.holds(block) or self.has_room(len(block))

    def add(self, block: Sequence[Any]) -> bool:
        """Count rows that have arrived and return True, or return False without room for them.

        Not an exception: its traceback would keep the rows in memory.
        """
        if id(block) not in self._blocks:
            if not self._may_hold(block):
                return False
            self._blocks[id(block)] = block
            self._token.hold(block)
        return True

    @asynccontextmanager
    async def turn(self, rows: int) -> AsyncIterator[None]:
        """Wait until the token's operations leave room for ``rows`` rows, one operation after the other.

        An operation that holds rows already gets room beyond the limit, until it is answered. Raises ServiceUnavailable
        after WAIT_SECONDS.
        """
        turn = self._token.next_turn if self._blocks else self._token.first_turn
        end = asyncio.get_running_loop().time() + WAIT_SECONDS
        try:
            async with asyncio.timeout_at(end):
                await turn.acquire()
        except TimeoutError:
            raise no_room() from None
        try:
            await self._wait_for_room(rows, end)
            yield
        finally:
            turn.release()

    async def _wait_for_room(self, rows: int, end: float) -> None:
        try:
            async with asyncio.timeout_at(end):
                while not self.has_room(rows):
                    if self._blocks and self._token.exempt is None:
                        self._token.exempt = self
                        return
                    self._token.has_less.clear()
                    await self._token.has_less.wait()
        except TimeoutError:
            raise no_room() from None

    def release(self) -> None:
        """Note that the operation holds no rows any more."""
        if self._token.exempt is self:
            self._token.exempt = None
        for block in self._blocks.values():
            self._token.drop(block)
        self._blocks.clear()


def no_room() -> ServiceUnavailable:
    """Return the error of an operation whose rows found no room."""
    return ServiceUnavailable(
        "This token's operations hold many rows at once. Retry soon, or request fewer rows or fields at once.",
        retry_after_seconds=WAIT_SECONDS,
    )
