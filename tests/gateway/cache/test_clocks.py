"""Durations inside a process ignore jumps of the wall clock; times from other processes are distrusted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from email.utils import formatdate
from typing import Any

import pytest

from gateway.cache.cooldowns import RedisCooldowns
from gateway.cache.policy import Freshness
from gateway.cache.redis_store import RedisStore
from gateway.caller import Caller
from gateway.clocks.clock import SYSTEM_CLOCK
from gateway.config.redis_url import RedisAddress
from gateway.errors import Forbidden, RateLimited
from gateway.page import CacheState, Page, PageSource
from gateway.query import PageQuery
from gateway.upstream.cooldown import Cooldowns
from gateway.upstream.retry import retry_after_seconds
from tests.gateway.cache.test_cached_pages import Bench, jwt
from tests.gateway.cache.test_shared_pages import Process, Processes
from tests.gateway.fakes import UPSTREAM, Clock, caller
from tests.redis_server import RedisServer

HIT, STALE, MISS = CacheState.HIT, CacheState.STALE, CacheState.MISS

JUMPS = pytest.mark.parametrize("jump_seconds", [-3_600.0, 3_600.0, -1e9], ids=["back", "forward", "far back"])


class HostClock(Clock):
    """The clock of a host: its monotonic clock starts at another time than the wall clock."""

    def __init__(self, shared: Clock, started: float, wall_ahead_seconds: float = 0.0) -> None:
        super().__init__()
        self._shared, self._started = shared, started
        self.wall_ahead_seconds = wall_ahead_seconds

    def monotonic(self) -> float:
        return self._shared.seconds - self._started

    def wall(self) -> float:
        return self._shared.seconds + self.wall_ahead_seconds


class HostSource:
    """A source of pages on a host whose monotonic clock started at ``started``."""

    def __init__(self, source: PageSource, started: float) -> None:
        self._source, self._started = source, started

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        page = await self._source.fetch(query, caller)
        return page.having(fetched_at=page.fetched_at - self._started)


class SteadyRedisStore(RedisStore):
    """A store whose server's clock is the tests' time, and perhaps wrong."""

    server_ahead_seconds = 0.0

    def _adjust_clock(self, server_seconds: float, moment: float) -> None:
        assert isinstance(self.clock, HostClock)
        super()._adjust_clock(self.clock._shared.seconds + self.server_ahead_seconds, self.clock.monotonic())


@pytest.fixture
async def processes(redis: RedisServer) -> AsyncIterator[Processes]:
    async with AsyncExitStack() as stack:
        yield Processes(redis, stack)


async def start(processes: Processes, started: float = 0.0, wall_ahead_seconds: float = 0.0, **changes: Any) -> Process:
    """Start a process on a separate host."""
    clock = HostClock(processes.clock, started, wall_ahead_seconds)
    process = await processes.start(clock, store_type=SteadyRedisStore, **changes)
    process.cache._source = HostSource(processes.source, started)
    return process


# In memory


@JUMPS
async def test_pages_in_memory_age_whatever_the_wall_clock_does(jump_seconds: float) -> None:
    bench = Bench()
    await bench.ask()
    bench.clock.wall_ahead_seconds = jump_seconds
    assert (await bench.ask(after_seconds=99)).cache is HIT
    bench.source.gate.clear()
    page = await bench.ask(after_seconds=2)
    assert (page.cache, page.warnings[0].age_seconds) == (STALE, 101)
    bench.source.gate.set()
    await bench.settle()
    bench.source.error = Forbidden("unused")
    assert (await bench.ask(after_seconds=99)).cache is HIT


@JUMPS
async def test_pages_leave_memory_whatever_the_wall_clock_does(jump_seconds: float) -> None:
    bench = Bench()
    await bench.ask()
    bench.clock.wall_ahead_seconds = jump_seconds
    assert (await bench.ask(after_seconds=1_100)).cache is MISS


@pytest.mark.parametrize("jump_seconds", [-3_600.0, -1e9])
async def test_a_page_leaves_memory_at_its_tokens_expiry_even_if_the_wall_clock_goes_back(jump_seconds: float) -> None:
    bench = Bench()
    token = jwt(bench.clock.wall() + 50)
    await bench.ask(token)
    bench.clock.wall_ahead_seconds = jump_seconds
    assert (await bench.ask(token, after_seconds=49)).cache is HIT
    assert (await bench.ask(token, after_seconds=1)).cache is MISS


async def test_a_token_that_the_wall_clock_shows_as_expired_gets_nothing_from_the_cache() -> None:
    bench = Bench()
    token = jwt(bench.clock.wall() + 50)
    await bench.ask(token)
    bench.clock.wall_ahead_seconds = 51
    assert (await bench.ask(token)).cache is MISS


@JUMPS
def test_a_cooldown_ends_in_time_whatever_the_wall_clock_does(jump_seconds: float) -> None:
    clock = Clock()
    cooldowns = Cooldowns(clock)
    cooldowns.start(b"token", 2)
    clock.wall_ahead_seconds = jump_seconds
    with pytest.raises(RateLimited) as caught:
        cooldowns.require_passed(b"token")
    assert (caught.value.retry_after_seconds, cooldowns.active()) == (2, 1)
    clock.seconds += 2
    cooldowns.require_passed(b"token")
    assert cooldowns.active() == 0


@pytest.mark.parametrize(("ahead_seconds", "expected"), [(-1e9, 1), (-5, 1), (5, 5), (3_600, 600), (1e9, 600)])
def test_a_date_of_the_upstream_means_a_pause_within_the_bounds(ahead_seconds: float, expected: int) -> None:
    now = 1_540_420_638.0
    assert retry_after_seconds(formatdate(now + ahead_seconds, usegmt=True), now) == expected


def test_the_monotonic_clock_goes_on_while_the_wall_clock_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    before = SYSTEM_CLOCK.monotonic()
    monkeypatch.setattr(time, "time", lambda: 12.5)
    assert SYSTEM_CLOCK.wall() == 12.5
    assert 0 <= SYSTEM_CLOCK.monotonic() - before < 60


# In Redis


async def test_the_age_of_a_page_is_the_same_on_every_host(processes: Processes) -> None:
    one, two = await start(processes, 5.0), await start(processes, 999_000.0)
    await one.ask()
    processes.clock.seconds += 150
    page = await two.ask()
    assert (page.cache, page.warnings[0].age_seconds) == (STALE, 150)


@pytest.mark.parametrize("ahead_seconds", [-3_600.0, -100.0, -1.0, 0.0, 1.0, 1.9, 2.5, 100.0, 3_600.0, 1e9])
@pytest.mark.parametrize("after_seconds", [0, 50, 99, 101, 150, 1_050])
async def test_a_writer_with_a_wrong_clock_never_makes_rows_look_younger(
    processes: Processes, ahead_seconds: float, after_seconds: int
) -> None:
    """The reader's settings are shorter than the writer's."""
    writer = await start(processes, wall_ahead_seconds=ahead_seconds, freshness=Freshness(2_000, 9_000))
    reader = await start(processes, freshness=Freshness(50, 51))
    await writer.ask()
    processes.clock.seconds += after_seconds
    page = await reader.ask()
    if after_seconds >= 50:
        assert page.cache is not HIT
    if after_seconds >= 101:
        assert page.cache is MISS
    assert all(warning.age_seconds >= after_seconds for warning in page.warnings if warning.age_seconds is not None)


async def test_a_page_dated_in_the_future_does_not_become_fresh_later(processes: Processes) -> None:
    """By the writer's clock alone, the page would have an age of one second."""
    writer = await start(processes, wall_ahead_seconds=3_600.0, freshness=Freshness(9_000, 9_000))
    reader = await start(processes)
    await writer.ask()
    processes.clock.seconds += 3_601
    assert (await reader.ask()).cache is MISS


