"""Block: one query with its caller and its cache keys."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

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
