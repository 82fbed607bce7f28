"""Whatever Redis does, the correct page is returned quickly, and Redis is used again once it recovers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import structlog
from structlog.testing import capture_logs

from gateway.cache.redis_client import MAX_VALUE_BYTES, OPERATION_TIMEOUT_SECONDS
from gateway.cache.redis_store import RedisStore
from gateway.cache.sealing import Entry
from gateway.config.redis_url import RedisAddress, cache_address
from gateway.errors import Forbidden
from gateway.page import CacheState
from tests.gateway.cache.test_shared_pages import Process, Processes
from tests.gateway.cache.troubled_redis import TROUBLES, TroubledRedis, troubled_redis
from tests.gateway.fakes import UPSTREAM, caller
from tests.ports import free_port
from tests.redis_server import RedisServer, redis_server, until

HIT, MISS = CacheState.HIT, CacheState.MISS

# FAULTS.md: the limit of the first call that meets trouble, everything included.
FIRST_TIME_SECONDS = 2.0


def place(name: str) -> Entry:
    """Return an entry with this name."""
    return Entry(name, b"")


def places(*names: str) -> list[Entry]:
    return [place(name) for name in names]


class Gate:
    """A sleep that lasts until the gate is opened."""

    def __init__(self) -> None:
        self._open = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        await self._open.wait()
        self._open.clear()

    def open(self) -> None:
        self._open.set()


class Bench:
    """A process behind a proxy, one connected directly to Redis, and the gate for the first one's probes."""

    def __init__(self, processes: Processes, proxy: TroubledRedis, beside: Process) -> None:
        self.processes, self.proxy, self.beside = processes, proxy, beside
        self.gate = Gate()
        self.process = Process(
            proxy.port,
            processes.clock,
            processes.source,
            sleep=self.gate.sleep,
            timeout_seconds=OPERATION_TIMEOUT_SECONDS,
        )

    async def until_used_again(self) -> None:
        while self.process.store.is_left_out:
            self.gate.open()
            await asyncio.sleep(0.01)


@pytest.fixture
async def bench(redis: RedisServer) -> AsyncIterator[Bench]:
    async with troubled_redis(redis.port) as proxy, AsyncExitStack() as stack:
        processes = Processes(redis, stack)
        bench = Bench(processes, proxy, await processes.start())
        stack.push_async_callback(bench.process.aclose)
        yield bench


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_redis_trouble_delays_only_one_call_and_redis_is_used_again_afterwards(
    bench: Bench, trouble: str
) -> None:
    process = bench.process
    await process.store.start()
    await process.ask(skip=20)
    assert (await bench.beside.ask(skip=20)).cache is HIT

    bench.proxy.trouble = TROUBLES[trouble]
    with structlog.testing.capture_logs() as lines:
        started = time.monotonic()
        page = await process.ask()
        assert time.monotonic() - started < FIRST_TIME_SECONDS
        assert (page.cache, len(page.rows)) == (MISS, 10)
        await process.ask(skip=10)
        assert process.store.is_left_out
        seen = bench.proxy.requests
        for skip in (30, 40, 50):
            assert (await process.ask(skip=skip)).cache is MISS
        assert (await process.ask()).cache is HIT
        # While the breaker is open, the server gets no requests.
        assert bench.proxy.requests == seen

        bench.proxy.trouble = None
        await bench.until_used_again()
    assert [line["event"] for line in lines] == [
        "redis is not used until it answers again",
        "redis is used again",
    ]
    # Some causes have a remedy.
    assert lines[0].keys() - {"remedy"} == {"event", "log_level", "reason", "host", "cause"}
    await process.ask(skip=60)
    assert (await bench.beside.ask(skip=60)).cache is HIT


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_redis_trouble_at_startup_opens_the_breaker_but_does_not_prevent_startup(
    bench: Bench, trouble: str
) -> None:
    bench.proxy.trouble = TROUBLES[trouble]
    await bench.process.store.start()
    assert bench.process.store.is_left_out
    assert len((await bench.process.ask()).rows) == 10
    bench.gate.open()
    await asyncio.sleep(0.3)
    # The first probe has failed, too.
    assert bench.process.store.is_left_out
    bench.proxy.trouble = None
    await bench.until_used_again()


