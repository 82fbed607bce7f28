"""An empty block that was read before the data grew does not end the rows: the block before it promised more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from gateway.cache.pages import CachedPages
from gateway.config.groups import CacheConfig
from gateway.page import Page, Promise
from gateway.paging.agreement import OperationSnapshots
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.row_stream import RowStream
from gateway.paging.window import PageArguments
from gateway.query import PageQuery
from gateway.snapshots.snapshot import Snapshot
from gateway.snapshots.snapshot_digest import SnapshotDigest
from gateway.upstream import BlockReader
from gateway.upstream.codec import UpstreamResponse
from schema.connection import ConnectionResult, read_connection
from tests.gateway.fakes import Clock, Row, caller, query

SIZES = BlockSizes(5, 10)
DATE = "2026-01-01T00:00:00"


@dataclass
class Linking:
    """An upstream without totals, which links to the next row; ``links_too_far`` if also to the row after the last."""

    rows: int
    clock: Clock
    links_too_far: bool = False
    calls: int = 0

    async def call(self, query: PageQuery, caller: Any, *, deadline: float) -> UpstreamResponse:
        self.calls += 1
        self.clock.seconds += 0.001
        stop = min(self.rows, query.skip + query.top)
        rows = tuple(Row("crm", number, DATE) for number in range(query.skip, stop))
        has_link = stop < self.rows or (self.links_too_far and stop == self.rows and bool(rows))
        return UpstreamResponse(rows, None, has_link)


class Bench:
    """A cache over an upstream without totals."""

    def __init__(self, rows: int, **options: bool) -> None:
        self.clock = Clock()
        self.upstream = Linking(rows, self.clock, **options)
        reader = BlockReader(self.upstream, max_calls=9, operation_timeout_seconds=9, clock=self.clock)
        config = CacheConfig(1_000_000, 1_000, 1_000, SIZES.first_rows, SIZES.rows)
        self.cache = CachedPages(reader, config, clock=self.clock)

    async def page(self, offset: int, first: int, snapshots: OperationSnapshots | None = None) -> ConnectionResult:
        arguments = PageArguments(first, None, None, None, offset)
        return await read_connection(self.cache, query(), caller(), arguments, SIZES, snapshots)

    async def numbers(self, offset: int, first: int) -> list[int]:
        return [row.licenses_sold for row in (await self.page(offset, first)).connection.nodes]

    def stream(self, start: int = 0) -> RowStream:
        digest = SnapshotDigest.of(Snapshot(None, (("crm", DATE),)), "export") if start else None
        return RowStream(self.cache, query(), SIZES, caller, start=start, digest=digest)

    async def export(self, start: int = 0) -> list[int]:
        stream = self.stream(start)
        pages = stream.pages(await stream.opening())
        return [row.licenses_sold async for page in pages for row in page.rows]


async def with_an_outdated_end(rows: int = 14) -> Bench:
    """Return a bench whose cache has an empty block 20, read when there were ``rows``; now there are 24."""
    bench = Bench(rows)
    assert await bench.numbers(21, 5) == []
    bench.upstream.rows = 24
    return bench


@pytest.mark.parametrize(("offset", "first"), [(10, 12), (4, 30), (15, 9)])
async def test_a_page_has_the_rows_after_an_outdated_end(offset: int, first: int) -> None:
    bench = await with_an_outdated_end()
    assert await bench.numbers(offset, first) == list(range(24))[offset : offset + first]


async def test_the_next_page_is_announced_in_spite_of_an_outdated_end() -> None:
    bench = await with_an_outdated_end()
    assert (await bench.page(10, 10)).connection.page_info.has_next_page
    assert await bench.numbers(20, 10) == [20, 21, 22, 23]


@pytest.mark.parametrize("start", [0, 3, 10, 20])
async def test_an_export_has_the_rows_after_an_outdated_end(start: int) -> None:
    bench = await with_an_outdated_end()
    assert await bench.export(start) == list(range(start, 24))


async def test_a_later_block_of_an_export_replaces_an_outdated_end() -> None:
    """The end was cached between two blocks of the stream, before the rows grew."""
    bench = Bench(40)
    stream = bench.stream()
    pages = stream.pages(await stream.opening())
    seen = [(await anext(pages)).rows for _ in range(2)]
    bench.upstream.rows = 30
    assert await bench.numbers(35, 1) == []
    bench.upstream.rows = 34
    seen += [page.rows async for page in pages]
    assert [row.licenses_sold for rows in seen for row in rows] == list(range(34))


async def test_both_fields_of_an_operation_see_the_rows_after_an_outdated_end() -> None:
    bench = await with_an_outdated_end()
    snapshots = OperationSnapshots()
    near = await bench.page(10, 10, snapshots)
    far = await bench.page(20, 10, snapshots)
    assert near.connection.page_info.has_next_page
    assert len(far.connection.nodes) == 4


async def test_a_true_end_costs_one_call_once() -> None:
    bench = Bench(20)
    assert await bench.numbers(0, 30) == list(range(20))
    assert bench.upstream.calls == 3
    assert await bench.numbers(10, 10) == list(range(10, 20))
    assert await bench.export() == list(range(20))
    assert bench.upstream.calls == 3


async def test_a_link_to_an_empty_page_ends_the_rows_like_any_other_end() -> None:
    """Such an upstream links after every full page, also after the last one."""
    bench = Bench(20, links_too_far=True)
    for _ in range(2):
        result = await bench.page(10, 10)
        assert (len(result.connection.nodes), result.connection.page_info.has_next_page) == (10, False)
        assert result.warnings == []
    assert bench.upstream.calls == 2
    assert await bench.export() == list(range(20))
    assert bench.upstream.calls == 3


@pytest.mark.parametrize(
    ("page", "promised"),
    [
        (Page((1, 2), 10, more=True), 12),
        (Page((1, 2), 10, more=None, has_link=True), 12),
        (Page((1, 2), 10, more=None, total_count=13), 12),
        (Page((1, 2), 10, more=None, total_count=12, has_link=True), None),
        (Page((1, 2), 10, more=None), None),
        (Page((1, 2), 10, more=False, has_link=True), None),
    ],
)
def test_a_page_promises_the_row_after_it_by_its_total_or_else_by_its_link(page: Page, promised: int | None) -> None:
    assert (page.promise and page.promise.row) == promised


@pytest.mark.parametrize(
    ("page", "is_broken"),
    [
        (Page((), 20), True),
        (Page((), 30), False),
        (Page((1,), 20), False),
        (Page((), 20, more=True), False),
        (Page((), 20, snapshot=Snapshot(30)), False),
    ],
)
def test_only_an_empty_page_without_a_total_breaks_the_promise_of_its_first_row(page: Page, is_broken: bool) -> None:
    assert page.breaks(Promise(20, 1.0)) is is_broken
    assert not page.breaks(None)
    assert page.having(fetched_at=0.9).is_outdated(Promise(20, 1.0)) is is_broken
    assert not page.having(fetched_at=1.0).is_outdated(Promise(20, 1.0))
