"""The memory tier: an aiocache store bounded in bytes, least recently used out first.

aiocache's own memory cache has no bound, one timer for each key and untyped methods; :class:`MemoryStore` is the only
place that touches it and the only one that needs no types from it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from aiocache.base import BaseCache
from aiocache.serializers import NullSerializer

# One entry's key, record, index and links (measured with tracemalloc over 100,000 empty entries, rounded up).
ENTRY_OVERHEAD_BYTES = 1_024

# Measured: letting go of 10,000 rows, 7 MB, takes a tenth of the time of a page that the upstream is asked for. From so
# many bytes on it waits until the answer that drove them out is likely to be gone.
LARGE_BYTES, LINGER_SECONDS = 1_048_576, 0.005


@dataclass(frozen=True, slots=True)
class Sized:
    """A value with its size in bytes. ``owner`` is who may charge more to it while it is kept."""

    value: Any
    size_bytes: int
    owner: object = None


@dataclass(slots=True)
class _Record:
    content: Sized
    expires_at: float
    cost_bytes: int


class BoundedMemoryCache(BaseCache):  # type: ignore[misc]  # aiocache ships no types
    """An aiocache back end for :class:`Sized` values whose sum of sizes never exceeds ``max_bytes``.

    Expiry is looked at when a key is asked for: no timers. ``on_evict`` is told each key that leaves unasked.
    """

    NAME = "bounded-memory"

    def __init__(
        self, *, max_bytes: int, clock: Callable[[], float] = time.time, on_evict: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(serializer=NullSerializer(), timeout=None)
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self.evictions = 0
        self._clock = clock
        self._on_evict = on_evict
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    async def _get(self, key: str, encoding: str | None = None, _conn: Any = None) -> Sized | None:
        record = self._records.get(key)
        if record is None:
            return None
        if record.expires_at <= self._clock():
            self._evict(key)
            return None
        self._records.move_to_end(key)
        return record.content

    async def _set(
        self, key: str, value: Sized, ttl: float | None = None, _cas_token: Any = None, _conn: Any = None
    ) -> bool:
        expires_at = self._clock() + ttl if ttl else float("inf")
        record = _Record(value, expires_at, value.size_bytes + ENTRY_OVERHEAD_BYTES)
        self._remove(key)
        if record.cost_bytes > self.max_bytes:
            return False
        self._records[key] = record
        self.used_bytes += record.cost_bytes
        self._make_room()
        return True

    def peek(self, key: str) -> Any | None:
        """What ``get`` gives, at once: aiocache's own way costs more than a whole small answer."""
        record = self._records.get(key)
        if record is None or record.expires_at <= self._clock():
            return None
        self._records.move_to_end(key)
        return record.content.value

    def charge(self, key: str, owner: object, extra_bytes: int) -> bool:
        """Add ``extra_bytes``, which may be negative, to what ``key`` costs; False when ``owner``'s value has left."""
        record = self._records.get(key)
        if record is None or record.content.owner is not owner:
            return False
        record.cost_bytes += extra_bytes
        self.used_bytes += extra_bytes
        self._make_room()
        return key in self._records

    def _make_room(self) -> None:
        while self.used_bytes > self.max_bytes:
            self.evictions += 1
            self._evict(next(iter(self._records)))

    async def _delete(self, key: str, _conn: Any = None) -> int:
        return int(self._remove(key))

    async def _exists(self, key: str, _conn: Any = None) -> bool:
        return key in self._records

    def _evict(self, key: str) -> None:
        if self._remove(key) and self._on_evict is not None:
            self._on_evict(key)

    def _remove(self, key: str) -> bool:
        record = self._records.pop(key, None)
        if record is None:
            return False
        self.used_bytes -= record.cost_bytes
        if record.cost_bytes >= LARGE_BYTES:
            _linger(record)
        return True


def _linger(record: _Record) -> None:
    """Keep ``record`` in memory a moment longer, where there is a loop to end it."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    loop.call_later(LINGER_SECONDS, _let_go, record)


def _let_go(record: _Record) -> None:
    """Nothing more: the timer was what held ``record``."""


class MemoryStore:
    """The typed face of :class:`BoundedMemoryCache`."""

    def __init__(
        self, *, max_bytes: int, clock: Callable[[], float] = time.time, on_evict: Callable[[str], None] | None = None
    ) -> None:
        self._cache = BoundedMemoryCache(max_bytes=max_bytes, clock=clock, on_evict=on_evict)

    async def get(self, key: str) -> Any | None:
        """The value kept under ``key``, or None."""
        found = cast(Sized | None, await self._cache.get(key))
        return None if found is None else found.value

    def peek(self, key: str) -> Any | None:
        """What ``get`` gives, without waiting."""
        return self._cache.peek(key)

    async def set(self, key: str, value: Any, *, size_bytes: int, ttl_seconds: float, owner: object = None) -> bool:
        """Keep ``value``; False when it alone is larger than the bound. ``owner`` may charge more to it later."""
        return cast(bool, await self._cache.set(key, Sized(value, size_bytes, owner), ttl=ttl_seconds))

    def charge(self, key: str, owner: object, extra_bytes: int) -> bool:
        """Add to what ``key`` costs; False when the value that ``owner`` came with is kept no longer."""
        return self._cache.charge(key, owner, extra_bytes)

    @property
    def max_bytes(self) -> int:
        """The bound."""
        return self._cache.max_bytes

    async def delete(self, key: str) -> None:
        """Forget ``key``."""
        await self._cache.delete(key)

    @property
    def used_bytes(self) -> int:
        """Bytes of everything kept, overhead included."""
        return self._cache.used_bytes

    @property
    def entries(self) -> int:
        """Number of values kept."""
        return len(self._cache)

    @property
    def evictions(self) -> int:
        """How many values left for want of room since the start."""
        return self._cache.evictions
