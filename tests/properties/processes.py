"""What one gateway process has: its cache over a gated upstream and a gated Redis, wired as in gateway.composition."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.cache.cooldowns import RedisCooldowns
from gateway.cache.freshness import Freshness
from gateway.cache.index import query_key
from gateway.cache.pages import CachedPages
from gateway.cache.shared import SharedPages
from gateway.cache.size import page_size_bytes
from gateway.config.redis_url import RedisAddress
from gateway.config.upstream import UpstreamConfig
from gateway.page import AccessToken, CacheState, Caller
from gateway.paging.blocks import BlockSizes
from gateway.paging.window import PageArguments
from gateway.single_flight import SingleFlight
from gateway.upstream import BlockReader, UpstreamClient
from schema.connection import ConnectionResult, read_connection
from tests.properties.gates import Call, GatedRedis, GatedUpstream
from tests.properties.timeline import Rows, Timeline, query

if TYPE_CHECKING:
    from tests.properties.worlds import World

FRESH_SECONDS, STALE_SECONDS = 100.0, 1_000.0
SIZES = BlockSizes(5, 10)
# So much that nothing is ever evicted, room for two or three blocks, and none at all.
AMPLE_BYTES, SCARCE_BYTES, NO_BYTES = 10_000_000, 14_000, 0


@dataclass(eq=False)
class Question:
    """One question under way: the window as offsets, and the rows of the question when its cursors were given."""

    process: Process
    timeline: Timeline
    locale: str | None
    filter_number: int
    arguments: PageArguments
    window: dict[str, int | None]
    cursor_rows: set[Rows]
    started: float
    # When the oldest upstream call of its token began that it may share, or when it started.
    oldest: float
    task: asyncio.Task[None] | None = None

    async def answer(self) -> ConnectionResult:
        """Ask as the schema does."""
        caller = Caller(self.timeline.token, self.locale)
        return await read_connection(self.process.source, query(self.filter_number), caller, self.arguments, SIZES)


class Process:
    """One process of several."""

    def __init__(self, world: World, memory_bytes: int) -> None:
        self.world = world
        self.memory_bytes = memory_bytes
        self.redis_errors = 0
        self.redis = GatedRedis(
            RedisAddress("127.0.0.1", world.proxy.port),
            on_error=self._redis_failed,
            sleep=world.pause,
            on_change=world.stir,
        )
        self.upstream = GatedUpstream(self._called, world.clock)
        freshness = Freshness(FRESH_SECONDS, STALE_SECONDS)
        self.client = UpstreamClient(
            UpstreamConfig(
                base_url="http://upstream.invalid",
                path_prefix="/partner/v1",
                trailing_slash=False,
                timeout_seconds=600,
                operation_timeout_seconds=600,
                max_retries=1,
                max_concurrency=3,
                max_connections=100,
                max_body_bytes=2**20,
            ),
            transport=self.upstream,
            shared_cooldowns=RedisCooldowns(self.redis, world.clock),
            clock=world.clock,
            sleep=lambda seconds: asyncio.sleep(0),
        )
        self.cache = CachedPages(
            BlockReader(self.client, max_calls=60, clock=world.clock, operation_timeout_seconds=600),
            max_bytes=memory_bytes,
            freshness=freshness,
            first_block_rows=SIZES.first_rows,
            block_rows=SIZES.rows,
            size_of=page_size_bytes,
            shared=SharedPages(self.redis, freshness, clock=world.clock),
            clock=world.clock,
        )
        self.source = SingleFlight(self.cache)
        # By token: when it was last refused here, and until when it is throttled here.
        self.refused: dict[str, float] = {}
        self.throttled_until: dict[str, float] = {}
        # When the upstream answered it, and when that call had begun.
        self.moments_answered: dict[float, float] = {}

    @property
    def uses_redis(self) -> bool:
        """True when what this process writes is in Redis at once."""
        return not (self.world.is_troubled or self.redis_errors or self.redis.is_left_out or self.redis.is_holding)

    def moments_kept(self, token: AccessToken) -> set[float]:
        """When each block was read that memory holds of a token."""
        index = self.cache._index
        questions = {key.partition(":")[0] for key in index.keys_of(token.locator)}
        return {moment for question in questions for _, _, moment in index.blocks(question)}

    def holds_fresh(self, call: Call) -> bool:
        """Whether memory holds, fresh, the very block that is called for, as this process has read it itself."""
        timeline = self.world.timelines[call.token]
        asked = query(call.filter_number, call.skip, call.top)
        key = f"{query_key(asked, Caller(timeline.token, call.locale))}:{call.skip}:{call.top}"
        page = self.cache.store.peek(key)
        if page is None or page.fetched_at not in self.moments_answered:
            return False
        return self.cache._freshness.state(page, self.world.clock()) is CacheState.HIT

    async def aclose(self) -> None:
        """End."""
        self.redis.let_go()
        await self.cache.aclose()
        await self.client.aclose()
        await self.redis.aclose()

    def _redis_failed(self) -> None:
        self.redis_errors += 1

    def _called(self, call: Call) -> None:
        self.world.stir()
        self.world.collect(lambda: self.world.on_call(self, call))
