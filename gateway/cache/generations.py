"""Generations: random bytes that decide which blocks in Redis are still valid.

Every block is sealed with the generations of its token and of its query. Blocks in Redis cannot be listed, because
their keys reveal no owner. Replacing a generation turns every block sealed with the old one into a miss, in all
processes. A token's generation changes when the upstream refuses the token; a query's changes when its data was
processed again. Evicting a generation invalidates its blocks.
"""

from __future__ import annotations

import os

import msgspec

from gateway.page import Page, Stamp

GENERATION_BYTES = 16


def new_generation() -> bytes:
    return os.urandom(GENERATION_BYTES)


class QueryGeneration(msgspec.Struct, array_like=True, frozen=True):
    """A query's generation, the merged stamp of its blocks, and the time of the newest read."""

    generation: bytes
    stamp: Stamp
    fetched_at: float

    def after(self, page: Page) -> QueryGeneration | None:
        """Return the generation once ``page`` is stored: new if it conflicts, None if it conflicts and is older."""
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
