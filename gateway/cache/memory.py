"""The memory tier: an aiocache store with a size limit in bytes that evicts the least recently used entries.

aiocache's own memory cache has no size limit and one timer per key. The renderings of a page count toward its entry.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, cast

from aiocache.base import BaseCache
from aiocache.serializers import NullSerializer
from msgspec.structs import astuple

from gateway.clocks.clock import SYSTEM_CLOCK, Clock
from gateway.page import Page

# One entry's key, record, index and links (measured with tracemalloc over 100,000 empty entries, rounded up).
ENTRY_OVERHEAD_BYTES = 1_024

# Measured: freeing 10,000 rows, 7 MB, takes a tenth of the time of reading a page from the upstream. Entries of this
# size are freed later, when the response that evicted them has probably been sent.
LARGE_BYTES, LINGER_SECONDS = 1_048_576, 0.005

# A pointer in the tuple of rows (CPython, 64 bits).
POINTER_BYTES = 8

# Pages up to this size are measured row by row; the size of larger pages is estimated from evenly spaced rows.
SAMPLE_ROWS = 64

# The safety factor for estimates.
SAMPLE_MARGIN = 1.1

# A key, its parts and its table entries (measured with tracemalloc over selections of ten fields, rounded up).
RENDERING_OVERHEAD_BYTES = 2_048

# The share of the store for one page's renderings, so that no page evicts all others.
MAX_SHARE = 0.25


@dataclass(slots=True)
class Record:
    """A value with the bytes that it costs and its expiry. Only ``owner`` may change the cost later."""

    value: Any
    cost_bytes: int
    owner: object = None
    expires_at: float = float("inf")


class MemoryStore(BaseCache):  # type: ignore[misc]  # aiocache ships no types
    """An aiocache back end for :class:`Record` values whose total size never exceeds ``max_bytes``.

    ``get`` returns the value alone. ``used_bytes`` is the total size of all entries, overhead included, and
    ``evictions`` counts the entries evicted for lack of space. Expiry is checked when a key is read, without timers.
    ``on_evict`` gets each key that expires or is evicted.
    """

    NAME = "bounded-memory"

    def __init__(
        self, *, max_bytes: int, clock: Clock = SYSTEM_CLOCK, on_evict: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(serializer=NullSerializer(), timeout=None)
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self.evictions = 0
        self._clock = clock
        self._on_evict = on_evict
        self._records: OrderedDict[str, Record] = OrderedDict()

    @property
    def entries(self) -> int:
        return len(self._records)

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
        self._records.move_to_end(key)
        return record.value

    async def _set(
        self, key: str, value: Record, ttl: float | None = None, _cas_token: Any = None, _conn: Any = None
    ) -> bool:
        record = replace(value, expires_at=self._clock.monotonic() + ttl) if ttl else value
        self._remove(key)
        if record.cost_bytes > self.max_bytes:
            return False
        self._records[key] = record
        self.used_bytes += record.cost_bytes
        self._make_room()
        return True

    def peek(self, key: str) -> Any | None:
        """Return the value like ``get``, but synchronously: aiocache's ``get`` costs more than a small response."""
        record = self._records.get(key)
        if record is None or record.expires_at <= self._clock.monotonic():
            return None
        self._records.move_to_end(key)
        return record.value

    def charge(self, key: str, owner: object, extra_bytes: int) -> bool:
        """Add ``extra_bytes``, perhaps negative, to the cost of ``key``; False if ``owner``'s value was evicted."""
        record = self._records.get(key)
        if record is None or record.owner is not owner:
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


def _linger(record: Record) -> None:
    """Free ``record`` after LINGER_SECONDS if an event loop is running."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    loop.call_later(LINGER_SECONDS, _free, record)


def _free(record: Record) -> None:
    """Do nothing: the timer held the last reference to ``record``."""


def page_size_bytes(page: Page) -> int:
    """Return the bytes of ``page``'s rows with all values; for a large page, an estimate that errs upward."""
    if not page.rows:
        return 0
    step = -(-len(page.rows) // SAMPLE_ROWS)
    sample = page.rows[::step]
    sample_bytes = sum(sum(map(sys.getsizeof, astuple(row))) for row in sample)
    sample_bytes += len(sample) * (sys.getsizeof(page.rows[0]) + POINTER_BYTES)
    if step == 1:
        return sample_bytes
    return int(sample_bytes * len(page.rows) / len(sample) * SAMPLE_MARGIN)


class KeptRenderings:
    """The renderings of the page cached as ``key``; the least recently used are evicted first."""

    def __init__(self, store: MemoryStore, key: str) -> None:
        self._store = store
        self._key = key
        # Each value with its cost in bytes.
        self._renderings: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._used_bytes = 0

    def get(self, key: Hashable) -> Any:
        """Return the rendering cached as ``key``, or None."""
        rendering = self._renderings.get(key)
        if rendering is None:
            return None
        self._renderings.move_to_end(key)
        return rendering[0]

    def keep(self, key: Hashable, value: Any, size_bytes: int) -> None:
        """Cache ``value`` while its page is cached and space permits."""
        cost_bytes = size_bytes + RENDERING_OVERHEAD_BYTES
        max_bytes = self._store.max_bytes * MAX_SHARE
        if cost_bytes > max_bytes or key in self._renderings:
            return
        while self._used_bytes + cost_bytes > max_bytes:
            _, (_, oldest_bytes) = self._renderings.popitem(last=False)
            self._charge(-oldest_bytes)
        if self._charge(cost_bytes):
            self._renderings[key] = (value, cost_bytes)

    def _charge(self, extra_bytes: int) -> bool:
        self._used_bytes += extra_bytes
        if self._store.charge(self._key, self, extra_bytes):
            return True
        # The page was evicted. Free its renderings, even if a caller still holds the page.
        self._renderings.clear()
        self._used_bytes = 0
        return False
