"""SharedPages: the tier behind memory, in Redis, which the processes of several gateways share."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from gateway.cache import generations
from gateway.cache.freshness import Freshness
from gateway.cache.generations import QueryGeneration, SealedPage
from gateway.cache.packing import pack, unpack
from gateway.cache.redis_client import MAX_VALUE_BYTES, Write
from gateway.cache.redis_store import RedisStore
from gateway.cache.sealing import Entry, entry
from gateway.cache.token_generations import TokenGenerations
from gateway.page import AccessToken, CacheState, Caller, Page
from gateway.query import PageQuery

# Measured: so many rows, or bytes of them, take half a millisecond; more are worked on beside the loop.
MAX_NEAR_ROWS, MAX_NEAR_BYTES = 1_000, 32_768

# Pages being kept at once, each of a few megabytes (our choice); what comes on top is not shared.
MAX_STORES = 64

# What stores under way have at the end: more than their two operations take at most.
CLOSE_SECONDS = 0.75

Outcome = Literal["hit", "miss", "refused", "unavailable", "stored", "not_stored"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SharedPage:
    """A page in Redis, what it answers, and when it is to be forgotten (seconds since 1970)."""

    page: Page
    query: PageQuery
    state: CacheState
    expires_at: float


class SharedPages:
    """Pages in Redis, sealed for each token. Whatever happens to Redis, a page is a miss at worst.

    ``clock`` is in seconds since 1970; ``observer`` is told how each look and each store ended.
    """

    def __init__(
        self,
        store: RedisStore,
        freshness: Freshness,
        *,
        clock: Callable[[], float] = time.time,
        observer: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._freshness = freshness
        self._clock = clock
        self._observe = observer
        self._tokens = TokenGenerations(store, freshness.lifetime_seconds(doubtful=False), clock)
        self._stores: set[asyncio.Task[None]] = set()

    async def find(
        self, question: PageQuery, candidates: Sequence[PageQuery], caller: Caller
    ) -> tuple[bytes | None, SharedPage | None]:
        """Return the token's generation, and the first fresh (or else stale) page of ``candidates``, in one round trip.

        A page then loaded from the upstream may be stored only under this generation; None forbids storing it.
        """
        token_place, query_place = self._tokens.place(caller.token), _query_place(question, caller)
        blocks = [_block_place(candidate, caller) for candidate in candidates]
        values = await self._store.get_many([place.name for place in (token_place, query_place, *blocks)])
        if values is None:
            self._observe("unavailable")
            return None, None
        if values[0] is not None and len(values[0]) != generations.GENERATION_BYTES:
            self._observe("refused")
        token_generation = await self._tokens.current(caller.token, values[0])
        query_generation = self._opened_generation(query_place, values[1])
        found = None
        if query_generation is not None and token_generation is not None and token_generation == values[0]:
            rows = zip(candidates, blocks, values[2:], strict=True)
            found = await self._best(
                rows, (token_generation, query_generation.generation), stop=question.skip + question.top
            )
        if candidates:
            self._observe("miss" if found is None else "hit")
        return token_generation, found

    def keep(
        self, query: PageQuery, caller: Caller, page: Page, *, expires_at: float, token_generation: bytes | None
    ) -> asyncio.Task[None] | None:
        """Begin to keep ``page`` beside the caller; None when it will not be kept."""
        if token_generation is None or self._store.is_left_out or len(self._stores) >= MAX_STORES:
            self._observe("not_stored")
            return None
        work = self._keep(query, caller, page, expires_at, token_generation)
        task = asyncio.create_task(work, context=contextvars.Context())
        self._stores.add(task)
        task.add_done_callback(self._stores.discard)
        return task

    async def refuse(self, token: AccessToken) -> None:
        """Let everything kept of ``token`` be a miss from now on, in every process that looks into Redis."""
        await self._tokens.replace(token)

    async def aclose(self) -> None:
        """Give stores under way a moment to end."""
        if self._stores:
            _, late = await asyncio.wait(set(self._stores), timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _opened_generation(self, place: Entry, value: bytes | None) -> QueryGeneration | None:
        if value is None:
            return None
        generation = generations.query_generation(place.open(value))
        if generation is None:
            self._observe("refused")
        return generation

    async def _best(
        self, rows: Iterable[tuple[PageQuery, Entry, bytes | None]], current: tuple[bytes, bytes], *, stop: int
    ) -> SharedPage | None:
        """The first fresh page that lacks no row below ``stop``, else the first stale one."""
        best: SharedPage | None = None
        for query, place, value in rows:
            found = await self._opened(query, place, value, current)
            if found is None or not found.page.reaches(stop):
                continue
            if found.state is CacheState.HIT:
                return found
            best = best or found
        return best

    async def _opened(
        self, query: PageQuery, place: Entry, value: bytes | None, current: tuple[bytes, bytes]
    ) -> SharedPage | None:
        """What ``value`` holds, if it counts. Whatever was not sealed for this very place is a miss, and counted."""
        if value is None:
            return None
        sealed = generations.sealed_page(place.open(value))
        if sealed is None:
            self._observe("refused")
            return None
        if (sealed.token_generation, sealed.query_generation) != current or sealed.expires_at <= self._clock():
            return None
        page = await _beside(len(sealed.packed) > MAX_NEAR_BYTES, unpack, sealed.packed, query.dataset.row)
        if page is None or page.skip != query.skip:
            self._observe("refused")
            return None
        state = self._freshness.state(page, self._clock())
        if state is CacheState.MISS:
            return None
        return SharedPage(page, query, state, sealed.expires_at)

    async def _keep(
        self, query: PageQuery, caller: Caller, page: Page, expires_at: float, token_generation: bytes
    ) -> None:
        packed = await _beside(len(page.rows) > MAX_NEAR_ROWS, pack, page)
        kept = packed is not None and await self._write(query, caller, page, packed, expires_at, token_generation)
        self._observe("stored" if kept else "not_stored")

    async def _write(
        self, query: PageQuery, caller: Caller, page: Page, packed: bytes, expires_at: float, token_generation: bytes
    ) -> bool:
        token_place, query_place = self._tokens.place(caller.token), _query_place(query, caller)
        values = await self._store.get_many([token_place.name, query_place.name])
        # Another generation: the token was refused since the page was asked for.
        if values is None or values[0] != token_generation:
            return False
        before = self._opened_generation(query_place, values[1])
        generation = generations.first_generation(page) if before is None else before.after(page)
        if generation is None:
            return False
        place = _block_place(query, caller)
        value = place.seal(generations.encoded(SealedPage(token_generation, generation.generation, expires_at, packed)))
        if len(value) > MAX_VALUE_BYTES:
            return False
        generation_seconds = self._tokens.lifetime_seconds(caller.token)
        return await self._store.set_many(
            (
                Write(query_place.name, query_place.seal(generations.encoded(generation)), generation_seconds),
                Write(place.name, value, expires_at - self._clock()),
                # The token's generation, whichever it is, outlasts what is kept under it.
                Write(token_place.name, None, generation_seconds),
            )
        )


def _query_place(query: PageQuery, caller: Caller) -> Entry:
    return entry(caller.token, "question", _about(query, caller))


def _block_place(query: PageQuery, caller: Caller) -> Entry:
    block = query.skip.to_bytes(8, "big") + query.top.to_bytes(8, "big")
    return entry(caller.token, "block", block + _about(query, caller))


def _about(query: PageQuery, caller: Caller) -> bytes:
    """Dataset and question in 32 bytes, then the locale, and the fields of a row: another gateway may know others."""
    fields = ",".join(query.dataset.attributes)
    return query.digest + f"{caller.locale or ''}\0{fields}".encode()


async def _beside(is_large: bool, work: Callable[..., T], *arguments: Any) -> T:
    """Do large work in a thread: compressing holds no lock of the interpreter's, and rows are coded in chunks."""
    return await asyncio.to_thread(work, *arguments) if is_large else work(*arguments)