async def test_a_slow_server_is_not_used_until_it_is_fast_again(bench: Bench) -> None:
    await bench.process.store.start()
    bench.proxy.delay_seconds = 0.4
    for skip in (0, 10):
        assert (await bench.process.ask(skip=skip)).cache is MISS
    assert bench.process.store.is_left_out
    bench.gate.open()
    await bench.process.ask(skip=20)
    assert bench.process.store.is_left_out
    bench.proxy.delay_seconds = 0.0
    await bench.until_used_again()
    await bench.process.ask(skip=30)
    assert (await bench.beside.ask(skip=30)).cache is HIT


@pytest.mark.parametrize("kind", ["replica", "full"])
async def test_a_server_that_can_be_read_but_not_written_is_not_used(bench: Bench, kind: str) -> None:
    client = bench.processes.server.client
    if kind == "replica":
        client.replicaof("127.0.0.1", "1")
    else:
        client.config_set("maxmemory", "1")
    try:
        await bench.process.store.start()
        assert bench.process.store.is_left_out
        bench.gate.open()
        await asyncio.sleep(0.1)
        assert bench.process.store.is_left_out
    finally:
        client.replicaof("NO", "ONE")
        client.config_set("maxmemory", "0")
    await bench.until_used_again()


async def test_a_restarted_server_is_used_again() -> None:
    with redis_server() as server:
        async with AsyncExitStack() as stack:
            processes = Processes(server, stack)
            one, two = await processes.start(), await processes.start()
            await one.ask()
            server.stop()
            for skip in (10, 20, 30):
                assert (await one.ask(skip=skip)).cache is MISS
                assert (await two.ask(skip=skip)).cache is MISS
            assert one.store.is_left_out
            server.start()
            await until(lambda: not (one.store.is_left_out or two.store.is_left_out))
            await one.ask()
            await one.ask(skip=40)
            assert (await two.ask(skip=40)).cache is HIT


async def test_pages_are_returned_without_a_redis_server() -> None:
    store = RedisStore(RedisAddress("127.0.0.1", free_port()), UPSTREAM)
    await store.start()
    assert store.is_left_out
    assert await store.get_many(places("key")) is None
    assert not await store.set(place("key"), b"value", ttl_seconds=1)
    await store.aclose()


async def test_one_failure_does_not_open_the_breaker(bench: Bench) -> None:
    await bench.process.store.start()
    for _ in range(3):
        bench.proxy.trouble = TROUBLES["cut"]
        assert await bench.process.store.get_many(places("key")) is None
        bench.proxy.trouble = None
        assert await bench.process.store.get_many(places("key")) == [None]
    assert not bench.process.store.is_left_out


async def test_a_canceled_call_never_leaves_its_response_for_the_next_one(bench: Bench) -> None:
    """The incident of March 2023: whenever a call is canceled, each key still returns its own value."""
    store = bench.process.store
    for number in range(20):
        assert await store.set(place(f"key{number}"), f"value{number}".encode(), ttl_seconds=60)
    bench.proxy.delay_seconds = 0.005
    for step in range(60):
        task = asyncio.create_task(store.get_many(places(f"key{step % 20}", f"key{(step + 1) % 20}")))
        await asyncio.sleep(step * 0.0002)
        task.cancel()
        await asyncio.wait({task})
        values = await store.get_many(places("key7", "key8"))
        assert values == [b"value7", b"value8"]
    assert not store.is_left_out


async def test_a_timed_out_call_never_leaves_its_response_for_the_next_one(bench: Bench) -> None:
    store = bench.process.store
    for number in range(2):
        assert await store.set(place(f"key{number}"), f"value{number}".encode(), ttl_seconds=60)
    bench.proxy.delay_seconds = 0.3
    assert await store.get_many(places("key0")) is None
    bench.proxy.delay_seconds = 0.0
    await asyncio.sleep(0.1)
    assert await store.get_many(places("key1")) == [b"value1"]


