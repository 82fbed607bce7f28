"""Block: one query with its caller and its cache keys; and the index of all cached blocks by query and token."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.caller import Caller
from gateway.query import PageQuery
from gateway.snapshots.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Block:
    """A block of rows as one caller sees it. Create it once per fetch: computing the keys hashes the query."""

    query: PageQuery
    caller: Caller
    query_key: str
    key: str

    @classmethod
    def of(cls, query: PageQuery, caller: Caller) -> Block:
        query_key = query_key_of(query, caller)
        return cls(query, caller, query_key, block_key(query_key, query))

    def sibling(self, query: PageQuery) -> Block:
        """Return another block of the same query; only ``skip`` and ``top`` may differ."""
        return (
            self if query is self.query else Block(query, self.caller, self.query_key, block_key(self.query_key, query))
        )


def query_key_of(query: PageQuery, caller: Caller) -> str:
    """Return a digest of the whole token, the locale and the canonical query. It reveals none of them."""
    # The first two parts have fixed lengths, so different keys never concatenate to the same bytes.
    parts = caller.token.locator + query.digest + (caller.locale or "").encode()
    return hashlib.blake2b(parts, digest_size=32, person=b"pcg-question").hexdigest()


def block_key(query_key: str, query: PageQuery) -> str:
    return f"{query_key}:{query.skip}:{query.top}"


def first_row_of(key: str) -> int:
    """Return the offset of the first row of the block with ``key``."""
    return int(key.split(":")[1])


class Index:
    """Keys of the cached blocks by token and query, each with its block's snapshot and time of reading.

    The index holds exactly the keys in the store: every change of the store calls ``add`` or ``discard``.
    """

    def __init__(self) -> None:
        self._queries: dict[str, dict[str, tuple[Snapshot, float]]] = {}
        self._tokens: dict[bytes, set[str]] = {}
        self._owners: dict[str, bytes] = {}

    def add(self, locator: bytes, query_key: str, key: str, snapshot: Snapshot, fetched_at: float) -> None:
        """Record that ``key`` was stored."""
        self._queries.setdefault(query_key, {})[key] = (snapshot, fetched_at)
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

    def blocks(self, query_key: str) -> Iterator[tuple[str, Snapshot, float]]:
        """Yield the key, snapshot and time of reading of every cached block of a query."""
        for key, (snapshot, fetched_at) in list(self._queries.get(query_key, {}).items()):
            yield key, snapshot, fetched_at

    def has_newer(self, query_key: str, snapshot: Snapshot, fetched_at: float) -> bool:
        """Return True if a cached block of the query was read later and has another snapshot."""
        return any(moment > fetched_at and other.conflicts(snapshot) for _, other, moment in self.blocks(query_key))

    def keys_of(self, locator: bytes) -> list[str]:
        return [key for query_key in self._tokens.get(locator, ()) for key in self._queries[query_key]]
