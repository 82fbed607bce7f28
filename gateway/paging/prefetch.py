"""Load the next block for clients that page through a query, shortly before they ask for it."""

from __future__ import annotations

import asyncio
import contextvars
from collections import OrderedDict
from dataclasses import dataclass, replace

from gateway.caller import Ahead, Budget, Caller
from gateway.errors import GatewayError
from gateway.page import PageSource
from gateway.paging.block_sizes import BlockSizes
from gateway.query import PageQuery

# The limit of remembered clients, some 500 bytes each, and of blocks that are loaded at once, some 7 MB each (our
# choice). Beyond it, the client that was seen least recently is forgotten, and no block is loaded.
MAX_READERS, MAX_LOADING = 1_024, 4

# The blocks that are loaded at once for one token, so that others get theirs (our choice).
MAX_LOADING_PER_TOKEN = 2

# The share of a block that a client has read when the next block is loaded.
READ_SHARE = 0.8

_Key = tuple[bytes, bytes, str | None]


@dataclass(slots=True)
class _Reader:
    """A client that pages through a query: its last block, and how many blocks it has read in order."""

    block: int
    blocks_in_order: int = 1
    is_next_requested: bool = False


class Prefetch:
    """Loads blocks that have not been requested yet. Their errors reach no one."""

    def __init__(self, source: PageSource, sizes: BlockSizes) -> None:
        self._source = source
        self._sizes = sizes
        self._readers: OrderedDict[_Key, _Reader] = OrderedDict()
        # The locator of the token that each block is loaded for.
        self._tasks: dict[asyncio.Task[None], bytes] = {}

    def note(self, query: PageQuery, caller: Caller, stop: int, total: int | None) -> None:
        """Note that a client has read the rows up to ``stop``; perhaps start loading the block that follows.

        Two blocks must have been read in order, so that a single look at a query costs no further call. ``total`` is
        the known number of rows: nothing beyond it is loaded.
        """
        if stop <= 0 or total is None:
            return
        block = (stop - 1) // self._sizes.rows
        reader = self._reader((caller.token.locator, query.digest, caller.locale), block)
        start = (block + 1) * self._sizes.rows
        is_near = stop >= start - self._sizes.rows * (1 - READ_SHARE)
        if reader.blocks_in_order < 2 or not is_near or reader.is_next_requested or start >= total:
            return
        if len(self._tasks) < MAX_LOADING and self._loading(caller) < MAX_LOADING_PER_TOKEN:
            reader.is_next_requested = True
            self._start(query.rows(start, self._sizes.rows), caller)

    async def aclose(self) -> None:
        """Cancel what is being loaded."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _loading(self, caller: Caller) -> int:
        """Return the number of blocks that are being loaded for the token of ``caller``."""
        return list(self._tasks.values()).count(caller.token.locator)

    def _reader(self, key: _Key, block: int) -> _Reader:
        """Return the client with ``key``, which now reads ``block``."""
        reader = self._readers.get(key)
        if reader is None or block not in (reader.block, reader.block + 1):
            reader = self._readers[key] = _Reader(block)
        elif block == reader.block + 1:
            reader = self._readers[key] = _Reader(block, reader.blocks_in_order + 1)
        self._readers.move_to_end(key)
        if len(self._readers) > MAX_READERS:
            self._readers.popitem(last=False)
        return reader

    def _start(self, query: PageQuery, caller: Caller) -> None:
        heir = replace(caller, budget=Budget(caller.budget.max_calls), deadline=float("inf"), ahead=Ahead())
        task = asyncio.create_task(self._load(query, heir), context=contextvars.Context())
        self._tasks[task] = caller.token.locator
        task.add_done_callback(self._tasks.pop)

    async def _load(self, query: PageQuery, caller: Caller) -> None:
        try:
            await self._source.fetch(query, caller)
        except GatewayError:
            # The client's own request will meet the error, if it still exists.
            return
