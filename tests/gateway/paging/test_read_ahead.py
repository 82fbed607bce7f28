"""Blocks are loaded ahead, in order, within bounds, and no further than needed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.errors import (
    Forbidden,
    GatewayError,
    RateLimited,
    SnapshotChanged,
    Unauthenticated,
    UpstreamUnavailable,
)
from gateway.page import Caller, Page
from gateway.paging.blocks import BlockSizes
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


def stream_of(source: FakeSource, ahead: ReadAhead) -> RowStream:
    return RowStream(source, query(), BlockSizes(4, BLOCK_ROWS), caller, ahead=ahead)


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
    await asyncio.gather(*(numbers(stream_of(source, ahead)) for _ in range(3)))
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


@pytest.mark.parametrize(
    "error", [UpstreamUnavailable("down"), RateLimited("wait", retry_after_seconds=9)], ids=lambda error: error.code
)
async def test_an_error_of_a_call_made_ahead_reaches_no_one_and_ends_the_reading_ahead(error: GatewayError) -> None:
    source = SlowSource(200)
    source.refused = {30: error}
    assert await numbers(stream_of(source, ReadAhead(4))) == list(range(200))
    assert source.ahead < 10


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
    assert len((await anext(pages)).rows) == BLOCK_ROWS
    await pages.aclose()
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
