"""SharedPages: the cache tier behind memory, in Redis, shared by all processes."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.access_token import AccessToken
from gateway.cache import generations
from gateway.cache.generations import PackedPage, QueryGeneration, SealedPage, TokenGenerations
from gateway.cache.packing import PackedRows, unpack
from gateway.cache.policy import Freshness
from gateway.cache.redis_client import MAX_VALUE_BYTES, Write
from gateway.cache.redis_store import RedisStore
from gateway.cache.sealing import Entry
from gateway.caller import Caller
from gateway.page import CacheState, Page
from gateway.query import PageQuery
from gateway.scheduling.rotation import Rotation
from gateway.scheduling.scheduler import Scheduler

# Pages being stored at once, each of a few megabytes (our choice). Further pages are not shared.
MAX_STORES = 64

# The time limit for pending stores at shutdown: more than their two operations take at most.
CLOSE_SECONDS = 0.75

# Packs the rows of a page.
Pack = Callable[[], Awaitable[PackedRows | None]]

Outcome = Literal["hit", "miss", "refused", "unavailable", "stored", "not_stored"]


@dataclass(frozen=True, slots=True)
class SharedPage:
    """A page from Redis, its packed rows, its query, its state and its expiry (by the monotonic clock)."""

    page: Page
    packed: PackedRows
    query: PageQuery
    state: CacheState
    expires_at: float


@dataclass(frozen=True, slots=True)
class PageToShare:
    """A page of a caller's query to be stored until ``expires_at``, if the token still has this generation.

    None forbids storing it.
    """

    query: PageQuery
    caller: Caller
    page: Page
    expires_at: float
    token_generation: bytes | None


@dataclass(frozen=True, slots=True)
class _Requirements:
    """The conditions for a value from Redis: its generations, the earliest moment of reading, the token's expiry."""

    generations: tuple[bytes, bytes]
    read_since: float
    token_expires_at: float


