"""Generations: random bytes that decide which blocks in Redis are still valid.

Every block is sealed with the generations of its token and of its query. Blocks in Redis cannot be listed, because
their keys reveal no owner. Replacing a generation turns every block sealed with the old one into a miss, in all
processes. A token's generation changes when the upstream refuses the token; a query's changes when its data was
processed again. Evicting a generation invalidates its blocks.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from gateway.access_token import AccessToken
from gateway.cache.redis_store import RedisStore
from gateway.cache.sealing import Entry, entry
from gateway.page import Page, Snapshot

GENERATION_BYTES = 16

# The extra lifetime of a generation beyond its blocks (our choice): clock differences must not revive old blocks.
EXTRA_SECONDS = 60.0

# The lifetime of a generation without blocks: as long as a slow read takes. Made-up tokens leave nothing else.
UNUSED_SECONDS = 600.0

# The limit of new generations not written to Redis yet, some 300 bytes each; more than a process should ever need.
MAX_UNWRITTEN = 10_000


def new_generation() -> bytes:
    return os.urandom(GENERATION_BYTES)


class QueryGeneration(msgspec.Struct, array_like=True, frozen=True):
    """A query's generation, the merged snapshot of its blocks, and the time of the newest read."""

    generation: bytes
    snapshot: Snapshot
    fetched_at: float

    def after(self, page: Page) -> QueryGeneration | None:
        """Return the query's generation after ``page`` is stored.

        If ``page`` conflicts with the stored blocks, return a new generation, or None if ``page`` is older than they
        are.
        """
        if not self.snapshot.conflicts(page.snapshot):
            return QueryGeneration(
                self.generation, self.snapshot.merged(page.snapshot), max(self.fetched_at, page.fetched_at)
            )
        return first_generation(page) if page.fetched_at >= self.fetched_at else None


def first_generation(page: Page) -> QueryGeneration:
    """Return a new generation of a query whose only valid block is ``page``."""
    return QueryGeneration(new_generation(), page.snapshot, page.fetched_at)


class SealedPage(msgspec.Struct, array_like=True, frozen=True):
    """A block's sealed content: its generations, its expiry (seconds since 1970), and the packed page."""

    token_generation: bytes
    query_generation: bytes
    expires_at: float
    packed: bytes


class TokenGenerations:
    """Token generations in Redis. ``clock`` is in seconds since 1970; no entry lasts longer than ``keep_seconds``.

    A refused token gets a new generation. If Redis cannot store it, it is written once Redis is back. Until then this
    process serves no page of that token from Redis.
    """

    def __init__(self, store: RedisStore, keep_seconds: float, clock: Callable[[], float]) -> None:
        self._store = store
        self._generation_seconds = keep_seconds + EXTRA_SECONDS
        self._clock = clock
        # By name: the time (seconds since 1970) when the last entry older than the refusal has expired.
        self._unwritten: OrderedDict[str, float] = OrderedDict()
        store.on_return = self._write_all

    def entry(self, token: AccessToken) -> Entry:
        return entry(token, "token")

    def lifetime_seconds(self, token: AccessToken) -> float:
        """Return the lifetime of a generation of this token, at most that of the token itself."""
        if token.expires_at is None:
            return self._generation_seconds
        return min(self._generation_seconds, token.expires_at - self._clock())

    async def current(self, token: AccessToken, seen: bytes | None) -> bytes | None:
        """Return the current generation, creating it unless ``seen`` in Redis; None if Redis cannot store it."""
        name, seconds = self.entry(token).name, self.lifetime_seconds(token)
        if name in self._unwritten:
            return await self._put(name, seconds)
        if seen is not None and len(seen) == GENERATION_BYTES:
            return seen
        if seen is not None:
            return await self._put(name, seconds)
        generation = new_generation()
        if await self._store.add(name, generation, ttl_seconds=min(seconds, UNUSED_SECONDS)):
            return generation
        # Another process stored its generation first; use that one.
        values = await self._store.get_many([name])
        return values[0] if values else None

    async def replace(self, token: AccessToken) -> None:
        """Store a new generation, now or as soon as Redis is available."""
        name, seconds = self.entry(token).name, self.lifetime_seconds(token)
        if seconds <= 0:
            return
        self._unwritten[name] = self._clock() + seconds
        if len(self._unwritten) > MAX_UNWRITTEN:
            self._unwritten.popitem(last=False)
        await self._put(name, seconds)

    async def _put(self, name: str, seconds: float) -> bytes | None:
        generation = new_generation()
        if not await self._store.set(name, generation, ttl_seconds=seconds):
            return None
        self._unwritten.pop(name, None)
        return generation

    async def _write_all(self) -> None:
        for name, until in list(self._unwritten.items()):
            left_seconds = until - self._clock()
            if left_seconds <= 0:
                self._unwritten.pop(name, None)
            elif await self._put(name, left_seconds) is None:
                return
