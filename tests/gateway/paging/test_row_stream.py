"""All rows of a query, block by block: how many blocks are held, and where the stream ends."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import replace
from typing import Any

import pytest

from gateway.caller import Caller
from gateway.errors import SnapshotChanged, UpstreamBadResponse
from gateway.page import CacheState, Page
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.row_stream import RowStream
from gateway.query import PageQuery
from gateway.snapshots.differing_blocks import DifferingBlocks
from gateway.snapshots.snapshot import Snapshot
from gateway.snapshots.snapshot_digest import SnapshotDigest
from tests.gateway.fakes import FakeSource, caller, query


class Rows(list[Any]):
    """Rows that support weak references."""


class CountingSource(FakeSource):
    """Counts the blocks still referenced; its pages have neither total nor `more` if ``has_no_total``."""

    def __init__(self, total: int, *, has_no_total: bool = False) -> None:
        super().__init__(lambda: 0.0, total)
        self._blocks: list[weakref.ref[Rows]] = []
        self.most_held = 0
        self._has_no_total = has_no_total

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        page = await super().fetch(query, caller)
        rows = Rows(page.rows)
        self._blocks.append(weakref.ref(rows))
        self.most_held = max(self.most_held, sum(block() is not None for block in self._blocks))
        if self._has_no_total and page.rows:
            page = replace(page, more=None, total_count=None, snapshot=replace(page.snapshot, total_count=None))
        return replace(page, rows=rows)


def stream_of(source: FakeSource, block_rows: int = 10) -> RowStream:
    """Return all rows of ``source`` in blocks of ``block_rows``."""
    return RowStream(source, query(), BlockSizes(4, block_rows), caller)


async def numbers(stream: RowStream) -> list[int]:
    """Return the numbers of all rows."""
    opening = await stream.opening()
    return [row.licenses_sold for page in [page async for page in stream.pages(opening)] for row in page.rows]


@pytest.mark.parametrize("total", [0, 1, 9, 10, 11, 20, 95, 100])
@pytest.mark.parametrize("has_no_total", [False, True], ids=["total", "no total"])
def test_every_row_is_returned_once_in_order(total: int, has_no_total: bool) -> None:
    """Also if the upstream reports neither a total nor whether rows follow a full block."""
    source = CountingSource(total, has_no_total=has_no_total)
    stream = stream_of(source)
    assert asyncio.run(numbers(stream)) == list(range(total))
    assert stream.rows == total
    assert {top for _, _, top in source.calls} == {10}


async def test_at_most_two_blocks_are_held_while_a_third_is_read() -> None:
    source = CountingSource(200)
    stream = stream_of(source)
    opening = await stream.opening()
    async for page in stream.pages(opening):
        del page
    assert len(source.calls) == 20
    assert source.most_held <= 3


async def test_a_block_of_another_snapshot_ends_the_stream() -> None:
    source = FakeSource(lambda: 0.0, 50)
    stream = stream_of(source)
    opening = await stream.opening()
    pages = stream.pages(opening)
    seen = [len((await anext(pages)).rows) for _ in range(3)]
    source.date = "2026-01-02T00:00:00"
    with pytest.raises(SnapshotChanged):
        await anext(pages)
    assert seen == [10, 10, 10]


class DatedSource(FakeSource):
    """A source with one dictionary of services and dates per block."""

    def __init__(self, dates: list[dict[str, str]]) -> None:
        super().__init__(lambda: 0.0, 10 * len(dates), has_total=False)
        self._dates = dates

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        page = await super().fetch(query, caller)
        dates = tuple(sorted(self._dates[query.skip // 10].items()))
        return replace(page, snapshot=replace(page.snapshot, dates=dates))


async def test_a_block_is_compared_with_all_earlier_blocks() -> None:
    """The last block alone lacks services that only earlier blocks have."""
    first, second = "2026-01-01T00:00:00", "2026-01-02T00:00:00"
    source = DatedSource([{"crm": first}, {"o365": first}, {"o365": first}, {"crm": first}])
    stream = stream_of(source)
    pages = stream.pages(await stream.opening())
    row_counts = [len((await anext(pages)).rows) for _ in range(3)]
    source._dates[0] = source._dates[3] = {"crm": second}
    with pytest.raises(SnapshotChanged):
        await anext(pages)
    assert row_counts == [10, 10, 10]


SORTED = [{"crm": f"2026-01-{30 - block:02}T00:00:00"} for block in range(6)]


async def test_rows_sorted_by_date_are_one_snapshot_and_each_block_costs_two_more_calls_once() -> None:
    source = DatedSource(SORTED)
    differing = DifferingBlocks()
    first, second = stream_of(source), stream_of(source)
    first.differing = second.differing = differing
    assert await numbers(first) == list(range(60))
    assert len(source.calls) == 6 + 5 * 2
    assert await numbers(second) == list(range(60))
    assert len(source.calls) == 6 + 5 * 2 + 6


@pytest.mark.parametrize("changed", range(6))
async def test_sorted_data_that_is_reprocessed_during_the_stream_ends_it(changed: int) -> None:
    """Every date changes before the stream loads block ``changed``, as if a day had passed."""

    class Reprocessed(DatedSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            if query.skip == 10 * changed and not query.revalidate:
                self._dates = [{"crm": f"2026-02-{30 - block:02}T00:00:00"} for block in range(6)]
            return await super().fetch(query, caller)

    stream = stream_of(Reprocessed(SORTED))
    if not changed:
        assert await numbers(stream) == list(range(60))
        return
    with pytest.raises(SnapshotChanged):
        await numbers(stream)
    assert stream.rows == 10 * changed


async def test_blocks_of_different_services_and_equal_dates_are_one_snapshot() -> None:
    date = "2026-01-01T00:00:00"
    source = DatedSource([{"crm": date}, {"o365": date}, {"crm": date, "o365": date}])
    assert await numbers(stream_of(source)) == list(range(30))


class LosingSource(FakeSource):
    """Announces ``total`` rows, but has 30 and ``rows_left`` more; the last block announces nothing."""

    rows_left = 0

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        page = await super().fetch(query, caller)
        if query.skip < 30:
            return page
        snapshot = replace(page.snapshot, total_count=None)
        return replace(page, rows=page.rows[: self.rows_left], more=False, total_count=None, snapshot=snapshot)


@pytest.mark.parametrize("rows_left", [0, 5])
async def test_a_stream_that_ends_before_the_announced_rows_is_an_error(rows_left: int) -> None:
    """Even if its last block is in itself complete: a file that ends normally is taken for complete."""
    source = LosingSource(lambda: 0.0, 100)
    source.rows_left = rows_left
    stream = stream_of(source)
    with pytest.raises(UpstreamBadResponse):
        await numbers(stream)
    assert stream.rows == 30 + rows_left


async def test_an_opening_that_ends_before_the_announced_rows_is_an_error_or_has_a_warning() -> None:
    class Short(FakeSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            page = await super().fetch(query, caller)
            if query.skip == 0:
                return page
            snapshot = replace(page.snapshot, total_count=None)
            return replace(page, rows=page.rows[:3], more=False, total_count=None, snapshot=snapshot)

    with pytest.raises(UpstreamBadResponse):
        await numbers(stream_of(Short(lambda: 0.0, 25)))
    stream = stream_of(Short(lambda: 0.0, 25))
    stream.accepts_incomplete = True
    opening = await stream.opening()
    assert opening[-1].is_incomplete
    assert [len(page.rows) async for page in stream.pages(opening)] == [10, 3]


# Continued


async def rest(source: FakeSource, start: int, snapshot: Snapshot) -> list[int]:
    """The numbers of the rows from ``start`` of a stream that began in ``snapshot``."""
    stream = stream_of(source)
    stream.start, stream.digest = start, SnapshotDigest.of(snapshot, "export")
    rows = await numbers(stream)
    assert stream.rows == len(rows)
    return rows


DATE = "2026-01-01T00:00:00"


@pytest.mark.parametrize("start", [0, 1, 9, 10, 11, 19, 20, 39, 40])
@pytest.mark.parametrize("total", [40, 45])
@pytest.mark.parametrize("has_no_total", [False, True], ids=["total", "no total"])
async def test_a_stream_continues_after_any_row(start: int, total: int, has_no_total: bool) -> None:
    """Also directly behind the last row, which may be the last of a block."""
    snapshot = Snapshot(None if has_no_total else total, (("o365", DATE),))
    assert await rest(CountingSource(total, has_no_total=has_no_total), start, snapshot) == list(range(start, total))


@pytest.mark.parametrize("start", [41, 49, 50, 51, 1_000])
@pytest.mark.parametrize("has_no_total", [False, True], ids=["total", "no total"])
async def test_a_row_beyond_the_end_is_of_another_snapshot(start: int, has_no_total: bool) -> None:
    source = CountingSource(40, has_no_total=has_no_total)
    snapshot = Snapshot(None if has_no_total else 40, (("o365", DATE),))
    with pytest.raises(SnapshotChanged):
        await rest(source, start, snapshot)


@pytest.mark.parametrize(
    "snapshot", [Snapshot(41, (("o365", DATE),)), Snapshot(40, (("o365", "2026-01-02T00:00:00"),))]
)
async def test_a_stream_of_another_snapshot_is_not_continued(snapshot: Snapshot) -> None:
    source = FakeSource(lambda: 0.0, 40)
    with pytest.raises(SnapshotChanged):
        await rest(source, 10, snapshot)
    assert len(source.calls) == 2


async def test_a_block_without_a_known_service_is_compared_by_the_first_block() -> None:
    first, second = "2026-01-01T00:00:00", "2026-01-02T00:00:00"
    started = Snapshot(None, (("crm", first),))
    same = DatedSource([{"crm": first}, {"o365": first}, {"o365": first}])
    assert await rest(same, 15, started) == list(range(15, 30))
    changed = DatedSource([{"crm": second}, {"o365": second}, {"o365": second}])
    with pytest.raises(SnapshotChanged):
        await rest(changed, 15, started)


@pytest.mark.parametrize("start", [5, 10, 15, 25, 59])
async def test_a_stream_of_sorted_rows_continues_after_any_row(start: int) -> None:
    source = DatedSource(SORTED)
    started = Snapshot(None, tuple(SORTED[0].items()))
    assert await rest(source, start, started) == list(range(start, 60))
    source._dates = [SORTED[1], *SORTED[1:]]
    with pytest.raises(SnapshotChanged):
        await rest(source, start, started)


class BehindSource(FakeSource):
    """A cache whose blocks are older than the upstream's, until it is asked to revalidate."""

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        page = await super().fetch(query, caller)
        if query.revalidate:
            return page
        return replace(page, cache=CacheState.HIT, snapshot=replace(page.snapshot, dates=(("o365", "2025-01-01"),)))


async def test_a_cache_behind_the_snapshot_is_revalidated() -> None:
    assert await rest(BehindSource(lambda: 0.0, 15), 5, Snapshot(15, (("o365", DATE),))) == list(range(5, 15))
