"""Pack the least recently used entries of the memory tier in the background, so that far more of them fit."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, Self, TypeVar

from gateway.cache.memory import MemoryStore
from gateway.cache.packing import Packed, PackedRows, pack
from gateway.cache.record import is_smaller
from gateway.cache.renderings import KeptRenderings
from gateway.page import Page
from gateway.scheduling.rotation import Rotation, Turns
from gateway.scheduling.scheduler import Scheduler
from gateway.scheduling.worker_thread import InThread

# The owner of the turns in which entries are packed. Those in which they are unpacked belong to the caller's token.
_PACKING = b"packing"

# Unpacks a content in turns of the event loop or in the worker thread; None if it cannot be unpacked.
Unpack = Callable[[Any, Turns, InThread], Awaitable[Any | None]]


class Packable(Protocol):
    """A cached value with a content that can be packed: a page or a view."""

    @property
    def content(self) -> Any: ...

    @property
    def fetched_at(self) -> float: ...

    def with_content(self, content: Any, renderings: Any = None) -> Self: ...


Value = TypeVar("Value", bound=Packable)


class Packer:
    """Packs and unpacks the entries of ``store``, in turns of ``scheduler``."""

    def __init__(self, store: MemoryStore, scheduler: Scheduler) -> None:
        self._store = store
        self._scheduler = scheduler
        # One entry is unpacked at a time: many half-unpacked ones would be memory that nobody counts.
        self._unpacking = Rotation()
        self._task: asyncio.Task[None] | None = None
        store.on_pressure = self._start

    async def pack(self, page: Page) -> PackedRows | None:
        """Return the packed rows of ``page``; None if they cannot be packed."""
        return await pack(page.rows, *self._scheduler.turns_of(_PACKING))

    async def unpacked(
        self, key: str, value: Value, owner: bytes, unpack: Unpack, size_bytes: Callable[[Value], int]
    ) -> Value | None:
        """Return the value cached as ``key`` with its content unpacked, and cache it so.

        Return None if it cannot be unpacked. ``size_bytes`` returns what the unpacked value takes.
        """
        if not isinstance(value.content, Packed):
            return value
        rows = len(value.content) if isinstance(value.content, PackedRows) else 0
        async with self._scheduler.backlog.decoding(owner, rows), self._unpacking.turn(owner):
            current: Value | None = self._store.peek(key)
            if (
                current is not None
                and current.fetched_at == value.fetched_at
                and not isinstance(current.content, Packed)
            ):
                # Meanwhile another caller has unpacked it.
                return current
            content = await unpack(value.content, *self._scheduler.turns_of(owner))
        if content is None:
            return None
        unpacked = value.with_content(content)
        size = size_bytes(unpacked)
        renderings = KeptRenderings(self._store, key, size)
        cached = value.with_content(content, renderings)
        is_cached = self._store.promote(key, value, cached, size_bytes=size, owner=renderings)
        return cached if is_cached else unpacked

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
                packed = await self._packed(record.value)
                if packed is None or not is_smaller(packed, record):
                    self._store.leave_unpacked(key, record)
                    continue
                record.packed = packed
            self._store.demote(key, record)
            await asyncio.sleep(0)

    async def _packed(self, value: Any) -> Packed | None:
        if isinstance(value, Page):
            return await self.pack(value)
        # A view, which this part does not know.
        packed: Packed | None = await value.packed(self._scheduler.thread.of(_PACKING))
        return packed
