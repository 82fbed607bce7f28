"""The rows that wait to be rendered. While there are too many, further rows are not decoded.

Only operations that have all of their rows count, because their rendering waits for nothing but the processor. So
nobody can make others wait by keeping rows, and operations that need several blocks cannot wait for one another.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from gateway.scheduling.rotation import Rotation

# About 100 MB (our choice): fifteen largest pages, which are rendered in about a second.
MAX_ROWS = 150_000

# Fewer rows never wait: they take little memory (our choice).
FEW_ROWS = 2_000


class Backlog:
    """Counts the rows that are being decoded or rendered, and those that wait to be rendered."""

    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        self._max_rows = max_rows
        self.rows = 0
        self._turns = Rotation()
        # The operations that render a block, by its identity: they refer to it.
        self._rendered: Counter[int] = Counter()
        self._has_less = asyncio.Event()

    @asynccontextmanager
    async def decoding(self, owner: bytes, rows: int) -> AsyncIterator[None]:
        """Wait until there is room for ``rows``, in rotation between owners, and count them during the context."""
        if rows <= FEW_ROWS:
            yield
            return
        async with self._turns.turn(owner):
            while self.rows and self.rows + rows > self._max_rows:
                self._has_less.clear()
                await self._has_less.wait()
        self.rows += rows
        try:
            yield
        finally:
            self._remove(rows)

    @contextmanager
    def rendering(self, blocks: Sequence[Sequence[Any]]) -> Iterator[None]:
        """Count the rows of ``blocks`` during the context; a block that several operations render counts once."""
        for block in blocks:
            self._rendered[id(block)] += 1
            if self._rendered[id(block)] == 1:
                self.rows += len(block)
        try:
            yield
        finally:
            for block in blocks:
                self._rendered[id(block)] -= 1
                if not self._rendered[id(block)]:
                    del self._rendered[id(block)]
                    self._remove(len(block))

    def _remove(self, rows: int) -> None:
        self.rows -= rows
        self._has_less.set()
