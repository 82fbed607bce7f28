"""Generations: random bytes that decide which blocks in Redis are still valid.

Every block is sealed with the generations of its token and of its query. Blocks in Redis cannot be listed, because
their keys reveal no owner. Replacing a generation turns every block sealed with the old one into a miss, in all
processes. A token's generation changes when the upstream refuses the token; a query's changes when its data was
processed again. Evicting a generation invalidates its blocks.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.access_token import AccessToken
from gateway.cache.packing import PackedRows
from gateway.cache.redis_client import Write
from gateway.cache.redis_store import RedisStore
from gateway.cache.sealing import Entry
from gateway.page import Page, PageWarning
from gateway.snapshots.snapshot import Snapshot

GENERATION_BYTES = 16

# The extra lifetime of a generation beyond its blocks (our choice): clock differences must not revive old blocks.
EXTRA_SECONDS = 60.0

# The lifetime of a generation without blocks: longer than a slow read. It is all that invented tokens leave in Redis.
UNUSED_SECONDS = 600.0

# The limit of refusals in memory, some 500 bytes each: more tokens than a process is expected to serve.
MAX_REFUSALS = 10_000


def new_generation() -> bytes:
    return os.urandom(GENERATION_BYTES)


class QueryGeneration(msgspec.Struct, array_like=True, frozen=True):
    """A query's generation, the merged snapshot of its blocks, and the newest time of reading by the server's clock."""

    generation: bytes
    snapshot: Snapshot
    fetched_at: float

    def after(self, page: Page, fetched_at: float) -> QueryGeneration | None:
        """Return the query's generation once ``page``, read at ``fetched_at`` by the server's clock, is stored.

        If ``page`` conflicts with the stored blocks, return a new generation if ``page`` is newer, else None.
        """
        if not self.snapshot.conflicts(page.snapshot):
            return QueryGeneration(
                self.generation, self.snapshot.merged(page.snapshot), max(self.fetched_at, fetched_at)
            )
        return first_generation(page, fetched_at) if fetched_at >= self.fetched_at else None


def first_generation(page: Page, fetched_at: float) -> QueryGeneration:
    """Return a new generation of a query whose only valid block is ``page``."""
    return QueryGeneration(new_generation(), page.snapshot, fetched_at)


class PackedPage(msgspec.Struct, array_like=True, frozen=True):
    """A page except the time of reading. ``data`` holds its packed rows, and ``rows`` is their number."""

    skip: int
    more: bool | None
    total_count: int | None
    has_link: bool
    snapshot: Snapshot
    warnings: tuple[PageWarning, ...]
    unreadable: Mapping[str, bytes]
    data: bytes
    rows: int

    @classmethod
    def of(cls, page: Page, packed: PackedRows) -> PackedPage:
        """Return ``page`` with the rows ``packed``."""
        return cls(
            page.skip,
            page.more,
            page.total_count,
            page.has_link,
            page.snapshot,
            page.warnings,
            page.unreadable,
            packed.data,
            len(packed),
        )

    def page(self, rows: tuple[Any, ...]) -> Page:
        """Return the page with these unpacked ``rows``."""
        return Page(
            rows=rows,
            skip=self.skip,
            more=self.more,
            total_count=self.total_count,
            has_link=self.has_link,
            snapshot=self.snapshot,
            warnings=self.warnings,
            unreadable=self.unreadable,
        )


class SealedPage(msgspec.Struct, array_like=True, frozen=True):
    """A block's sealed content: its generations, the time of reading, its lifetime from then on, and the packed page.

    The time of reading is in seconds since 1970, by the server's clock and by the writer's own.
    """

    token_generation: bytes
    query_generation: bytes
    fetched_at: float
    fetched_wall: float
    lifetime_seconds: float
    page: PackedPage


@dataclass(slots=True)
class TokenRefusal:
    """A refusal of a token: when it happened, when all older entries have expired, and whether Redis has stored it."""

    moment: float
    until: float
    is_stored: bool = False


class TokenGenerations:
    """Token generations in Redis, each for at most ``keep_seconds`` and at most until its token expires.

    A refused token gets a new generation. If Redis cannot store it, it is written once Redis is back. Until then this
    process serves no page of that token from Redis. This process also remembers the refusal itself, in case somebody
    restores older entries.
    """

    def __init__(self, store: RedisStore, keep_seconds: float) -> None:
        self._store = store
        self._clock = store.clock
        self._generation_seconds = keep_seconds + EXTRA_SECONDS
        self._refusals: OrderedDict[Entry, TokenRefusal] = OrderedDict()
        store.on_return = self._store_all

    def entry(self, token: AccessToken) -> Entry:
        return self._store.entry(token, "token")

    def lifetime_seconds(self, token: AccessToken) -> float:
        """Return the lifetime of a generation of this token, at most that of the token itself."""
        return min(self._generation_seconds, token.seconds_left(self._clock.wall()))

    def refused_at(self, token: AccessToken) -> float:
        """Return the moment of the token's last refusal in this process; minus infinity if there was no refusal."""
        refusal = self._refusals.get(self.entry(token))
        return float("-inf") if refusal is None else refusal.moment

    def first(self, token: AccessToken) -> Write:
        """Return the generation to be stored for a token that has none. It is without blocks."""
        return Write(self.entry(token), new_generation(), min(self.lifetime_seconds(token), UNUSED_SECONDS))

    async def current(self, token: AccessToken, seen: bytes | None) -> bytes | None:
        """Return ``seen``, the generation read from Redis, if it is valid; else a new one, or None if Redis fails."""
        token_entry, seconds = self.entry(token), self.lifetime_seconds(token)
        refusal = self._refusals.get(token_entry)
        if refusal is not None and not refusal.is_stored:
            return await self._put(token_entry, seconds)
        if seen is not None and len(seen) != GENERATION_BYTES:
            return await self._put(token_entry, seconds)
        return seen

    async def replace(self, token: AccessToken) -> None:
        """Store a new generation, now or as soon as Redis is available."""
        token_entry, seconds = self.entry(token), self.lifetime_seconds(token)
        if seconds <= 0:
            return
        now = self._clock.monotonic()
        self._refusals[token_entry] = TokenRefusal(now, now + self._generation_seconds)
        self._refusals.move_to_end(token_entry)
        self._forget_some(now)
        await self._put(token_entry, seconds)

    async def _put(self, token_entry: Entry, seconds: float) -> bytes | None:
        """Store a new generation without blocks. Older blocks stay invalid even after it expires."""
        generation, refusal = new_generation(), self._refusals.get(token_entry)
        if not await self._store.set(token_entry, generation, ttl_seconds=min(seconds, UNUSED_SECONDS)):
            return None
        if refusal is not None:
            refusal.is_stored = True
        return generation

    def _forget_some(self, now: float) -> None:
        """Drop expired refusals, which are the oldest, and more if there are too many."""
        while len(self._refusals) > MAX_REFUSALS or next(iter(self._refusals.values())).until <= now:
            self._refusals.popitem(last=False)

    async def _store_all(self) -> None:
        now = self._clock.monotonic()
        for token_entry, refusal in list(self._refusals.items()):
            if refusal.is_stored or refusal.until <= now:
                continue
            if await self._put(token_entry, refusal.until - now) is None:
                return