async def test_pages_from_the_future_are_misses_beyond_the_tolerance(processes: Processes) -> None:
    within, beyond = await start(processes, wall_ahead_seconds=1.5), await start(processes, wall_ahead_seconds=2.5)
    reader = await start(processes)
    await within.ask("one")
    await beyond.ask("two")
    assert [(await reader.ask(token)).cache for token in ("one", "two")] == [HIT, MISS]


@pytest.mark.parametrize("ahead_seconds", [-3_600.0, 3_600.0])
async def test_a_jump_of_the_servers_clock_never_makes_rows_look_younger(
    processes: Processes, ahead_seconds: float
) -> None:
    writer, reader = await start(processes), await start(processes)
    await writer.ask()
    processes.clock.seconds += 150
    assert isinstance(reader.store, SteadyRedisStore)
    reader.store.server_ahead_seconds = ahead_seconds
    assert (await reader.ask()).cache is MISS


async def test_a_reader_whose_wall_clock_goes_back_uses_no_shared_page(processes: Processes) -> None:
    writer, reader = await start(processes), await start(processes)
    await writer.ask()
    reader.clock.wall_ahead_seconds = -3_600.0
    assert (await reader.ask()).cache is MISS


async def test_no_page_is_shared_past_its_tokens_expiry_by_the_readers_clock(processes: Processes) -> None:
    writer = await start(processes, wall_ahead_seconds=-40.0)
    reader = await start(processes)
    token = jwt(processes.clock.seconds + 50)
    await writer.ask(token)
    assert (await reader.ask(token)).cache is HIT
    processes.clock.seconds += 50
    assert (await reader.ask(token)).cache is MISS


