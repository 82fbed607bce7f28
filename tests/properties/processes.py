"""A gateway process: its cache over a gated upstream and a gated Redis, wired as in gateway.composition."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.access_token import AccessToken
from gateway.cache.block import query_key_of
from gateway.cache.cooldowns import RedisCooldowns
from gateway.cache.pages import CachedPages
from gateway.cache.policy import Freshness
from gateway.cache.shared import SharedPages
from gateway.caller import Caller
from gateway.config.groups import CacheConfig, UpstreamConfig
from gateway.config.redis_url import RedisAddress
from gateway.page import CacheState
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.window import PageArguments
from gateway.single_flight import SingleFlight
from gateway.upstream import BlockReader, UpstreamClient
from schema.connection import ConnectionResult, read_connection
from tests.gateway.fakes import UPSTREAM
from tests.properties.gated_backends import Call, GatedRedis, GatedUpstream
from tests.properties.timeline import Rows, Timeline, page_query

if TYPE_CHECKING:
    from tests.properties.environment import Environment

FRESH_SECONDS, STALE_SECONDS = 100.0, 1_000.0
SIZES = BlockSizes(5, 10)
# Sizes of the memory tier: for every block, for two or three blocks, and for none.
AMPLE_BYTES, SCARCE_BYTES, NO_BYTES = 10_000_000, 14_000, 0
# A process with this size of memory packs every block at once.
PACKING_BYTES = 9_999_999


@dataclass(eq=False)
class RunningQuery:
    """A query in progress, with its window as offsets, and its rows at the time its cursors were returned."""

    process: Process
    timeline: Timeline
    locale: str | None
    filter_number: int
    arguments: PageArguments
    window: dict[str, int | None]
    cursor_rows: set[Rows]
    started: float
    # The start of the oldest query whose upstream calls this one may share; if it can share none, its own start.
    oldest: float
    task: asyncio.Task[None] | None = None

    async def answer(self) -> ConnectionResult:
        """Read the connection as the schema does."""
        caller = Caller(self.timeline.token, self.locale)
        return await read_connection(self.process.source, page_query(self.filter_number), caller, self.arguments, SIZES)


class Process:
    """One of several gateway processes."""

    def __init__(self, environment: Environment, memory_bytes: int) -> None:
        self.environment = environment
        self.memory_bytes = memory_bytes
        self.redis_errors = 0
        self.redis = GatedRedis(
            RedisAddress("127.0.0.1", environment.proxy.port),
            UPSTREAM,
            clock=environment.clock,
            on_error=self._on_redis_error,
            sleep=environment.pause,
            on_change=environment.note_event,
        )
        self.upstream = GatedUpstream(self._on_upstream_call, environment.clock)
        config = CacheConfig(memory_bytes, FRESH_SECONDS, STALE_SECONDS, SIZES.first_rows, SIZES.rows)
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
            shared_cooldowns=RedisCooldowns(self.redis),
            clock=environment.clock,
            sleep=lambda seconds: asyncio.sleep(0),
        )
        self.shared = SharedPages(self.redis, Freshness.of(config))
        self.cache = CachedPages(
            BlockReader(self.client, max_calls=60, operation_timeout_seconds=600, clock=environment.clock),
            config,
            shared=self.shared,
            clock=environment.clock,
        )
        if memory_bytes == PACKING_BYTES:
            self.cache.store.packing_bytes = self.cache.store.kept_hot_bytes = 0
        self.source = SingleFlight(self.cache)
        self.cache.on_refusal = self.source.forget
        # By token: the time of the last refusal, and the end of the cool-down, in this process.
        self.refused: dict[str, float] = {}
        self.throttled_until: dict[str, float] = {}
        # The time of each upstream response, mapped to the start of its call.
        self.response_moments: dict[float, float] = {}

    @property
    def uses_redis(self) -> bool:
        """Return whether a write of this process reaches Redis at once."""
        return not (
            self.environment.is_troubled or self.redis_errors or self.redis.is_left_out or self.redis.is_holding
        )

    def cached_moments(self, token: AccessToken) -> set[float]:
        """Return the read times of the blocks that memory holds for a token."""
        index = self.cache.index
        query_keys = {key.partition(":")[0] for key in index.keys_of(token.locator)}
        return {moment for key in query_keys for _, _, moment in index.blocks(key)}

    def holds_fresh(self, call: Call) -> bool:
        """Return whether memory holds the block of ``call``, fresh and read by this process itself."""
        timeline = self.environment.timelines[call.token]
        block_query = page_query(call.filter_number, call.skip, call.top)
        key = f"{query_key_of(block_query, Caller(timeline.token, call.locale))}:{call.skip}:{call.top}"
        page = self.cache.store.peek(key)
        if page is None or page.fetched_at not in self.response_moments:
            return False
        return self.cache.freshness.state(page, self.environment.clock()) is CacheState.HIT

    async def aclose(self) -> None:
        """Close the cache and its clients."""
        self.redis.release()
        await self.cache.aclose()
        await self.client.aclose()
        await self.redis.aclose()

    def _on_redis_error(self) -> None:
        self.redis_errors += 1

    def _on_upstream_call(self, call: Call) -> None:
        self.environment.note_event()
        self.environment.collect(lambda: self.environment.on_call(self, call))
