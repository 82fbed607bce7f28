"""CachedPages: a PageSource that answers from memory or Redis while it may, and otherwise asks the source behind it."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.cache.freshness import Freshness, is_incomplete
from gateway.cache.index import Index, question_key
from gateway.cache.memory import MemoryStore
from gateway.cache.reads import Reads
from gateway.cache.renderings import KeptRenderings
from gateway.errors import Forbidden, GatewayError, Unauthenticated
from gateway.page import Budget, CacheState, Caller, Page, PageSource, PageWarning
from gateway.query import PageQuery

if TYPE_CHECKING:
    from gateway.cache.shared import SharedPages

# Measured: Redis in the same data centre has the largest page sooner. A caller whose next request reaches another
# process finds it there then; and behind an upstream call nobody notices such a pause.
STORE_PATIENCE_SECONDS = 0.05


class CachedPages:
    """Pages kept per token, question and block: in memory, and sealed in Redis where there is one.

    Fresh pages cost no upstream call. Stale ones are answered at once while one refresh runs behind them, and stay
    when that refresh fails. A 401 or 403 drops everything kept for the token, and so nothing stale is served then.
    Nothing is served past the token's own expiry. Blocks of one question never contradict one another: when a new one
    does, the older ones go first.
    """

    def __init__(
        self,
        source: PageSource,
        *,
        max_bytes: int,
        freshness: Freshness,
        first_block_rows: int,
        block_rows: int,
        size_of: Callable[[Page], int],
        shared: SharedPages | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._shared = shared
        self._freshness = freshness
        self._first_tops = (first_block_rows, block_rows)
        self._size_of = size_of
        self._clock = clock
        self._index = Index()
        self.store = MemoryStore(max_bytes=max_bytes, clock=clock, on_evict=self._index.discard)
        self._refreshes: dict[str, asyncio.Task[Page]] = {}
        self._loading: set[str] = set()
        self._reads = Reads()
        # Blocks answered since the start, by where they came from: a place for each CacheState.
        self.answered_blocks = [0] * len(CacheState)

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        """The page from the cache, or from the source; ``Page.cache`` says which. Raises GatewayError."""
        page = await self._fetch(query, caller)
        self.answered_blocks[page.cache] += 1
        return page

    async def _fetch(self, query: PageQuery, caller: Caller) -> Page:
        if self._expired(caller):
            # A refresh that began in time may still give what Redis had; it is waited for, so that there is one call.
            while (refresh := self._refreshes.get(_key(question_key(query, caller), query))) is not None:
                await asyncio.wait({refresh})
            return await self._source.fetch(query, caller)
        if query.revalidate:
            return await self._read(replace(query, revalidate=False), caller, anew=True)
        found = await self._kept(query, caller)
        if found is None:
            return await self._read(query, caller)
        return self._answer(*found, caller)

    def peek(self, query: PageQuery, caller: Caller) -> Page | None:
        """The fresh page that is kept for ``query``, without waiting; None where ``fetch`` must be asked."""
        if self._expired(caller):
            return None
        question = question_key(query, caller)
        for candidate in self._candidates(query):
            page: Page | None = self.store.peek(_key(question, candidate))
            if (
                page is not None
                and page.reaches(query.skip + query.top)
                and self._freshness.state(page, self._clock()) is CacheState.HIT
            ):
                self.answered_blocks[CacheState.HIT] += 1
                return page
        return None

    async def aclose(self) -> None:
        """Cancel refreshes under way."""
        tasks = list(self._refreshes.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._shared is not None:
            await self._shared.aclose()

    async def drop_token(self, caller: Caller) -> None:
        """Forget everything of a token, also what reads under way would store; Redis is told to forget it, too."""
        self._reads.void(caller.token.locator)
        for key in self._index.keys_of(caller.token.locator):
            await self._forget(key)
        if self._shared is not None:
            await self._shared.refuse(caller.token)

    async def _kept(self, query: PageQuery, caller: Caller) -> tuple[Page, CacheState, PageQuery] | None:
        """The freshest kept page that holds what ``query`` asks, its state, and the query that it answered."""
        best: tuple[Page, CacheState, PageQuery] | None = None
        question = question_key(query, caller)
        for candidate in self._candidates(query):
            page: Page | None = await self.store.get(_key(question, candidate))
            if page is None or not page.reaches(query.skip + query.top):
                continue
            state = self._freshness.state(page, self._clock())
            if state is not CacheState.MISS and (best is None or state < best[1]):
                best = (page, state, candidate)
        return best

    def _candidates(self, query: PageQuery) -> Iterator[PageQuery]:
        yield query
        if query.skip == 0:
            yield from (replace(query, top=top) for top in self._first_tops if top != query.top)

    def _answer(self, page: Page, state: CacheState, kept_query: PageQuery, caller: Caller) -> Page:
        """A kept page as it is answered; a stale one is renewed behind the answer."""
        if state is CacheState.HIT:
            return page.having(cache=state, calls=0)
        self._refresh(kept_query, caller)
        return page.having(cache=state, calls=0, warnings=(*page.warnings, self._stale_warning(page)))

    async def _read(self, query: PageQuery, caller: Caller, *, anew: bool = False) -> Page:
        """What memory does not have: from a refresh under way, from Redis unless it is wanted ``anew``, or read."""
        key = _key(question_key(query, caller), query)
        running = self._refreshes.get(key)
        if running is not None:
            return await asyncio.shield(running)
        return await self._load(query, caller, worst=None if anew else CacheState.STALE)

    async def _load(self, query: PageQuery, caller: Caller, *, worst: CacheState | None) -> Page:
        """A page from Redis that is no worse than ``worst``, else one from the source."""
        key = _key(question_key(query, caller), query)
        with self._reads.under_way(caller.token.locator) as read, self._marked_as_loading(key):
            token_mark = None
            if self._shared is not None:
                candidates = [] if worst is None else list(self._candidates(query))
                token_mark, found = await self._shared.find(query, candidates, caller)
                if found is not None and worst is not None and found.state <= worst and not read.void:
                    kept = await self._put(found.query, caller, found.page, found.expires_at)
                    if kept is not None:
                        # It is loaded; if it is stale, the refresh may begin.
                        self._loading.discard(key)
                        return self._answer(kept, found.state, found.query, caller)
            try:
                page = await self._source.fetch(query, caller)
            except (Unauthenticated, Forbidden):
                await self.drop_token(caller)
                raise
            return page if read.void else await self._keep(query, caller, page, token_mark)

    @contextmanager
    def _marked_as_loading(self, key: str) -> Iterator[None]:
        self._loading.add(key)
        try:
            yield
        finally:
            self._loading.discard(key)

    async def _keep(self, query: PageQuery, caller: Caller, page: Page, token_mark: bytes | None) -> Page:
        """Keep a page of the source if that makes sense; gives it with a place for renderings if memory has it."""
        question = question_key(query, caller)
        key = _key(question, query)
        doubtful = is_incomplete(page) or (not page.rows and await self._had_rows(question, query, page))
        lifetime_seconds = self._freshness.lifetime_seconds(doubtful=doubtful)
        expires_at = self._clock() + lifetime_seconds
        if caller.token.expires_at is not None:
            expires_at = min(expires_at, caller.token.expires_at)
        if expires_at <= self._clock():
            await self._forget(key)
            return page
        kept = await self._put(query, caller, page, expires_at)
        if kept is None:
            return page
        if self._shared is not None:
            store = self._shared.keep(query, caller, page, expires_at=expires_at, token_mark=token_mark)
            if store is not None:
                # Where memory has no room, whoever asks next must find it in Redis.
                patience_seconds = None if kept.renderings is None else STORE_PATIENCE_SECONDS
                await asyncio.wait({store}, timeout=patience_seconds)
        return kept

    async def _had_rows(self, question: str, query: PageQuery, page: Page) -> bool:
        """Whether what is kept says that there are rows where ``page``, which tells no other total, has none."""
        if query.skip == 0:
            previous: Page | None = await self.store.get(_key(question, query))
            return previous is not None and len(previous.rows) > 0
        totals = [stamp.total_count for _, stamp, _ in self._index.blocks(question)]
        return page.total_count is None and any(total is not None and total > query.skip for total in totals)

    async def _put(self, query: PageQuery, caller: Caller, page: Page, expires_at: float) -> Page | None:
        """Put ``page`` into memory. None if newer blocks there contradict it; older ones that do go first.

        If there is no room it is given without a place for renderings.
        """
        question = question_key(query, caller)
        key = _key(question, query)
        for other, stamp, fetched_at in self._index.blocks(question):
            if other != key and stamp.conflicts(page.stamp):
                if fetched_at > page.fetched_at:
                    return None
                await self._forget(other)
        renderings = KeptRenderings(self.store, key)
        kept = page.having(renderings=renderings)
        self._index.add(caller.token.locator, question, key, page.stamp, page.fetched_at)
        ttl_seconds = expires_at - self._clock()
        if ttl_seconds > 0 and await self.store.set(
            key, kept, size_bytes=self._size_of(page), ttl_seconds=ttl_seconds, owner=renderings
        ):
            return kept
        await self._forget(key)
        return page

    async def _forget(self, key: str) -> None:
        self._index.discard(key)
        await self.store.delete(key)

    def _refresh(self, query: PageQuery, caller: Caller) -> None:
        key = _key(question_key(query, caller), query)
        if key in self._refreshes or key in self._loading:
            return
        # The refresh outlives the request, so it carries neither its context variables nor its budget.
        heir = replace(caller, budget=Budget(caller.budget.max_calls), deadline=float("inf"))
        # Another process may have read it anew already.
        task = asyncio.create_task(self._load(query, heir, worst=CacheState.HIT), context=contextvars.Context())
        self._refreshes[key] = task
        task.add_done_callback(lambda done: self._refreshed(key, done))

    def _refreshed(self, key: str, task: asyncio.Task[Page]) -> None:
        del self._refreshes[key]
        # A coded failure leaves the stale page in place; anything else is a bug that the loop's handler reports.
        if not task.cancelled() and isinstance(task.exception(), Exception):
            error = task.exception()
            if not isinstance(error, GatewayError):
                asyncio.get_running_loop().call_exception_handler({"message": "a refresh failed", "exception": error})

    def _stale_warning(self, page: Page) -> PageWarning:
        age_seconds = int(self._clock() - page.fetched_at)
        return PageWarning(
            "STALE_DATA", "The rows are from an earlier reading; a newer one is under way.", age_seconds=age_seconds
        )

    def _expired(self, caller: Caller) -> bool:
        expires_at = caller.token.expires_at
        return expires_at is not None and expires_at <= self._clock()


def _key(question: str, query: PageQuery) -> str:
    return f"{question}:{query.skip}:{query.top}"
