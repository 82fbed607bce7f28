"""Generations: random bytes that decide which blocks in Redis are still valid.

Every block is sealed with the generations of its token and of its query. Blocks in Redis cannot be listed, because
their keys reveal no owner. Replacing a generation turns every block sealed with the old one into a miss, in all
processes. A token's generation changes when the upstream refuses the token; a query's changes when its data was
processed again. Evicting a generation invalidates its blocks.
"""

from __future__ import annotations

import os
from typing import TypeVar

import msgspec

from gateway.page import Page, Stamp

GENERATION_BYTES = 16


def new_generation() -> bytes:
    """Return a unique generation."""
    return os.urandom(GENERATION_BYTES)


class QueryGeneration(msgspec.Struct, array_like=True, frozen=True):
    """A query's generation, the merged stamp of its blocks, and the time of the newest read."""

    generation: bytes
    stamp: Stamp
    fetched_at: float

    def after(self, page: Page) -> QueryGeneration | None:
        """Return the query's generation after ``page`` is stored.

        If ``page`` conflicts with the stored blocks, return a new generation, or None if ``page`` is older than they
        are.
        """
        if not self.stamp.conflicts(page.stamp):
            return QueryGeneration(
                self.generation, self.stamp.merged(page.stamp), max(self.fetched_at, page.fetched_at)
            )
        return first_generation(page) if page.fetched_at >= self.fetched_at else None


def first_generation(page: Page) -> QueryGeneration:
    """Return a new generation of a query whose only valid block is ``page``."""
    return QueryGeneration(new_generation(), page.stamp, page.fetched_at)


class SealedPage(msgspec.Struct, array_like=True, frozen=True):
    """A block's sealed content: its generations, its expiry (seconds since 1970), and the packed page."""

    token_generation: bytes
    query_generation: bytes
    expires_at: float
    packed: bytes


T = TypeVar("T")

_QUERY_GENERATIONS = msgspec.msgpack.Decoder(QueryGeneration)
_SEALED_PAGES = msgspec.msgpack.Decoder(SealedPage)


def encoded(value: QueryGeneration | SealedPage) -> bytes:
    """Encode ``value`` for sealing."""
    return msgspec.msgpack.encode(value)


def query_generation(plain: bytes | None) -> QueryGeneration | None:
    """Decode ``plain``; return None if it is invalid."""
    return _decoded(_QUERY_GENERATIONS, plain)


def sealed_page(plain: bytes | None) -> SealedPage | None:
    """Decode ``plain``; return None if it is invalid."""
    return _decoded(_SEALED_PAGES, plain)


def _decoded(decoder: msgspec.msgpack.Decoder[T], plain: bytes | None) -> T | None:
    if plain is None:
        return None
    try:
        return decoder.decode(plain)
    except (msgspec.MsgspecError, ValueError):
        return None
