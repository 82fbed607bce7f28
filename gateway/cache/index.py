"""An index of the cached blocks by query and token, for dropping all blocks of either."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.page import Stamp


class Index:
    """Keys of the cached blocks by token and query, each with its block's stamp and time of reading.

    The index holds exactly the keys in the store: every change of the store calls ``add`` or ``discard``.
    """

    def __init__(self) -> None:
        self._queries: dict[str, dict[str, tuple[Stamp, float]]] = {}
        self._tokens: dict[bytes, set[str]] = {}
        self._owners: dict[str, bytes] = {}

    def add(self, locator: bytes, query_key: str, key: str, stamp: Stamp, fetched_at: float) -> None:
        """Record that ``key`` was stored."""
        self._queries.setdefault(query_key, {})[key] = (stamp, fetched_at)
        self._tokens.setdefault(locator, set()).add(query_key)
        self._owners[query_key] = locator

    def discard(self, key: str) -> None:
        """Record that ``key`` left the store."""
        query_key = key.partition(":")[0]
        blocks = self._queries.get(query_key, {})
        blocks.pop(key, None)
        if not blocks and query_key in self._queries:
            del self._queries[query_key]
            locator = self._owners.pop(query_key)
            self._tokens[locator].discard(query_key)
            if not self._tokens[locator]:
                del self._tokens[locator]

    def blocks(self, query_key: str) -> Iterator[tuple[str, Stamp, float]]:
        """Yield the key, stamp and time of reading of every cached block of a query."""
        for key, (stamp, fetched_at) in list(self._queries.get(query_key, {}).items()):
            yield key, stamp, fetched_at

    def keys_of(self, locator: bytes) -> list[str]:
        return [key for query_key in self._tokens.get(locator, ()) for key in self._queries[query_key]]
