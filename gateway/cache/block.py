"""Block: one query with its caller and its cache keys."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.cache.index import query_key as query_key_of
from gateway.page import Caller
from gateway.query import PageQuery


@dataclass(frozen=True, slots=True)
class Block:
    """A block of rows as one caller sees it. Create it once per fetch: computing the keys hashes the query."""

    query: PageQuery
    caller: Caller
    query_key: str
    key: str

    @classmethod
    def of(cls, query: PageQuery, caller: Caller) -> Block:
        """Compute the keys of ``query`` for ``caller``."""
        query_key = query_key_of(query, caller)
        return cls(query, caller, query_key, block_key(query_key, query))

    def sibling(self, query: PageQuery) -> Block:
        """Return another block of the same query; only ``skip`` and ``top`` may differ."""
        return (
            self if query is self.query else Block(query, self.caller, self.query_key, block_key(self.query_key, query))
        )

    def with_caller(self, caller: Caller) -> Block:
        """Return this block with other limits for the same token and locale."""
        return replace(self, caller=caller)


def block_key(query_key: str, query: PageQuery) -> str:
    """Return the memory cache's key of a block."""
    return f"{query_key}:{query.skip}:{query.top}"
