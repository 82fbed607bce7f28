"""Load the blocks that an export will need while its reader has the earlier ones."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from gateway.errors import Forbidden, GatewayError, Unauthenticated
from gateway.page import Ahead, Page

# The limit of blocks loaded ahead in the whole process, some 7 MB each (our choice). Beyond it, traversals load one
# block after the other.
MAX_BLOCKS_AHEAD = 8


# Loads the block that begins with a row.
Load = Callable[[int, Ahead], Coroutine[Any, Any, Page]]


class ReadAhead:
    """The number of blocks that may be loaded ahead: in each traversal, and in the whole process."""

    def __init__(self, per_traversal: int, total: int = MAX_BLOCKS_AHEAD) -> None:
        self.per_traversal = per_traversal
        self.total = total
        self.held = 0

    def traversal(self, load: Load) -> BlocksAhead:
        """Return the empty queue of one traversal."""
        return BlocksAhead(self, load)


class BlocksAhead:
    """The blocks that one traversal loads ahead, in row order. Their errors reach no one, but end the reading ahead."""

    def __init__(self, bounds: ReadAhead, load: Load) -> None:
        self._bounds = bounds
        self._load = load
        self._queue: deque[tuple[int, Ahead, asyncio.Task[Page]]] = deque()
        self._next_row = 0
        self._is_over = False

    def extend(self, rows: Iterable[int]) -> None:
        """Start loading the blocks that begin with ``rows``, in ascending order, as far as the bounds allow."""
        for row in rows:
            if (
                self._is_over
                or len(self._queue) >= self._bounds.per_traversal
                or self._bounds.held >= self._bounds.total
            ):
                return
            if row >= self._next_row:
                self._bounds.held += 1
                self._next_row = row + 1
                ahead = Ahead()
                self._queue.append((row, ahead, asyncio.ensure_future(self._loaded(row, ahead))))

    async def take(self, row: int) -> Page | None:
        """Return the block that begins with ``row``; None if it must be loaded because reading ahead has not."""
        if not self._queue or self._queue[0][0] != row:
            return None
        _, ahead, task = self._queue[0]
        ahead.is_needed = True
        try:
            await asyncio.wait({task})
            return None if task.cancelled() or isinstance(task.exception(), GatewayError) else task.result()
        finally:
            if task.done():
                self._release()

    async def finish(self) -> None:
        """Load nothing more, and wait for what is being loaded."""
        self._is_over = True
        await asyncio.gather(*(task for *_, task in self._queue), return_exceptions=True)

    async def aclose(self) -> None:
        """Cancel what is being loaded."""
        self._cancel()
        await asyncio.gather(*(task for *_, task in self._queue), return_exceptions=True)
        while self._queue:
            self._release()

    async def _loaded(self, row: int, ahead: Ahead) -> Page:
        try:
            return await self._load(row, ahead)
        except (Unauthenticated, Forbidden):
            self._cancel()
            raise
        except GatewayError:
            self._is_over = True
            raise

    def _cancel(self) -> None:
        self._is_over = True
        current = asyncio.current_task()
        for *_, task in self._queue:
            if task is not current:
                task.cancel()

    def _release(self) -> None:
        self._queue.popleft()
        self._bounds.held -= 1
