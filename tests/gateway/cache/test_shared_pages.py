"""Pages that processes share through Redis, and entries that they must reject."""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from gateway.cache.pages import CachedPages
from gateway.cache.policy import Freshness
from gateway.cache.redis_store import RedisStore
from gateway.cache.shared import SharedPages
from gateway.caller import Caller
from gateway.config.groups import CacheConfig
from gateway.config.redis_url import RedisAddress
from gateway.errors import Forbidden, GatewayError, Unauthenticated, UpstreamUnavailable
from gateway.page import CacheState, Page, PageWarning
from gateway.query import PageQuery
from gateway.single_flight import SingleFlight
from tests.gateway.cache.test_cached_pages import jwt
from tests.gateway.fakes import UPSTREAM, Clock, ClockedRedisStore, FakeSource, caller, query
from tests.redis_server import RedisServer, until

FRESHNESS = Freshness(100, 1_000)
HIT, STALE, MISS = CacheState.HIT, CacheState.STALE, CacheState.MISS


Sleep = Callable[[float], Awaitable[None]]


class Process:
    """The cache of one of several processes."""

    def __init__(
        self,
        port: int,
        clock: Clock,
        source: FakeSource,
        *,
        sleep: Sleep = asyncio.sleep,
        memory_bytes: int = 1_000_000,
        timeout_seconds: float = 10,
        upstream: str = UPSTREAM,
        store_type: type[RedisStore] = ClockedRedisStore,
        freshness: Freshness = FRESHNESS,
    ) -> None:
        self.clock, self.source = clock, source
        self.outcomes: Counter[str] = Counter()
        self.store = store_type(
            RedisAddress("127.0.0.1", port), upstream, clock=clock, sleep=sleep, timeout_seconds=timeout_seconds
        )
        config = CacheConfig(
            memory_bytes, freshness.fresh_seconds, freshness.stale_seconds, first_block_rows=5, block_rows=10
        )
        self.shared = SharedPages(
            self.store, Freshness.of(config), observer=lambda outcome: self.outcomes.update([outcome])
        )
        self.cache = CachedPages(source, config, shared=self.shared, clock=clock)

    async def ask(self, token: str = "one", *, skip: int = 0, top: int = 10, **changes: Any) -> Page:
        """Return a page after all background work has ended."""
        page = await self.cache.fetch(query(skip, top, **changes), caller(token))
        await self.settle()
        return page

    async def settle(self) -> None:
        """Wait for refreshes and stores."""
        while self.cache._refreshes._tasks or self.shared._stores:
            await asyncio.gather(*self.cache._refreshes._tasks.values(), *self.shared._stores, return_exceptions=True)
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        await self.cache.aclose()
        await self.store.aclose()


class Processes:
    """Several processes with one clock, one upstream and one Redis."""

    def __init__(self, server: RedisServer, stack: AsyncExitStack) -> None:
        self.server = server
        self._stack = stack
        self.clock = Clock()
        self.source = FakeSource(self.clock)

    async def start(self, clock: Clock | None = None, **changes: Any) -> Process:
        process = Process(self.server.port, clock or self.clock, self.source, **changes)
        self._stack.push_async_callback(process.aclose)
        await process.store.start()
        return process

    @property
    def calls(self) -> int:
        return len(self.source.calls)


@asynccontextmanager
async def several(server: RedisServer) -> AsyncIterator[Processes]:
    async with AsyncExitStack() as stack:
        yield Processes(server, stack)


@pytest.fixture
async def processes(redis: RedisServer) -> AsyncIterator[Processes]:
    async with several(redis) as processes:
        yield processes