async def test_a_newer_snapshot_wins_whatever_the_wall_clocks_of_its_readers(processes: Processes) -> None:
    ahead, behind = await start(processes, 7.0, 3_600.0), await start(processes, 999_000.0, -3_600.0)
    await ahead.ask()
    processes.clock.seconds += 1
    processes.source.date = "2026-02-02T00:00:00"
    await behind.ask(skip=10)
    assert behind.outcomes["stored"] == 1


@pytest.mark.parametrize("ahead_seconds", [-3_600.0, 0.0, 3_600.0])
async def test_a_shared_cooldown_lasts_as_long_as_the_upstream_asked(redis: RedisServer, ahead_seconds: float) -> None:
    shared = Clock()
    stores = [
        SteadyRedisStore(RedisAddress("127.0.0.1", redis.port), UPSTREAM, clock=clock, timeout_seconds=10)
        for clock in (HostClock(shared, 5.0, ahead_seconds), HostClock(shared, 999_000.0))
    ]
    one, two = [Cooldowns(store.clock, shared=RedisCooldowns(store)) for store in stores]
    await one.start_everywhere(caller().token, 2)
    with pytest.raises(RateLimited) as caught:
        await two.require_passed_everywhere(caller().token)
    assert caught.value.retry_after_seconds == 2
    shared.seconds += 2
    await two.require_passed_everywhere(caller().token)
    await asyncio.gather(*(store.aclose() for store in stores))


@pytest.mark.parametrize("ahead_seconds", [-3_600.0, 3_600.0])
async def test_a_jump_of_the_servers_clock_makes_no_cooldown_longer(redis: RedisServer, ahead_seconds: float) -> None:
    clock = HostClock(Clock(), 5.0)
    store = SteadyRedisStore(RedisAddress("127.0.0.1", redis.port), UPSTREAM, clock=clock, timeout_seconds=10)
    await RedisCooldowns(store).publish(caller().token, clock.monotonic() + 2)
    store.server_ahead_seconds = ahead_seconds
    until = await RedisCooldowns(store).until(caller().token)
    assert until is None or until <= clock.monotonic() + 2
    await store.aclose()


async def test_a_store_converts_times_by_the_clock_of_a_real_server(redis: RedisServer) -> None:
    clock = HostClock(Clock(), 5.0, -3_600.0)
    store = RedisStore(RedisAddress("127.0.0.1", redis.port), UPSTREAM, clock=clock, timeout_seconds=10)
    await store.get_many([])
    seconds, _ = redis.client.time()
    assert abs(store.server_clock.time_of(clock.monotonic()) - seconds) < 5
    await store.aclose()