class SharedPages:
    """Pages in Redis, sealed per upstream and token. If Redis fails, its pages are misses.

    ``observer`` gets the outcome of each lookup and each store.
    """

    def __init__(
        self,
        store: RedisStore,
        freshness: Freshness,
        *,
        scheduler: Scheduler | None = None,
        observer: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._scheduler = scheduler or Scheduler()
        self._freshness = freshness
        self._clock = store.clock
        self._observe = observer
        self._tokens = TokenGenerations(store, freshness.lifetime_seconds(doubtful=False))
        self._stores: set[asyncio.Task[None]] = set()
        # One page at a time, as in the memory tier.
        self._unpacking = Rotation()

    async def find(
        self, query: PageQuery, candidates: Sequence[PageQuery], caller: Caller
    ) -> tuple[bytes | None, SharedPage | None]:
        """Return the token's generation, and the first fresh (or else stale) page of ``candidates``, in one round trip.

        A page then loaded from the upstream may be stored only under this generation; None forbids storing it.
        """
        token_entry, query_entry = self._tokens.entry(caller.token), self._query_entry(query, caller)
        blocks = [self._block_entry(candidate, caller) for candidate in candidates]
        default = self._tokens.first(caller.token)
        values = await self._store.get_many([token_entry, query_entry, *blocks], default=default)
        if values is None:
            self._observe("unavailable")
            return None, None
        if values[0] is not None and len(values[0]) != generations.GENERATION_BYTES:
            self._observe("refused")
        token_generation = await self._tokens.current(caller.token, values[0])
        query_generation = self._opened_generation(query_entry, values[1])
        shared_page = None
        if query_generation is not None and token_generation is not None and token_generation == values[0]:
            rows = zip(candidates, blocks, values[2:], strict=True)
            requirements = _Requirements(
                (token_generation, query_generation.generation),
                self._tokens.refused_at(caller.token),
                self._clock.monotonic() + caller.token.seconds_left(self._clock.wall()),
            )
            shared_page = await self._best(rows, requirements, caller.token.locator, stop=query.skip + query.top)
        if candidates:
            self._observe("miss" if shared_page is None else "hit")
        return token_generation, shared_page

    def keep(self, job: PageToShare, pack: Pack) -> asyncio.Task[None] | None:
        """Start storing a page in the background, with the rows from ``pack``; None if it will not be stored."""
        if job.token_generation is None or self._store.is_left_out or len(self._stores) >= MAX_STORES:
            self._observe("not_stored")
            return None
        task = asyncio.create_task(self._keep(job, pack), context=contextvars.Context())
        self._stores.add(task)
        task.add_done_callback(self._stores.discard)
        return task

    async def refuse(self, token: AccessToken) -> None:
        """Invalidate every page of ``token`` in Redis. This affects all processes."""
        await self._tokens.replace(token)

    async def aclose(self) -> None:
        """Wait up to CLOSE_SECONDS for pending stores; then cancel them."""
        if self._stores:
            _, late = await asyncio.wait(set(self._stores), timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _opened_generation(self, query_entry: Entry, value: bytes | None) -> QueryGeneration | None:
        if value is None:
            return None
        generation = query_entry.open_value(value, QueryGeneration)
        if generation is None:
            self._observe("refused")
        elif self._store.server_clock.is_future(generation.fetched_at):
            return None
        return generation

    async def _best(
        self,
        rows: Iterable[tuple[PageQuery, Entry, bytes | None]],
        requirements: _Requirements,
        owner: bytes,
        *,
        stop: int,
    ) -> SharedPage | None:
        """Return the first fresh page that has every row below ``stop``, else the first such stale page."""
        best: SharedPage | None = None
        for query, block_entry, value in rows:
            shared_page = await self._opened(query, block_entry, value, requirements, owner)
            if shared_page is None or not shared_page.page.reaches(stop):
                continue
            if shared_page.state is CacheState.HIT:
                return shared_page
            best = best or shared_page
        return best

    async def _opened(
        self, query: PageQuery, block_entry: Entry, value: bytes | None, requirements: _Requirements, owner: bytes
    ) -> SharedPage | None:
        """Decrypt ``value``. Return None if it is outdated or was not sealed for this entry; the latter is counted."""
        if value is None:
            return None
        sealed = block_entry.open_value(value, SealedPage)
        if sealed is None:
            self._observe("refused")
            return None
        fetched_at = self._store.server_clock.past_moment_of(sealed.fetched_at, sealed.fetched_wall)
        if (sealed.token_generation, sealed.query_generation) != requirements.generations or fetched_at is None:
            return None
        lifetime_seconds = min(sealed.lifetime_seconds, self._freshness.lifetime_seconds(doubtful=False))
        expires_at = min(fetched_at + lifetime_seconds, requirements.token_expires_at)
        if fetched_at < requirements.read_since or expires_at <= self._clock.monotonic():
            return None
        packed = PackedRows(sealed.page.data, sealed.page.rows)
        async with self._scheduler.backlog.decoding(owner, len(packed)), self._unpacking.turn(owner):
            rows = await unpack(packed, query.dataset.row, *self._scheduler.turns_of(owner))
        if rows is None or sealed.page.skip != query.skip:
            self._observe("refused")
            return None
        page = sealed.page.page(rows).having(fetched_at=fetched_at)
        state = self._freshness.state(page, self._clock.monotonic())
        return None if state is CacheState.MISS else SharedPage(page, packed, query, state, expires_at)

    async def _keep(self, job: PageToShare, pack: Pack) -> None:
        packed = await pack()
        is_stored = packed is not None and await self._write(job, packed)
        self._observe("stored" if is_stored else "not_stored")

    async def _write(self, job: PageToShare, packed: PackedRows) -> bool:
        query, caller, page = job.query, job.caller, job.page
        token_entry, query_entry = self._tokens.entry(caller.token), self._query_entry(query, caller)
        values = await self._store.get_many([token_entry, query_entry])
        # The generation changed: the token was refused after the page was requested.
        if values is None or values[0] is None or values[0] != job.token_generation:
            return False
        previous = self._opened_generation(query_entry, values[1])
        fetched_at = self._store.server_clock.time_of(page.fetched_at)
        generation = (
            generations.first_generation(page, fetched_at) if previous is None else previous.after(page, fetched_at)
        )
        if generation is None:
            return False
        block_entry, now = self._block_entry(query, caller), self._clock.monotonic()
        sealed = SealedPage(
            values[0],
            generation.generation,
            fetched_at,
            self._clock.wall() - (now - page.fetched_at),
            job.expires_at - page.fetched_at,
            PackedPage.of(page, packed),
        )
        value = block_entry.seal_value(sealed)
        if len(value) > MAX_VALUE_BYTES:
            return False
        generation_seconds = self._tokens.lifetime_seconds(caller.token)
        return await self._store.set_many(
            (
                Write(query_entry, query_entry.seal_value(generation), generation_seconds),
                Write(block_entry, value, job.expires_at - now),
                # Renew the token's generation, so that it outlives the blocks sealed with it.
                Write(token_entry, None, generation_seconds),
            )
        )

    def _query_entry(self, query: PageQuery, caller: Caller) -> Entry:
        return self._store.entry(caller.token, "question", _about(query, caller))

    def _block_entry(self, query: PageQuery, caller: Caller) -> Entry:
        block = query.skip.to_bytes(8, "big") + query.top.to_bytes(8, "big")
        return self._store.entry(caller.token, "block", block + _about(query, caller))


def _about(query: PageQuery, caller: Caller) -> bytes:
    """Return the digest of dataset and query (32 bytes), the locale, and the fields of page and row.

    Fields vary by release: during an upgrade, the releases do not read each other's entries.
    """
    fields = ",".join((*PackedPage.__struct_fields__, *query.dataset.attributes))
    return query.digest + f"{caller.locale or ''}\0{fields}".encode()