async def test_a_page_read_by_one_process_costs_another_no_upstream_call(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    first = await one.ask()
    second = await two.ask()
    assert (first.cache, second.cache) == (MISS, HIT)
    assert second.calls == 0
    assert (second.rows, second.skip, second.more, second.total_count) == (first.rows, 0, True, 25)
    assert (second.snapshot, second.fetched_at) == (first.snapshot, first.fetched_at)
    assert processes.calls == 1
    assert (one.outcomes, two.outcomes) == (Counter(miss=1, stored=1), Counter(hit=1))


async def test_a_page_from_redis_is_put_into_memory_and_can_hold_renderings(
    processes: Processes,
) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask()
    assert (await two.ask()).renderings is not None
    processes.server.client.flushall()
    assert (await two.ask()).cache is HIT
    assert two.cache.peek(query(), caller()) is not None
    assert two.outcomes == Counter(hit=1)


async def test_neither_memory_hits_nor_peeking_use_redis(processes: Processes) -> None:
    one = await processes.start()
    await one.ask()
    before = processes.server.client.info("stats")["total_commands_processed"]
    assert (await one.ask()).cache is HIT
    assert one.cache.peek(query(), caller()) is not None
    assert one.cache.peek(query(10), caller()) is None
    # Reading the counter is a command, too.
    assert processes.server.client.info("stats")["total_commands_processed"] == before + 1


async def test_an_identical_query_while_the_first_page_is_stored_makes_no_second_call(
    processes: Processes,
) -> None:
    one = await processes.start(memory_bytes=0)
    flight = SingleFlight(one.cache)
    pages = await asyncio.gather(*(flight.fetch(query(), caller()) for _ in range(20)))
    assert {len(page.rows) for page in pages} == {10}
    # Memory has no room at all, so the page comes from Redis.
    assert (await flight.fetch(query(), caller())).cache is HIT
    assert processes.calls == 1


@pytest.mark.parametrize("rows", [1_000, 10_000])
async def test_large_pages_are_read_back_from_redis_unchanged(processes: Processes, rows: int) -> None:
    processes.source.total = rows
    one, two = await processes.start(memory_bytes=50_000_000), await processes.start(memory_bytes=50_000_000)
    first = await one.ask(top=rows)
    second = await two.ask(top=rows)
    assert second.cache is HIT
    assert second.rows == first.rows


@pytest.mark.parametrize(
    "other",
    [
        {"token": "two"},
        {"token": "one" * 2},
        {"processed_date_time": "2026-01-01T00:00:00"},
        {"group_by": ("serviceCode",)},
        {"skip": 10},
    ],
    ids=str,
)
async def test_another_token_or_query_or_block_is_a_miss(processes: Processes, other: dict[str, Any]) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask()
    assert (await two.ask(**other)).cache is MISS
    assert processes.calls == 2


async def test_another_locale_is_a_miss(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    await one.cache.fetch(query(), caller(locale="en-US"))
    await one.settle()
    assert (await two.cache.fetch(query(), caller(locale="de-DE"))).cache is MISS
    await two.settle()
    assert (await two.cache.fetch(query(), caller(locale="en-US"))).cache is HIT


async def test_a_large_block_in_redis_serves_the_small_one(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask(top=10)
    assert (await two.ask(top=5)).cache is HIT
    assert processes.calls == 1


async def test_a_small_block_in_redis_does_not_serve_the_large_one(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask(top=5)
    for process in (one, two):
        page = await process.ask(top=10)
        assert len(page.rows) == 10
    assert processes.calls == 2


async def test_a_small_block_in_redis_serves_the_large_one_where_the_data_ends_in_it(processes: Processes) -> None:
    processes.source.total = 3
    one, two = await processes.start(), await processes.start()
    await one.ask(top=5)
    assert (await two.ask(top=10)).cache is HIT


async def test_a_stale_page_from_redis_is_answered_at_once_while_one_refresh_runs(processes: Processes) -> None:
    one, two, three = await processes.start(), await processes.start(), await processes.start()
    await one.ask()
    processes.clock.seconds += 150
    page = await two.ask()
    assert page.cache is STALE
    assert [(warning.code, warning.age_seconds) for warning in page.warnings] == [("STALE_DATA", 150)]
    assert processes.calls == 2
    assert (await two.ask()).cache is HIT
    # Process two's refresh makes the page fresh for all processes: three reads it, and one's refresh makes no call.
    assert (await three.ask()).cache is HIT
    assert (await one.ask()).cache is STALE
    assert (await one.ask()).cache is HIT
    assert processes.calls == 2


async def test_an_incomplete_page_is_shared_for_half_a_minute(processes: Processes) -> None:
    class Incomplete(FakeSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            page = await super().fetch(query, caller)
            return page.having(warnings=(PageWarning("UPSTREAM_INCOMPLETE", "short"),))

    processes.source = Incomplete(processes.clock)
    one, two, three = await processes.start(), await processes.start(), await processes.start()
    first = await one.ask()
    processes.clock.seconds += 29
    second = await two.ask()
    assert (second.cache, second.warnings) == (HIT, first.warnings)
    processes.clock.seconds += 2
    assert (await three.ask()).cache is MISS
    assert (await two.ask()).cache is HIT


async def test_after_the_stale_period_no_page_from_redis_is_served(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask()
    processes.clock.seconds += 1_101
    assert (await two.ask()).cache is MISS


async def test_every_key_has_an_expiry_and_none_outlives_the_token(processes: Processes) -> None:
    one = await processes.start()
    await one.ask()
    await one.ask(skip=10)
    client = processes.server.client
    assert len(client.keys("pcg:*")) >= 4
    assert all(0 < client.pttl(key) <= (1_100 + 60) * 1_000 for key in client.keys("*"))
    client.flushall()
    await one.ask(jwt(processes.clock.seconds + 50))
    assert len(processes.server.contents()) == 3
    assert all(0 < client.pttl(key) <= 50_000 for key in processes.server.contents())


async def test_generations_outlive_their_blocks_and_are_short_lived_without_any(processes: Processes) -> None:
    one = await processes.start()
    processes.source.error = UpstreamUnavailable("down")
    with pytest.raises(UpstreamUnavailable):
        await one.ask()
    client = processes.server.client
    [mark] = processes.server.contents()
    assert client.pttl(mark) <= 600_000
    processes.source.error = None
    await one.ask()
    lives = {key: client.pttl(key) for key in processes.server.contents()}
    block = max(lives, key=lambda key: len(client.get(key)))
    assert [lives[block] <= lives[key] for key in lives] == [True, True, True]
    assert lives[block] > 1_000_000


async def test_after_the_token_expires_no_page_from_redis_is_served(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    token = jwt(processes.clock.seconds + 50)
    await one.ask(token)
    processes.clock.seconds += 51
    assert (await two.ask(token)).cache is MISS
    assert two.outcomes == Counter()


async def test_failures_are_not_stored(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    processes.source.error = UpstreamUnavailable("down")
    with pytest.raises(UpstreamUnavailable):
        await one.ask()
    processes.source.error = None
    assert (await two.ask()).cache is MISS


async def test_nothing_readable_reaches_redis(processes: Processes) -> None:
    one = await processes.start()
    with processes.server.client.monitor() as monitor:
        await one.ask("canary-token", processed_date_time="1999-09-09T00:00:00")
        await one.cache.drop_token(caller("canary-token"))
        await one.ask("canary-token", skip=10)
        seen = []
        while (command := monitor.next_command()["command"]) != "PING":
            seen.append(command)
            if len(seen) == 1:
                processes.server.client.ping()
    assert len(seen) > 8
    everything = repr(seen) + repr(processes.server.contents())
    for secret in ("canary", "1999-09-09", "o365", "2026-01-01", "serviceCode", "licensesSold"):
        assert secret not in everything


def damaged(value: bytes) -> bytes:
    return value[:-1] + bytes([value[-1] ^ 1])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: b"planted",
        damaged,
        lambda value: value[: len(value) // 2],
        lambda value: value[:5],
        lambda value: b"\x01" + value[1:],
        lambda value: value[:1] + damaged(value[1:13]) + value[13:],
        lambda value: pickle.dumps({"rows": []}),
        lambda value: b"x" * 9_000_000,
    ],
    ids=["planted", "damaged", "half", "stump", "version", "nonce", "pickle", "huge"],
)
async def test_a_changed_value_is_a_miss_and_counted(processes: Processes, spoil: Callable[[bytes], bytes]) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask()
    processes.server.put({key: spoil(value) for key, value in processes.server.contents().items()})
    assert (await two.ask()).cache is MISS
    assert two.outcomes["refused"] >= 1
    # Process two has replaced the changed value by a good one.
    assert (await (await processes.start()).ask()).cache is HIT


async def test_a_value_of_another_kind_is_a_miss_and_redis_stays_in_use(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask()
    client = processes.server.client
    for key in processes.server.contents():
        client.delete(key)
        client.lpush(key, "planted")
    assert (await two.ask()).cache is MISS
    assert two.outcomes["refused"] >= 1
    assert not two.store.is_left_out


async def test_a_value_copied_from_another_key_is_a_miss(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask("one")
    await one.ask("two")
    contents = processes.server.contents()
    large = [key for key, value in contents.items() if len(value) > 150]
    assert len(large) == 2
    processes.server.put(contents | {large[0]: contents[large[1]], large[1]: contents[large[0]]})
    assert (await two.ask("one")).cache is MISS
    assert two.outcomes == Counter(refused=1, miss=1, stored=1)


@pytest.mark.parametrize("error", [Unauthenticated("no"), Forbidden("no")], ids=lambda error: error.code)
async def test_a_refusal_makes_every_page_of_the_token_a_miss_everywhere(
    processes: Processes, error: GatewayError
) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask("one")
    await one.ask("two")
    processes.source.error = error
    with pytest.raises(type(error)):
        await one.ask("one", skip=10)
    with pytest.raises(type(error)):
        await two.ask("one")
    assert (await two.ask("two")).cache is HIT
    processes.source.error = None
    # The upstream may accept the same token later. Pages read from then on are cached.
    assert (await two.ask("one")).cache is MISS
    assert (await one.ask("one")).cache is HIT


async def test_a_read_pending_in_another_process_when_the_token_is_refused_is_not_shared(
    processes: Processes,
) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask(skip=10)
    processes.source.gate.clear()
    under_way = asyncio.create_task(one.ask())
    await until(lambda: processes.calls == 2)
    await two.cache.drop_token(caller())
    processes.source.gate.set()
    await under_way
    assert one.outcomes["not_stored"] == 1
    assert (await two.ask()).cache is MISS


async def test_evicting_a_generation_invalidates_its_blocks(processes: Processes) -> None:
    one = await processes.start()
    await one.ask()
    contents = processes.server.contents()
    assert len(contents) == 3
    for key in contents:
        processes.server.put({name: value for name, value in contents.items() if name != key})
        page = await (await processes.start()).ask()
        assert (page.cache, len(page.rows)) == (MISS, 10)
    processes.server.put(contents)
    assert (await (await processes.start()).ask()).cache is HIT


async def test_a_block_of_a_newer_snapshot_drops_the_older_blocks_in_redis(processes: Processes) -> None:
    one, two, three = await processes.start(), await processes.start(), await processes.start()
    await one.ask()
    await one.ask(skip=10)
    processes.clock.seconds += 1
    processes.source.date = "2026-02-02T00:00:00"
    # Process two has none of these blocks in memory, and reads a third block.
    await two.ask(skip=20)
    assert (await three.ask(skip=20)).cache is HIT
    assert (await three.ask()).cache is MISS
    assert (await three.ask(skip=10)).cache is MISS


async def test_a_newer_block_from_redis_drops_the_older_blocks_in_memory(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask()
    processes.clock.seconds += 1
    processes.source.date = "2026-02-02T00:00:00"
    await two.ask(skip=10)
    assert (await one.ask(skip=10)).cache is HIT
    assert one.cache.store.entries == 1
    assert (await one.ask()).cache is MISS


async def test_an_older_block_in_redis_is_not_used_with_newer_blocks_in_memory(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask(skip=10)
    contents = processes.server.contents()
    processes.clock.seconds += 1
    processes.source.date = "2026-02-02T00:00:00"
    await two.ask()
    # Restore the earlier entries, as if process two had failed to store its page.
    processes.server.put(contents)
    assert (await two.ask(skip=10)).cache is MISS
    assert two.cache.store.entries == 2
    assert (await (await processes.start()).ask(skip=10)).snapshot.dates == (("o365", "2026-02-02T00:00:00"),)


async def test_an_older_read_that_ends_late_is_not_stored_with_newer_ones(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    processes.source.date = "2026-02-02T00:00:00"
    await one.ask()
    processes.source.clock = lambda: processes.clock() - 10
    processes.source.date = "2026-01-01T00:00:00"
    await two.ask(skip=10)
    assert two.outcomes["not_stored"] == 1
    assert (await (await processes.start()).ask()).cache is HIT


async def test_revalidation_reads_the_upstream_and_updates_redis(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask()
    assert (await two.ask(revalidate=True)).cache is MISS
    assert processes.calls == 2
    assert two.outcomes == Counter(stored=1)


async def test_closing_waits_for_pending_stores(processes: Processes) -> None:
    one = await processes.start()
    await one.cache.fetch(query(), caller())
    await one.aclose()
    assert (await (await processes.start()).ask()).cache is HIT


async def test_a_page_that_redis_returns_while_its_token_is_being_refused_is_not_put_into_memory(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is refused after Redis returns the page and before it is put into memory."""
    await (await processes.start()).ask()
    process = await processes.start()
    find = process.shared.find

    async def find_then_refuse(*arguments: Any) -> Any:
        answer = await find(*arguments)
        assert answer[1] is not None
        await process.cache.drop_token(caller())
        return answer

    monkeypatch.setattr(process.shared, "find", find_then_refuse)
    page = await process.ask()
    assert (page.cache, process.cache.store.entries) == (MISS, 0)
    assert processes.calls == 2