async def test_idle_connections_closed_by_the_server_are_not_failures(redis: RedisServer) -> None:
    errors: list[None] = []
    store = RedisStore(
        RedisAddress("127.0.0.1", redis.port), UPSTREAM, on_error=lambda: errors.append(None), timeout_seconds=10
    )
    for _ in range(3):
        await asyncio.gather(*(store.get_many(places("key")) for _ in range(5)))
        redis.client.client_kill_filter(_type="normal", skipme=True)
        idle = store._cache.client.connection_pool._available_connections
        await until(lambda: all(connection._reader.at_eof() for connection in idle if connection.is_connected))  # noqa: B023
        assert await store.get_many(places("key")) == [None]
    assert errors == []
    await store.aclose()


async def test_many_concurrent_calls_share_few_connections(bench: Bench) -> None:
    store = RedisStore(RedisAddress("127.0.0.1", bench.proxy.port), UPSTREAM, timeout_seconds=10)
    values = await asyncio.gather(*(store.get_many(places("key")) for _ in range(64)))
    assert values == [[None]] * 64
    assert bench.proxy.connections <= 32
    await store.aclose()


async def test_at_most_the_size_limit_of_a_value_is_read(redis: RedisServer) -> None:
    store = RedisStore(RedisAddress("127.0.0.1", redis.port), UPSTREAM, timeout_seconds=10)
    redis.client.set("huge", b"x" * (MAX_VALUE_BYTES + 1))
    redis.client.set("large", b"x" * 100_000)
    redis.client.rpush("list", "x")
    assert await store.get_many(places("huge", "large", "list", "none")) == [b"", b"x" * 100_000, b"", None]
    await store.aclose()


async def test_a_refusal_while_redis_is_unavailable_is_stored_when_redis_returns(bench: Bench) -> None:
    process, beside = bench.process, bench.beside
    await process.ask()
    bench.proxy.trouble = TROUBLES["cut"]
    bench.processes.source.error = Forbidden("no")
    for skip in (10, 20):
        with pytest.raises(Forbidden):
            await process.ask(skip=skip)
    assert process.store.is_left_out
    bench.proxy.trouble = None
    await bench.until_used_again()
    await until(lambda: not [refusal for refusal in process.shared._tokens._refusals.values() if not refusal.is_stored])
    with pytest.raises(Forbidden):
        await process.ask()
    with pytest.raises(Forbidden):
        await beside.ask()


async def test_a_refusal_that_redis_missed_applies_in_this_process_at_once(bench: Bench) -> None:
    await bench.process.ask()
    bench.proxy.trouble = TROUBLES["cut"]
    await bench.process.cache.drop_token(caller())
    bench.proxy.trouble = None
    assert not bench.process.store.is_left_out
    assert (await bench.process.ask()).cache is MISS
    assert (await bench.beside.ask()).cache is HIT
    assert bench.processes.calls == 2


@pytest.mark.parametrize("credentials", ["", ":wrong@", "nobody:wrong@"])
async def test_a_wrong_password_is_named_with_the_setting_to_change(credentials: str) -> None:
    with redis_server() as server:
        server.client.config_set("requirepass", "right")
        address = cache_address(server.url.replace("//", f"//{credentials}"))
        assert address is not None
        store = RedisStore(address, UPSTREAM)
        with capture_logs() as lines:
            await store.start()
        await store.aclose()
    assert lines[0]["cause"] == "it wants another user name or password"
    assert "GATEWAY_CACHE_URL" in lines[0]["remedy"]
    assert "wrong" not in str(lines)


async def test_a_missing_permission_is_named() -> None:
    with redis_server() as server:
        server.client.execute_command("ACL", "SETUSER", "reader", "on", ">word", "~pcg:*", "+get", "+select")
        address = cache_address(server.url.replace("//", "//reader:word@"))
        assert address is not None
        store = RedisStore(address, UPSTREAM)
        with capture_logs() as lines:
            await store.start()
        await store.aclose()
    assert lines[0]["cause"] == "the user lacks a permission"
