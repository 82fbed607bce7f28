"""The renderings of a cached page, within the limit of the memory tier."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from gateway.cache.memory import MemoryStore

# A key, its parts and its table entries (measured with tracemalloc over selections of ten fields, rounded up).
RENDERING_OVERHEAD_BYTES = 2_048

# The share of the store for one page's renderings, so that no page evicts all others.
MAX_SHARE = 0.25


class KeptRenderings:
    """The renderings of the page cached as ``key``; the least recently used are evicted first."""

    def __init__(self, store: MemoryStore, key: str, own_bytes: int = 0) -> None:
        self._store = store
        self._key = key
        self._own_bytes = own_bytes
        # Each value with its cost in bytes.
        self._renderings: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._used_bytes = 0

    @property
    def is_current(self) -> bool:
        """True if the page is cached, so that its memory is counted."""
        return self._store.charge(self._key, self, 0)

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

    def resize(self, own_bytes: int) -> None:
        """Note that what is cached as ``key`` itself takes ``own_bytes`` now, renderings not counted."""
        if self._charge(own_bytes - self._own_bytes, 0):
            self._own_bytes = own_bytes

    def _charge(self, extra_bytes: int, rendered_bytes: int | None = None) -> bool:
        self._used_bytes += extra_bytes if rendered_bytes is None else rendered_bytes
        if self._store.charge(self._key, self, extra_bytes):
            return True
        # The page was evicted. Free its renderings, even if a caller still holds the page.
        self._renderings.clear()
        self._used_bytes = 0
        return False
