"""Blocks are loaded ahead, in order, within bounds, and no further than needed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from gateway.caller import Ahead, Caller
from gateway.errors import (
    Forbidden,
    GatewayError,
    RateLimited,
    SnapshotChanged,
    Unauthenticated,
    UpstreamUnavailable,
)
from gateway.page import Page
from gateway.paging import read_ahead
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.read_ahead import ReadAhead
from gateway.paging.row_stream import RowStream
from gateway.query import PageQuery
from tests.gateway.fakes import FakeSource, caller, query

BLOCK_ROWS = 10


class SlowSource(FakeSource):
    """Takes one step of time for each call, and records how many calls ran at once and how many were made ahead."""

    def __init__(self, total: int, **options: Any) -> None:
        super().__init__(lambda: 0.0, total, **options)
        self.running = self.most_running = self.ahead = 0
        self.refused: dict[int, GatewayError] = {}

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.ahead += caller.ahead is not None
        try:
            await asyncio.sleep(0.01)
            if caller.ahead is not None and query.skip in self.refused:
                raise self.refused[query.skip]
            return await super().fetch(query, caller)
        finally:
            self.running -= 1


def stream_of(source: FakeSource, ahead: ReadAhead, token: str = "one") -> RowStream:
    return RowStream(source, query(), BlockSizes(4, BLOCK_ROWS), lambda: caller(token), ahead=ahead)


class Reader:
    """A reader that takes one block at a time."""

    def __init__(self, source: FakeSource, ahead: ReadAhead, token: str = "one") -> None:
        self.stream = stream_of(source, ahead, token)
        self.pages: AsyncGenerator[Page] | None = None

    async def read(self) -> list[int]:
        """Return the rows of the next block."""
        if self.pages is None:
            self.pages = self.stream.pages(await self.stream.opening())
        return [row.licenses_sold for row in (await anext(self.pages)).rows]

    async def aclose(self) -> None:
        assert self.pages is not None
        await self.pages.aclose()


async def numbers(stream: RowStream) -> list[int]:
    opening = await stream.opening()
    return [row.licenses_sold async for page in stream.pages(opening) for row in page.rows]


@pytest.mark.parametrize("total", [0, 1, 9, 10, 11, 95, 100, 101])
@pytest.mark.parametrize("per_traversal", [0, 1, 4, 100])
async def test_every_row_is_returned_once_in_order_and_no_call_is_unnecessary(total: int, per_traversal: int) -> None:
    source, ahead = SlowSource(total), ReadAhead(per_traversal)
    assert await numbers(stream_of(source, ahead)) == list(range(total))
    assert sorted(skip for _, skip, _ in source.calls) == list(range(0, max(total, 1), BLOCK_ROWS))
    assert ahead.held == 0


async def test_calls_run_at_once_up_to_the_bound() -> None:
    source = SlowSource(200)
    await numbers(stream_of(source, ReadAhead(4)))
    assert source.most_running == 4
    assert source.ahead == 19


async def test_the_bound_of_the_process_covers_all_traversals() -> None:
    source, ahead = SlowSource(200), ReadAhead(4, total=6)
    await asyncio.gather(*(numbers(stream_of(source, ahead, str(number))) for number in range(3)))
    # Those ahead, and one that each traversal waits for.
    assert source.most_running <= 6 + 3
    assert ahead.held == 0


async def test_nothing_is_loaded_ahead_while_the_reader_has_the_first_blocks_in_hand() -> None:
    """A reader that stops keeps a bounded number of blocks."""
    source, ahead = SlowSource(1_000), ReadAhead(4)
    stream = stream_of(source, ahead)
    pages = stream.pages(await stream.opening())
    await anext(pages)
    await asyncio.sleep(0.1)
    assert len(source.calls) == 5
    await pages.aclose()
    assert ahead.held == 0


async def test_a_reader_that_leaves_cancels_what_is_being_loaded() -> None:
    source, ahead = SlowSource(1_000), ReadAhead(4)
    stream = stream_of(source, ahead)
    pages = stream.pages(await stream.opening())
    await anext(pages)
    await pages.aclose()
    assert (source.running, ahead.held) == (0, 0)
    assert len(source.calls) == 1


async def test_without_a_total_nothing_is_loaded_ahead() -> None:
    source = SlowSource(95, has_total=False)
    assert await numbers(stream_of(source, ReadAhead(4))) == list(range(95))
    assert source.most_running == 1


async def test_throttling_of_a_call_made_ahead_reaches_no_one_and_ends_the_reading_ahead() -> None:
    source = SlowSource(200)
    source.refused = {30: RateLimited("wait", retry_after_seconds=9)}
    assert await numbers(stream_of(source, ReadAhead(4))) == list(range(200))
    assert source.ahead < 10


async def test_after_another_error_reading_ahead_goes_on_once_the_block_was_read() -> None:
    source, ahead = SlowSource(200), ReadAhead(4)
    source.refused = {30: UpstreamUnavailable("down")}
    reader = Reader(source, ahead)
    await reader.read()
    await asyncio.sleep(0.1)
    assert source.ahead == 4
    for block in (10, 20):
        assert await reader.read() == list(range(block, block + BLOCK_ROWS))
    assert source.ahead == 4
    # The reader loads it again.
    assert await reader.read() == list(range(30, 40))
    await asyncio.sleep(0)
    assert (source.ahead, ahead.held) == (7, 4)
    await reader.aclose()


async def test_a_token_leaves_half_of_the_blocks_to_others() -> None:
    source, ahead = SlowSource(1_000), ReadAhead(4, total=8)
    busy, other = [Reader(source, ahead, "busy") for _ in range(3)], Reader(source, ahead, "other")
    for reader in (*busy, other):
        await reader.read()
    assert ahead.held == 8
    owner = caller("other").token.locator
    assert [len(traversal) for traversal in ahead._traversals if traversal.owner == owner] == [4]
    for reader in (*busy, other):
        await reader.aclose()
    assert (ahead.held, ahead._traversals) == (0, set())


@pytest.mark.parametrize(("stalled_seconds", "is_given"), [(0.0, True), (3_600.0, False)])
async def test_stalled_readers_give_up_their_blocks_when_others_need_the_room(
    monkeypatch: pytest.MonkeyPatch, stalled_seconds: float, is_given: bool
) -> None:
    monkeypatch.setattr(read_ahead, "STALLED_SECONDS", stalled_seconds)
    source, ahead = SlowSource(200), ReadAhead(4, total=8)
    stalled, other = [Reader(source, ahead, token) for token in ("one", "two")], Reader(source, ahead, "other")
    for reader in stalled:
        await reader.read()
    await asyncio.gather(*(task for traversal in ahead._traversals for *_, task in traversal._queue))
    assert ahead.held == 8
    await other.read()
    assert ahead.held == (4 if is_given else 8)
    # Blocks that were given up are loaded again, and no row is lost.
    for reader in (*stalled, other):
        assert [await reader.read() for _ in range(19)] == [
            list(range(row, row + BLOCK_ROWS)) for row in range(10, 200, 10)
        ]
        await reader.aclose()
    assert ahead.held == 0


class Loads:
    """Loads blocks; each waits for its gate."""

    def __init__(self) -> None:
        self.gates = {row: asyncio.Event() for row in (10, 20)}

    async def __call__(self, row: int, ahead: Ahead) -> Page:
        await self.gates[row].wait()
        return Page((row,), row)


async def test_blocks_being_loaded_are_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "STALLED_SECONDS", 0.0)
    load, bounds = Loads(), ReadAhead(4, total=4)
    stalled = [bounds.traversal(load, owner) for owner in (b"one", b"two")]
    for traversal in stalled:
        traversal.extend(range(10, 30, 10))
    load.gates[10].set()
    for _ in range(3):
        await asyncio.sleep(0)
    assert bounds.held == 4
    assert bounds.has_room(b"three")
    assert bounds.held == 2
    load.gates[20].set()
    for traversal in stalled:
        assert await traversal.take(10) is None
        assert await traversal.take(20) == Page((20,), 20)
        await traversal.aclose()


async def test_blocks_of_a_waiting_reader_are_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "STALLED_SECONDS", 0.0)
    load, bounds = Loads(), ReadAhead(4, total=4)
    waiting = [bounds.traversal(load, owner) for owner in (b"one", b"two")]
    for traversal in waiting:
        traversal.extend(range(10, 30, 10))
    takes = [asyncio.ensure_future(traversal.take(10)) for traversal in waiting]
    load.gates[20].set()
    for _ in range(3):
        await asyncio.sleep(0)
    assert not bounds.has_room(b"three")
    assert bounds.held == 4
    load.gates[10].set()
    assert await asyncio.gather(*takes) == [Page((10,), 10)] * 2
    for traversal in waiting:
        assert await traversal.take(20) == Page((20,), 20)
        await traversal.aclose()


@pytest.mark.parametrize("error", [Unauthenticated("no"), Forbidden("no")], ids=lambda error: error.code)
async def test_after_a_refusal_ahead_a_waiting_reader_gets_the_error_without_another_call(error: GatewayError) -> None:
    class Refusing(FakeSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            if query.skip == 20:
                raise error
            return await super().fetch(query, caller)

    source, ahead = Refusing(lambda: 0.0, 1_000), ReadAhead(4)
    reader = Reader(source, ahead)
    await reader.read()
    source.gate.clear()
    with pytest.raises(type(error)):
        await reader.read()
    assert [skip for _, skip, _ in source.calls] == [0, 10]
    assert (source.cancelled, ahead.held) == (1, 0)


@pytest.mark.parametrize("error", [Unauthenticated("no"), Forbidden("no")], ids=lambda error: error.code)
async def test_a_refusal_of_a_call_made_ahead_cancels_the_others(error: GatewayError) -> None:
    source, ahead = SlowSource(1_000), ReadAhead(4)
    source.refused = {20: error}
    stream = stream_of(source, ahead)
    pages = stream.pages(await stream.opening())
    await anext(pages)
    await asyncio.sleep(0.1)
    assert source.ahead == 4
    assert source.running == 0
    # The block before the refusal is there; after it, the token is not sent again.
    assert len((await anext(pages)).rows) == BLOCK_ROWS
    with pytest.raises(type(error)):
        await anext(pages)
    assert [skip for _, skip, _ in source.calls] == [0, 10]
    assert ahead.held == 0


async def test_blocks_of_the_opening_are_not_loaded_again() -> None:
    source, ahead = SlowSource(100), ReadAhead(4)
    stream = stream_of(source, ahead)
    stream.accepts_incomplete = True
    assert await numbers(stream) == list(range(100))
    assert sorted(skip for _, skip, _ in source.calls) == list(range(0, 100, BLOCK_ROWS))
    assert source.most_running == 4


async def test_a_block_that_the_reader_waits_for_is_needed() -> None:
    needed: list[bool] = []

    class Watched(SlowSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            page = await super().fetch(query, caller)
            needed.append(not caller.is_ahead)
            return page

    await numbers(stream_of(Watched(30), ReadAhead(1)))
    assert needed == [True, True, True]


async def test_a_change_of_the_data_ends_the_reading_ahead() -> None:
    source, ahead = SlowSource(200), ReadAhead(4)
    stream = stream_of(source, ahead)
    pages = stream.pages(await stream.opening())
    await anext(pages)
    source.date = "2026-02-02T00:00:00"
    with pytest.raises(SnapshotChanged):
        await anext(pages)
    assert (source.running, ahead.held) == (0, 0)


async def test_the_errors_of_given_up_blocks_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def load(row: int, ahead: Ahead) -> Page:
        raise UpstreamUnavailable("down")

    traversal = ReadAhead(4).traversal(load, b"one")
    traversal.extend(range(10, 50, 10))
    await asyncio.sleep(0.01)
    traversal._reading_since = float("-inf")
    traversal.give_up_if_stalled()
    del traversal
    gc.collect()
    assert "never retrieved" not in caplog.text
