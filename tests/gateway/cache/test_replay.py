"""Older values that somebody puts back into Redis, and tokens that nobody accepts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from gateway.cache import generations
from gateway.cache.generations import UNUSED_SECONDS
from gateway.errors import Forbidden, GatewayError, RateLimited, Unauthenticated
from gateway.page import CacheState
from tests.gateway.cache.test_shared_pages import Process, Processes
from tests.gateway.fakes import caller
from tests.redis_server import RedisServer

HIT, MISS = CacheState.HIT, CacheState.MISS
REFUSALS = pytest.mark.parametrize("error", [Unauthenticated("no"), Forbidden("no")], ids=lambda error: error.code)


@pytest.fixture
async def processes(redis: RedisServer) -> AsyncIterator[Processes]:
    async with AsyncExitStack() as stack:
        yield Processes(redis, stack)


async def refuse(process: Process, error: GatewayError, token: str = "one") -> None:
    """Let the upstream refuse the token."""
    process.source.error = error
    with pytest.raises(type(error)):
        await process.ask(token, revalidate=True)
    process.source.error = None


@REFUSALS
async def test_values_restored_after_a_refusal_are_misses_in_processes_that_saw_it(
    processes: Processes, error: GatewayError
) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask()
    await one.ask(skip=10)
    before = processes.server.contents()
    processes.clock.seconds += 1
    await refuse(two, error)
    for skip in (0, 10):
        processes.server.put(before)
        assert (await two.ask(skip=skip)).cache is MISS


async def test_values_restored_repeatedly_stay_misses_for_their_whole_lifetime(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask()
    before = processes.server.contents()
    processes.clock.seconds += 1
    await refuse(two, Forbidden("no"))
    for after_seconds in (0, 99, 900, 99):
        processes.clock.seconds += after_seconds
        processes.server.put(before)
        two.source.error = Forbidden("no")
        with pytest.raises(Forbidden):
            await two.ask()


async def test_pages_read_after_the_refusal_are_shared(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    await one.ask()
    processes.clock.seconds += 1
    await refuse(two, Forbidden("no"))
    processes.clock.seconds += 1
    await one.ask(skip=10)
    assert (await two.ask(skip=10)).cache is HIT


async def test_a_refusal_concerns_neither_other_tokens_nor_other_upstreams(processes: Processes) -> None:
    one, two = await processes.start(), await processes.start()
    other = await processes.start(upstream="http://other.invalid:80/partner/v1")
    await one.ask("one")
    await one.ask("two")
    processes.clock.seconds += 1
    await refuse(other, Forbidden("no"))
    assert (await two.ask("one")).cache is HIT
    await refuse(two, Forbidden("no"))
    assert (await two.ask("two")).cache is HIT


async def test_the_memory_of_refusals_is_bounded_and_freed(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "MAX_REFUSALS", 5)
    process = await processes.start()
    refusals = process.shared._tokens._refusals
    for number in range(20):
        await process.cache.drop_token(caller(f"token{number}"))
        assert len(refusals) <= 5
    assert process.shared._tokens.refused_at(caller("token19").token) == processes.clock.seconds
    processes.clock.seconds += 1_160
    await process.cache.drop_token(caller("last"))
    assert len(refusals) == 1


@pytest.mark.parametrize("error", [Unauthenticated("no"), Forbidden("no"), RateLimited("no", retry_after_seconds=600)])
async def test_a_token_that_was_never_accepted_leaves_nothing_beyond_ten_minutes(
    processes: Processes, error: GatewayError
) -> None:
    process, client = await processes.start(), processes.server.client
    process.source.error = error
    for _ in range(3):
        with pytest.raises(type(error)):
            await process.ask("made-up")
        lives = [client.pttl(key) for key in processes.server.contents()]
        assert all(0 < life <= UNUSED_SECONDS * 1_000 for life in lives), lives
    assert UNUSED_SECONDS <= 600


async def test_a_damaged_generation_is_replaced_for_ten_minutes(processes: Processes) -> None:
    process, client = await processes.start(), processes.server.client
    process.source.error = Unauthenticated("no")
    with pytest.raises(Unauthenticated):
        await process.ask()
    [key] = processes.server.contents()
    client.set(key, b"damaged", ex=5_000)
    with pytest.raises(Unauthenticated):
        await process.ask()
    assert client.pttl(key) <= 600_000


async def test_the_generation_of_a_refused_token_outlives_the_next_blocks(processes: Processes) -> None:
    process, client = await processes.start(), processes.server.client
    await process.ask()
    await refuse(process, Forbidden("no"))
    await process.ask()
    lives = {key: client.pttl(key) for key in processes.server.contents()}
    [generation] = [key for key in lives if len(client.get(key)) == generations.GENERATION_BYTES]
    assert lives[generation] > 1_150_000


async def test_a_refusal_during_another_is_stored_too(processes: Processes) -> None:
    process = await processes.start()
    await process.ask()
    before = processes.server.contents()
    await asyncio.gather(*(process.cache.drop_token(caller()) for _ in range(5)))
    after = processes.server.contents()
    assert [key for key in before if before[key] != after[key]]
    assert all(refusal.is_stored for refusal in process.shared._tokens._refusals.values())
