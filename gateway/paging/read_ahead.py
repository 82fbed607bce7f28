"""Load the blocks that an export will need while its reader has the earlier ones."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.caller import Ahead
from gateway.errors import Forbidden, GatewayError, RateLimited, Unauthenticated
from gateway.page import Page

# The limit of blocks loaded ahead in the whole process, some 7 MB each (our choice). Beyond it, traversals load one
# block after the other.
MAX_BLOCKS_AHEAD = 8

# The share of these blocks for all traversals of one token (our choice).
OWNER_SHARE = 0.5

# If the limit is reached, traversals give up their loaded blocks once their readers have not asked for a block for this
# time (our choice; a client reads a block of 2 to 4 MB). They are probably still cached when they are needed.
STALLED_SECONDS = 5.0

# Loads the block that begins with a row.
Load = Callable[[int, Ahead], Coroutine[Any, Any, Page]]


class ReadAhead:
    """Bounds on the blocks loaded ahead: those of a traversal, of a token, and of the whole process."""

    def __init__(self, per_traversal: int, total: int = MAX_BLOCKS_AHEAD) -> None:
        self.per_traversal = per_traversal
        self.total = total
        self._traversals: set[BlocksAhead] = set()

    @property
    def held(self) -> int:
        """The blocks loaded ahead, and those being loaded."""
        return sum(len(traversal) for traversal in self._traversals)

    def traversal(self, load: Load, owner: bytes) -> BlocksAhead:
        """Return the empty queue of one traversal for the token ``owner``; close it at the end."""
        traversal = BlocksAhead(self, load, owner)
        self._traversals.add(traversal)
        return traversal

    def has_room(self, owner: bytes) -> bool:
        """Return whether a token may load another block ahead. Stalled traversals may give up blocks for it."""
        if sum(len(each) for each in self._traversals if each.owner == owner) >= self.total * OWNER_SHARE:
            return False
        if self.held >= self.total:
            for traversal in self._traversals:
                traversal.give_up_if_stalled()
        return self.held < self.total

    def forget(self, traversal: BlocksAhead) -> None:
        """Forget a traversal that has ended."""
        self._traversals.discard(traversal)


class BlocksAhead:
    """The blocks that one traversal loads ahead, in row order. Their errors reach no one.

    After an error, nothing is loaded ahead until the reader has got beyond the block; after a 401, 403 or 429, nothing
    at all.
    """

    def __init__(self, bounds: ReadAhead, load: Load, owner: bytes) -> None:
        self.owner = owner
        self._bounds = bounds
        self._load = load
        self._queue: deque[tuple[int, Ahead, asyncio.Task[Page]]] = deque()
        self._next_row = 0
        # Nothing is loaded ahead while the reader is before this row.
        self._resume_row = 0.0
        # On the loop's clock; infinite while the reader waits for a block.
        self._reading_since = float("inf")

    def __len__(self) -> int:
        return len(self._queue)

    def extend(self, rows: range) -> None:
        """Start loading the blocks that begin with ``rows``, in ascending order, as far as the bounds allow.

        From now on, the reader has the block before ``rows``.
        """
        self._reading_since = asyncio.get_running_loop().time()
        if rows.start < self._resume_row:
            return
        for row in rows:
            if row >= self._next_row:
                if len(self) >= self._bounds.per_traversal or not self._bounds.has_room(self.owner):
                    return
                self._next_row = row + 1
                ahead = Ahead()
                task = asyncio.ensure_future(self._loaded(row, ahead))
                task.add_done_callback(_retrieve)
                self._queue.append((row, ahead, task))

    async def take(self, row: int) -> Page | None:
        """Return the block that begins with ``row``; None if it must be loaded because reading ahead has not."""
        self._reading_since = float("inf")
        if not self._queue or self._queue[0][0] != row:
            return None
        _, ahead, task = self._queue[0]
        ahead.need()
        try:
            await asyncio.wait({task})
            return None if task.cancelled() or isinstance(task.exception(), GatewayError) else task.result()
        finally:
            if task.done():
                self._queue.popleft()

    def give_up_if_stalled(self) -> None:
        """Give up the loaded blocks if the reader has not asked for one for STALLED_SECONDS."""
        if asyncio.get_running_loop().time() >= self._reading_since + STALLED_SECONDS:
            self._queue = deque(entry for entry in self._queue if not entry[2].done())

    async def finish(self) -> None:
        """Load nothing more, and wait for what is being loaded."""
        self._is_over = True
        await asyncio.gather(*(task for *_, task in self._queue), return_exceptions=True)

    async def aclose(self) -> None:
        """Cancel what is being loaded."""
        self._cancel()
        await asyncio.gather(*(task for *_, task in self._queue), return_exceptions=True)
        self._queue.clear()
        self._bounds.forget(self)

    async def _loaded(self, row: int, ahead: Ahead) -> Page:
        try:
            return await self._load(row, ahead)
        except (Unauthenticated, Forbidden):
            self._cancel()
            raise
        except GatewayError as error:
            self._resume_row = max(self._resume_row, float("inf") if isinstance(error, RateLimited) else row + 1)
            raise

    def _cancel(self) -> None:
        self._resume_row = float("inf")
        current = asyncio.current_task()
        for *_, task in self._queue:
            if task is not current:
                task.cancel()


def _retrieve(task: asyncio.Task[Page]) -> None:
    """Retrieve the exception of a block that may be given up, or asyncio logs that it was never retrieved."""
    if not task.cancelled():
        task.exception()
