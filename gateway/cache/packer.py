"""Pack the least recently used pages of the memory tier in the background, so that far more of them fit."""

from __future__ import annotations

import asyncio
import contextvars
from functools import partial

from gateway.cache.memory import MemoryStore
from gateway.cache.packing import PackedRows, pack, unpack
from gateway.cache.page_size import page_size_bytes
from gateway.cache.record import is_smaller
from gateway.cache.renderings import KeptRenderings
from gateway.page import Page
from gateway.query import PageQuery
from gateway.scheduling.rotation import Rotation
from gateway.scheduling.worker_thread import WorkerThread

# The owner of the turns in which pages are packed. Those in which they are unpacked belong to the caller's token.
_PACKING = b"packing"


class Packer:
    """Packs and unpacks the pages of ``store``, in turns of ``slices`` and in ``thread``."""

    def __init__(self, store: MemoryStore, slices: Rotation, thread: WorkerThread) -> None:
        self._store = store
        self._slices = slices
        self._thread = thread
        # One page is unpacked at a time: the rows of many half-unpacked pages would be memory that nobody counts.
        self._unpacking = Rotation()
        self._task: asyncio.Task[None] | None = None
        store.on_pressure = self._start

    async def pack(self, page: Page) -> PackedRows | None:
        """Return the packed rows of ``page``; None if they cannot be packed."""
        return await pack(page.rows, partial(self._slices.turn, _PACKING), self._thread.of(_PACKING))

    async def unpacked(self, key: str, page: Page, query: PageQuery, owner: bytes) -> Page | None:
        """Return the page cached as ``key`` with its rows unpacked, and cache it so; None if it cannot be unpacked."""
        if not isinstance(page.rows, PackedRows):
            return page
        async with self._unpacking.turn(owner):
            current: Page | None = self._store.peek(key)
            if (
                current is not None
                and current.fetched_at == page.fetched_at
                and not isinstance(current.rows, PackedRows)
            ):
                # Meanwhile another caller has unpacked it.
                return current
            turns, in_thread = partial(self._slices.turn, owner), self._thread.of(owner)
            rows = await unpack(page.rows, query.dataset.row, turns, in_thread)
        if rows is None:
            return None
        renderings = KeptRenderings(self._store, key)
        hot_page = page.having(rows=rows, renderings=renderings)
        is_cached = self._store.promote(key, page, hot_page, size_bytes=page_size_bytes(hot_page), owner=renderings)
        return hot_page if is_cached else hot_page.having(renderings=None)

    async def aclose(self) -> None:
        """Stop packing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    async def _run(self) -> None:
        # The response for which the memory is needed goes out first.
        await asyncio.sleep(0)
        while self._store.is_pressed and (oldest := self._store.oldest_hot()) is not None:
            key, record = oldest
            if record.packed is None:
                packed = await self.pack(record.value)
                if packed is None or not is_smaller(packed, record):
                    self._store.leave_unpacked(key, record)
                    continue
                record.packed = packed
            self._store.demote(key, record)
            await asyncio.sleep(0)
