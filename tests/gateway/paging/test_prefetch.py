"""The next block is loaded shortly before a client that pages through asks for it."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import UpstreamUnavailable
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.prefetch import MAX_LOADING, MAX_LOADING_PER_TOKEN, MAX_READERS, Prefetch
from tests.gateway.fakes import FakeSource, caller, query

SIZES = BlockSizes(5, 10)


class Reading:
    """A client that reads pages, and the calls that its reading causes."""

    def __init__(self, total: int | None = 100) -> None:
        self.source = FakeSource(lambda: 0.0, 100)
        self.prefetch = Prefetch(self.source, SIZES)
        self.total = total

    async def read(self, *stops: int, token: str = "one") -> list[int]:
        """Read up to each of ``stops``; return the first rows of the blocks that were loaded."""
        before = len(self.source.calls)
        for stop in stops:
            self.prefetch.note(query(), caller(token), stop, self.total)
            await asyncio.sleep(0)
        await asyncio.gather(*self.prefetch._tasks)
        return [skip for _, skip, _ in self.source.calls[before:]]


@pytest.mark.parametrize("stop", [1, 5, 9, 10])
async def test_one_look_causes_no_call(stop: int) -> None:
    assert await Reading().read(stop) == []


async def test_the_first_block_causes_no_call_however_often_it_is_read() -> None:
    assert await Reading().read(*range(1, 11), *range(1, 11)) == []


async def test_in_the_last_fifth_of_the_second_block_the_third_is_loaded_once() -> None:
    reading = Reading()
    assert await reading.read(*range(5, 18)) == []
    assert await reading.read(18) == [20]
    assert await reading.read(19, 20) == []
    assert await reading.read(21, 27) == []
    assert await reading.read(28) == [30]


async def test_large_pages_count_as_well() -> None:
    assert await Reading().read(10, 20, 30, 40) == [20, 30, 40]


async def test_a_jump_is_not_a_walk() -> None:
    reading = Reading()
    assert await reading.read(10, 30, 50, 80) == []
    assert await reading.read(20, 10) == []


async def test_nothing_beyond_the_total_is_loaded() -> None:
    assert await Reading(total=30).read(10, 20, 30) == [20]
    assert await Reading(total=31).read(10, 20, 30) == [20, 30]


async def test_without_a_total_nothing_is_loaded() -> None:
    assert await Reading(total=None).read(10, 20, 30) == []


async def test_tokens_are_separate_readers() -> None:
    reading = Reading()
    assert await reading.read(10, token="one") == []
    assert await reading.read(20, token="two") == []
    assert await reading.read(20, token="one") == [20]


async def test_an_error_reaches_no_one() -> None:
    reading = Reading()
    reading.source.error = UpstreamUnavailable("down")
    assert await reading.read(10, 20) == [20]


async def test_clients_and_loads_are_bounded() -> None:
    reading = Reading()
    reading.source.gate.clear()
    for number in range(MAX_READERS + 100):
        for stop in (10, 20):
            reading.prefetch.note(query(), caller(str(number)), stop, 100)
    assert len(reading.prefetch._readers) == MAX_READERS
    assert len(reading.prefetch._tasks) == MAX_LOADING
    await reading.prefetch.aclose()
    await asyncio.sleep(0)
    assert not reading.prefetch._tasks


async def test_one_token_leaves_loads_to_others() -> None:
    reading = Reading()
    reading.source.gate.clear()
    for number in range(MAX_LOADING):
        for stop in (10, 20):
            reading.prefetch.note(query(), caller("busy", f"x-{number}"), stop, 100)
    assert len(reading.prefetch._tasks) == MAX_LOADING_PER_TOKEN
    for stop in (10, 20):
        reading.prefetch.note(query(), caller("other"), stop, 100)
    assert len(reading.prefetch._tasks) == MAX_LOADING_PER_TOKEN + 1
    reading.source.gate.set()
    await asyncio.gather(*reading.prefetch._tasks)
    await asyncio.sleep(0)
    # A block that was not loaded for lack of room is loaded at the next look.
    reading.prefetch.note(query(), caller("busy", f"x-{MAX_LOADING - 1}"), 20, 100)
    assert len(reading.prefetch._tasks) == 1
    await reading.prefetch.aclose()
