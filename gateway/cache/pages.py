"""CachedPages: a PageSource that answers from memory or Redis, and loads from another source otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from gateway.access_token import AccessToken
from gateway.cache.block import Block, Index, block_key, first_row_of, query_key_of
from gateway.cache.memory import MemoryStore
from gateway.cache.packer import Packer
from gateway.cache.packing import PackedRows, unpack
from gateway.cache.page_size import page_size_bytes
from gateway.cache.policy import Freshness, decide, stale_warning
from gateway.cache.reads import PendingReads, Refreshes
from gateway.cache.renderings import KeptRenderings
from gateway.cache.shared import PageToShare, SharedPages
from gateway.caller import Caller
from gateway.clocks.clock import SYSTEM_CLOCK, Clock
from gateway.config.groups import CacheConfig
from gateway.errors import Forbidden, Unauthenticated
from gateway.page import CacheState, Page, PageSource
from gateway.query import PageQuery
from gateway.scheduling.rotation import Turns
from gateway.scheduling.scheduler import Scheduler
from gateway.scheduling.worker_thread import InThread
from gateway.snapshots.differing_blocks import DifferingBlocks


class CachedPages:
    """Pages cached per token, query and block: in memory, and sealed in Redis if configured.

    Fresh pages cost no upstream call. Stale pages are served at once while one refresh runs in the background; they
    stay if it fails. A 401 or 403 drops every page of the token. No page is served past its token's expiry. Cached
    blocks of one query never contradict one another: a newer block evicts older ones that conflict with it, except for
    ``differing`` blocks.
    """

    def __init__(
        self,
        source: PageSource,
        config: CacheConfig,
        *,
        shared: SharedPages | None = None,
        differing: DifferingBlocks | None = None,
        scheduler: Scheduler | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._source = source
        self._shared = shared
        self._differing = DifferingBlocks() if differing is None else differing
        self.freshness = Freshness.of(config)
        self._first_tops = (config.first_block_rows, config.block_rows)
        self.clock = clock
        self.index = Index()
        self.store = MemoryStore(max_bytes=config.memory_bytes, clock=clock, on_evict=self.index.discard)
        self.packer = Packer(self.store, scheduler or Scheduler())
        self._refreshes = Refreshes(self._refresh)
        self.reads = PendingReads()
        # Called when the upstream has refused a token.
        self.on_refusal: Callable[[AccessToken], None] = lambda _: None
        # Blocks answered since the start, indexed by CacheState.
        self.answered_blocks = [0] * len(CacheState)

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        """Return the page from the cache or the source; ``Page.cache`` says which. Raises GatewayError."""
        page = await self._fetch(Block.of(query, caller))
        self.answered_blocks[page.cache] += 1
        return page

    async def _fetch(self, block: Block) -> Page:
        query, caller = block.query, block.caller
        if self.seconds_left(caller) <= 0:
            # A refresh that started before the token expired may still be running. Wait for it, to avoid two calls at
            # once.
            while (refresh := self._refreshes.running(block.key)) is not None:
                await asyncio.wait({refresh})
            return await self._source.fetch(query, caller)
        if query.revalidate:
            return await self._read(block.sibling(replace(query, revalidate=False)), reload=True)
        cached = await self._cached(block)
        return await self._read(block) if cached is None else self._answer(*cached)

    def peek(self, query: PageQuery, caller: Caller) -> Page | None:
        """Return the fresh page cached for ``query`` without waiting; None if ``fetch`` must be called."""
        if self.seconds_left(caller) <= 0:
            return None
        now = self.clock.monotonic()
        # No Block: its construction would take as long as the rest of this method.
        query_key = query_key_of(query, caller)
        for candidate in self._candidates(query):
            page: Page | None = self.store.peek(block_key(query_key, candidate))
            state = decide(page, query, now, self.freshness)
            if page is not None and state is CacheState.HIT and not isinstance(page.rows, PackedRows):
                self.answered_blocks[CacheState.HIT] += 1
                return page
        return None

    async def aclose(self) -> None:
        await self._refreshes.aclose()
        await self.packer.aclose()
        if self._shared is not None:
            await self._shared.aclose()

    async def drop_token(self, caller: Caller) -> None:
        """Evict every page of a token, here and in Redis, and discard the results of its pending reads."""
        self.reads.void(caller.token.locator)
        self._refreshes.forget(caller.token.locator)
        self.on_refusal(caller.token)
        for key in self.index.keys_of(caller.token.locator):
            await self._remove(key)
        if self._shared is not None:
            await self._shared.refuse(caller.token)

    async def _cached(self, block: Block) -> tuple[Page, CacheState, Block] | None:
        """Return the freshest cached page that covers the query, its state, and its own block."""
        best: tuple[Page, CacheState, Block] | None = None
        for candidate in map(block.sibling, self._candidates(block.query)):
            page: Page | None = await self.store.get(candidate.key)
            state = decide(page, block.query, self.clock.monotonic(), self.freshness)
            if page is not None and state is not CacheState.MISS and (best is None or state < best[1]):
                best = (page, state, candidate)
        if best is None:
            return None
        page, state, candidate = best
        rows_of, owner = partial(_unpacked, candidate.query), candidate.caller.token.locator
        unpacked = await self.packer.unpacked(candidate.key, page, owner, rows_of, page_size_bytes)
        return None if unpacked is None else (unpacked, state, candidate)

    def _candidates(self, query: PageQuery) -> Iterator[PageQuery]:
        yield query
        if query.skip == 0:
            yield from (replace(query, top=top) for top in self._first_tops if top != query.top)

    def _answer(self, page: Page, state: CacheState, block: Block) -> Page:
        """Return a cached page as a response; start a refresh if it is stale."""
        if state is CacheState.HIT:
            return page.having(cache=state, calls=0)
        self._refreshes.start(block)
        warnings = (*page.warnings, stale_warning(page, self.clock.monotonic()))
        return page.having(cache=state, calls=0, warnings=warnings)

    async def _read(self, block: Block, *, reload: bool = False) -> Page:
        """Return a page absent from memory: from a running refresh, Redis (unless ``reload``), or the source."""
        refresh = self._refreshes.running(block.key)
        if refresh is not None:
            return await asyncio.shield(refresh)
        return await self._load(block, worst=None if reload else CacheState.STALE)

    async def _refresh(self, block: Block) -> Page:
        # Another process may have refreshed the page already.
        return await self._load(block, worst=CacheState.HIT)

    async def _load(self, block: Block, *, worst: CacheState | None) -> Page:
        """Return a page from Redis in state ``worst`` or better; otherwise one from the source."""
        query, caller = block.query, block.caller
        with self.reads.under_way(caller.token.locator) as read, self._refreshes.paused(block.key):
            token_generation = None
            if self._shared is not None:
                candidates = [] if worst is None else list(self._candidates(query))
                token_generation, shared = await self._shared.find(query, candidates, caller)
                if shared is not None and worst is not None and shared.state <= worst and not read.void:
                    shared_block = block.sibling(shared.query)
                    page = await self._put(shared_block, shared.page, shared.expires_at)
                    self.store.attach(shared_block.key, page and page.renderings, shared.packed)
                    if page is not None:
                        # Loading is over; a stale page may be refreshed.
                        self._refreshes.resume(block.key)
                        return self._answer(page, shared.state, shared_block)
            try:
                page = await self._source.fetch(query, caller)
            except (Unauthenticated, Forbidden):
                await self.drop_token(caller)
                raise
            return page if read.void else await self._keep(block, page, token_generation)

    async def _keep(self, block: Block, page: Page, token_generation: bytes | None) -> Page:
        """Cache a page of the source unless it expires at once. Return it; in memory it can hold renderings."""
        doubtful = page.is_incomplete or (not page.rows and await self._had_rows(block, page))
        left_seconds = min(self.freshness.lifetime_seconds(doubtful=doubtful), self.seconds_left(block.caller))
        if left_seconds <= 0:
            await self._remove(block.key)
            return page
        expires_at = self.clock.monotonic() + left_seconds
        cached_page = await self._put(block, page, expires_at)
        if cached_page is None:
            return page
        if self._shared is not None:
            job = PageToShare(block.query, block.caller, page, expires_at, token_generation)
            store = self._shared.keep(job, partial(self._packed, block, cached_page))
            if store is not None and cached_page.renderings is None:
                # Memory has no room for the page, so the next request must find it in Redis.
                await asyncio.wait({store})
        return cached_page

    async def _packed(self, block: Block, page: Page) -> PackedRows | None:
        """Return the packed rows of ``page``, and keep them for the time when memory is short."""
        packed = await self.packer.pack(page)
        if packed is not None and page.renderings is not None:
            self.store.attach(block.key, page.renderings, packed)
        return packed

    async def _had_rows(self, block: Block, page: Page) -> bool:
        """Return True if cached blocks show that the empty ``page``, which has no total, should have rows."""
        skip = block.query.skip
        if skip == 0:
            previous: Page | None = await self.store.get(block.key)
            return previous is not None and len(previous.rows) > 0
        totals = [snapshot.total_count for _, snapshot, _ in self.index.blocks(block.query_key)]
        return page.total_count is None and any(total is not None and total > skip for total in totals)

    async def _put(self, block: Block, page: Page, expires_at: float) -> Page | None:
        """Put ``page`` into memory, evicting older blocks that conflict; None if a newer block conflicts.

        If memory is full, return the page without support for renderings.
        """
        key = block.key
        for other, snapshot, fetched_at in self.index.blocks(block.query_key):
            if other != key and self._conflict(block, Page((), first_row_of(other), snapshot=snapshot), page):
                if fetched_at > page.fetched_at:
                    return None
                await self._remove(other)
        renderings = KeptRenderings(self.store, key)
        cached_page = page.having(renderings=renderings)
        self.index.add(block.caller.token.locator, block.query_key, key, page.snapshot, page.fetched_at)
        ttl_seconds = expires_at - self.clock.monotonic()
        if ttl_seconds > 0 and await self.store.put(
            key, cached_page, size_bytes=page_size_bytes(page), ttl_seconds=ttl_seconds, owner=renderings
        ):
            return cached_page
        await self._remove(key)
        return page

    def _conflict(self, block: Block, one: Page, other: Page) -> bool:
        return self._differing.conflict(block.query, block.caller, one, other)

    def seconds_left(self, caller: Caller) -> float:
        """Return the seconds until the caller's token expires."""
        return caller.token.seconds_left(self.clock.wall())

    async def _remove(self, key: str) -> None:
        self.index.discard(key)
        await self.store.delete(key)


async def _unpacked(query: PageQuery, packed: PackedRows, turns: Turns, in_thread: InThread) -> Sequence[Any] | None:
    return await unpack(packed, query.dataset.row, turns, in_thread)
