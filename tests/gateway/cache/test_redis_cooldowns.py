"""A token throttled in one process is throttled in all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from gateway.access_token import AccessToken
from gateway.cache.cooldowns import RedisCooldowns
from gateway.cache.redis_store import RedisStore
from gateway.config.redis_url import RedisAddress
from gateway.errors import RateLimited
from gateway.upstream import UpstreamClient
from tests.gateway.fakes import UPSTREAM, ClockedRedisStore
from tests.gateway.upstream.scripted import GOOD, Clock, caller, client, page_query, respond, upstream
from tests.ports import free_port
from tests.redis_server import RedisServer

ONE, TWO = AccessToken("one"), AccessToken("two")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(redis: RedisServer, clock: Clock) -> AsyncIterator[RedisStore]:
    store = ClockedRedisStore(RedisAddress("127.0.0.1", redis.port), UPSTREAM, clock=clock, timeout_seconds=10)
    yield store
    await store.aclose()


@asynccontextmanager
async def processes(url: str, store: RedisStore, clock: Clock) -> AsyncIterator[tuple[UpstreamClient, UpstreamClient]]:
    """Two upstream clients that share cool-downs, like those of two processes."""
    async with AsyncExitStack() as stack:
        options: dict[str, Any] = {"clock": clock, "shared_cooldowns": RedisCooldowns(store)}
        one, two = [await stack.enter_async_context(client(url, **options)) for _ in range(2)]
        yield one, two


async def test_during_a_cooldown_no_process_calls_the_upstream_for_that_token(store: RedisStore, clock: Clock) -> None:
    throttled = respond(status=429, headers={"Retry-After": "20"})
    async with upstream(throttled, GOOD) as scripted, processes(scripted.url, store, clock) as (one, two):
        with pytest.raises(RateLimited):
            await one.call(page_query(), caller("one"), deadline=float("inf"))
        clock.now += 5
        with pytest.raises(RateLimited) as caught:
            await two.call(page_query(), caller("one"), deadline=float("inf"))
        assert caught.value.retry_after_seconds == 15
        assert len(scripted.requests) == 1
        await two.call(page_query(), caller("two"), deadline=float("inf"))
        clock.now += 16
        await two.call(page_query(), caller("one"), deadline=float("inf"))
        assert len(scripted.requests) == 3


async def test_a_call_makes_one_lookup_unless_its_token_is_known_to_be_throttled(
    store: RedisStore, redis: RedisServer, clock: Clock
) -> None:
    async with upstream(GOOD, respond(status=429)) as scripted, processes(scripted.url, store, clock) as (one, _):

        async def commands(*, fails: bool) -> int:
            before: int = redis.client.info("stats")["total_commands_processed"]
            try:
                await one.call(page_query(), caller("one"), deadline=float("inf"))
            except RateLimited:
                assert fails
            after: int = redis.client.info("stats")["total_commands_processed"]
            return after - before - 1

        # A lookup reads the server's clock and the value.
        assert await commands(fails=False) == 2
        # One lookup before the call, one before sharing the cool-down, and the write.
        assert await commands(fails=True) == 5
        assert await commands(fails=True) == 0


async def test_without_redis_each_process_learns_from_the_upstream(clock: Clock) -> None:
    store = RedisStore(RedisAddress("127.0.0.1", free_port()), UPSTREAM, clock=clock)
    throttled = respond(status=429, headers={"Retry-After": "20"})
    async with upstream(throttled, GOOD) as scripted, processes(scripted.url, store, clock) as (one, two):
        with pytest.raises(RateLimited):
            await one.call(page_query(), caller(), deadline=float("inf"))
        await two.call(page_query(), caller(), deadline=float("inf"))
        with pytest.raises(RateLimited):
            await one.call(page_query(), caller(), deadline=float("inf"))
        assert len(scripted.requests) == 2
    await store.aclose()


async def test_a_later_end_replaces_an_earlier_one_and_expires_with_its_key(
    store: RedisStore, redis: RedisServer, clock: Clock
) -> None:
    cooldowns = RedisCooldowns(store)
    await cooldowns.publish(ONE, clock.now + 60)
    await cooldowns.publish(ONE, clock.now + 10)
    assert await cooldowns.until(ONE) == clock.now + 60
    assert await cooldowns.until(TWO) is None
    [key] = redis.client.keys("*")
    assert 50_000 < redis.client.pttl(key) <= 60_000


async def test_a_cooldown_of_more_than_ten_minutes_is_ignored(store: RedisStore, clock: Clock) -> None:
    cooldowns = RedisCooldowns(store)
    await cooldowns.publish(ONE, clock.now + 600)
    assert await cooldowns.until(ONE) == clock.now + 600
    await cooldowns.publish(ONE, clock.now + 10_000)
    assert await cooldowns.until(ONE) is None


async def test_a_forged_cooldown_is_ignored(store: RedisStore, redis: RedisServer, clock: Clock) -> None:
    cooldowns = RedisCooldowns(store)
    await cooldowns.publish(TWO, clock.now + 60)
    place, other = store.entry(ONE, "cool-down"), store.entry(TWO, "cool-down")
    for planted in (
        b"\xcb\x7f\xf0\0\0\0\0\0\0",
        redis.client.get(other.name),
        place.seal(b"junk"),
        place.seal(b"\xc0"),
    ):
        redis.client.set(place.name, planted)
        assert await cooldowns.until(ONE) is None
