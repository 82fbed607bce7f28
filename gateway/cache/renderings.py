"""What was made of a kept page, charged to its entry in the store."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from gateway.cache.memory import MemoryStore

# A key, its parts and its place in two tables (measured with tracemalloc over selections of ten fields, rounded up).
RENDERING_OVERHEAD_BYTES = 2_048

# One page's renderings may take this part of the whole store, so that no page drives out all others.
MAX_SHARE = 0.25


class KeptRenderings:
    """The renderings of the page kept under ``key``; the least recently used go first."""

    def __init__(self, store: MemoryStore, key: str) -> None:
        self._store = store
        self._key = key
        # Each value with what it costs.
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._used_bytes = 0

    def get(self, key: Hashable) -> Any:
        """The value kept under ``key``, if it still is."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def keep(self, key: Hashable, value: Any, size_bytes: int) -> None:
        """Keep ``value`` as long as its page is kept and the room lasts."""
        cost_bytes = size_bytes + RENDERING_OVERHEAD_BYTES
        max_bytes = self._store.max_bytes * MAX_SHARE
        if cost_bytes > max_bytes or key in self._kept:
            return
        while self._used_bytes + cost_bytes > max_bytes:
            _, (_, oldest_bytes) = self._kept.popitem(last=False)
            self._charge(-oldest_bytes)
        if self._charge(cost_bytes):
            self._kept[key] = (value, cost_bytes)

    def _charge(self, extra_bytes: int) -> bool:
        self._used_bytes += extra_bytes
        if self._store.charge(self._key, self, extra_bytes):
            return True
        # The page has left the store; whoever still holds it shall not hold these, too.
        self._kept.clear()
        self._used_bytes = 0
        return False
