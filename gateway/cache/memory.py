"""The memory tier: an aiocache store with a size limit in bytes that evicts the least recently used entries.

aiocache's own memory cache has no size limit and one timer per key. The renderings of a page count toward its entry.
An entry is a page or a view. It is hot, with a content that can be used at once, or packed, with a compressed one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from aiocache.base import BaseCache
from aiocache.serializers import NullSerializer

from gateway.cache.packing import Packed
from gateway.cache.record import PACKED_OVERHEAD_BYTES, Record, content_of, free_later, is_smaller
from gateway.clocks.clock import SYSTEM_CLOCK, Clock

# One entry's key, record, index and links (measured with tracemalloc over 100,000 empty entries, rounded up).
ENTRY_OVERHEAD_BYTES = 1_024

# Entries up to this size stay as they are: packing would save little (our choice).
SMALL_BYTES = 2 * PACKED_OVERHEAD_BYTES

# Hot entries are packed when the store is filled to the first share, except the last ones used, up to the second share.
# The rest is room for pages that arrive meanwhile.
PACKING_SHARE, HOT_SHARE = 0.75, 0.125


class MemoryStore(BaseCache):  # type: ignore[misc]  # aiocache ships no types
    """An aiocache back end for :class:`Record` values whose total size never exceeds ``max_bytes``.

    ``get`` returns the value alone. ``used_bytes`` is the total size of all entries, overhead included, and
    ``evictions`` counts the entries evicted for lack of space. Expiry is checked when a key is read, without timers.
    ``on_evict`` gets each key that expires or is evicted. ``on_pressure`` is called when the entries exceed
    ``packing_bytes``, and the hot ones ``kept_hot_bytes``: then ``oldest_hot`` should be packed.

    If ``max_bytes`` is reached, the least recently used entry is evicted. Instead of a packed one, the least recently
    used hot one is packed or evicted, unless it is the only one: it takes the memory of dozens.
    """

    NAME = "bounded-memory"

    def __init__(
        self,
        *,
        max_bytes: int,
        clock: Clock = SYSTEM_CLOCK,
        on_evict: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(serializer=NullSerializer(), timeout=None)
        self.max_bytes = max_bytes
        self.packing_bytes = max_bytes * PACKING_SHARE
        self.kept_hot_bytes = max_bytes * HOT_SHARE
        self.on_pressure: Callable[[], None] = lambda: None
        self.used_bytes = 0
        self.hot_bytes = 0
        self._largest_bytes = 0
        self.evictions = 0
        self._clock = clock
        self._on_evict = on_evict
        # All entries, and the hot ones; the least recently used first.
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._hot: OrderedDict[str, Record] = OrderedDict()

    @property
    def entries(self) -> int:
        return len(self._records)

    @property
    def packed_entries(self) -> int:
        """The number of packed entries. May be called in another thread, for metrics."""
        return sum(record.is_packed for record in list(self._records.values()))

    async def put(self, key: str, value: Any, *, size_bytes: int, ttl_seconds: float, owner: object = None) -> bool:
        """Store ``value``; return False if it alone exceeds ``max_bytes``. Only ``owner`` may change its cost later."""
        return cast(bool, await self.set(key, Record(value, size_bytes + ENTRY_OVERHEAD_BYTES, owner), ttl=ttl_seconds))

    async def _get(self, key: str, encoding: str | None = None, _conn: Any = None) -> Any | None:
        record = self._records.get(key)
        if record is None:
            return None
        if record.expires_at <= self._clock.monotonic():
            self._evict(key)
            return None
        self._used(key)
        return record.value

    async def _set(
        self, key: str, value: Record, ttl: float | None = None, _cas_token: Any = None, _conn: Any = None
    ) -> bool:
        record = replace(value, expires_at=self._clock.monotonic() + ttl) if ttl else value
        if record.cost_bytes <= SMALL_BYTES or content_of(record.value) is None:
            record.packed = False
        self._remove(key)
        if record.cost_bytes > self.max_bytes:
            return False
        self._insert(key, record)
        self._make_room()
        return True

    def peek(self, key: str) -> Any | None:
        """Return the value like ``get``, but synchronously: aiocache's ``get`` costs more than a small response."""
        record = self._records.get(key)
        if record is None or record.expires_at <= self._clock.monotonic():
            return None
        self._used(key)
        return record.value

    def charge(self, key: str, owner: object, extra_bytes: int) -> bool:
        """Add ``extra_bytes``, perhaps negative, to the cost of ``key``; False if ``owner``'s value was evicted."""
        record = self._records.get(key)
        if record is None or record.owner is not owner:
            return False
        record.cost_bytes += extra_bytes
        self._count(record, extra_bytes)
        self._make_room()
        return self._records.get(key) is record

    @property
    def is_pressed(self) -> bool:
        """True if hot entries should be packed, before an entry as large as the largest one would evict others."""
        filled_bytes = min(self.packing_bytes, self.max_bytes - self._largest_bytes)
        return self.used_bytes > filled_bytes and self.hot_bytes > self.kept_hot_bytes

    def oldest_hot(self) -> tuple[str, Record] | None:
        """Return the least recently used hot entry, with its key."""
        return next(iter(self._hot.items()), None)

    def leave_unpacked(self, key: str, record: Record) -> None:
        """Note that a hot entry would not become smaller, or cannot be packed."""
        if self._hot.pop(key, None) is record:
            self.hot_bytes -= record.cost_bytes
        record.packed = False

    def demote(self, key: str, record: Record) -> None:
        """Replace the content of a hot entry by its packed one, unless it has been replaced or removed."""
        if self._records.get(key) is not record or not isinstance(record.packed, Packed):
            return
        packed_value = record.value.with_content(record.packed)
        cost_bytes = len(record.packed.data) + PACKED_OVERHEAD_BYTES
        self._exchange(key, Record(packed_value, cost_bytes, expires_at=record.expires_at))

    def promote(self, key: str, packed_value: Any, value: Any, *, size_bytes: int, owner: object) -> bool:
        """Replace a packed entry by ``value``, its content unpacked. Return False if the entry has been removed."""
        record, packed = self._records.get(key), content_of(packed_value)
        if record is None or record.value is not packed_value or not isinstance(packed, Packed):
            return False
        cost_bytes = size_bytes + ENTRY_OVERHEAD_BYTES + record.cost_bytes
        if cost_bytes > self.max_bytes:
            return False
        hot = Record(value, cost_bytes, owner, record.expires_at, packed)
        self._exchange(key, hot)
        self._used(key)
        self._make_room()
        return self._records.get(key) is hot

    def attach(self, key: str, owner: object, packed: Packed) -> None:
        """Keep the packed content of the hot entry that ``owner`` belongs to."""
        record = self._hot.get(key)
        if record is not None and record.owner is owner and record.packed is None and is_smaller(packed, record):
            record.packed = packed
            self.charge(key, owner, len(packed.data))

    def _used(self, key: str) -> None:
        self._records.move_to_end(key)
        if key in self._hot:
            self._hot.move_to_end(key)

    def _insert(self, key: str, record: Record) -> None:
        self._largest_bytes = max(self._largest_bytes, record.cost_bytes)
        self._records[key] = record
        self._count(record, record.cost_bytes)
        if record.is_hot:
            self._hot[key] = record

    def _count(self, record: Record, extra_bytes: int) -> None:
        self.used_bytes += extra_bytes
        self.hot_bytes += extra_bytes if record.is_hot else 0

    def _exchange(self, key: str, record: Record) -> None:
        """Replace an entry at its place in the order of use."""
        before = self._records[key]
        self._count(before, -before.cost_bytes)
        self._count(record, record.cost_bytes)
        self._records[key] = record
        if record.is_hot:
            self._hot[key] = record
        else:
            self._hot.pop(key, None)
        free_later(before)

    def _make_room(self) -> None:
        if self.is_pressed:
            self.on_pressure()
        while self.used_bytes > self.max_bytes:
            key, record = next(iter(self._records.items()))
            oldest = self.oldest_hot() if len(self._hot) > 1 else None
            if oldest is not None and isinstance(oldest[1].packed, Packed):
                self.demote(*oldest)
                continue
            if oldest is not None and record.is_packed:
                key, _ = oldest
            self.evictions += 1
            self._evict(key)

    async def _delete(self, key: str, _conn: Any = None) -> int:
        return int(self._remove(key))

    def _evict(self, key: str) -> None:
        if self._remove(key) and self._on_evict is not None:
            self._on_evict(key)

    def _remove(self, key: str) -> bool:
        record = self._records.pop(key, None)
        if record is None:
            return False
        self._hot.pop(key, None)
        self._count(record, -record.cost_bytes)
        free_later(record)
        return True
