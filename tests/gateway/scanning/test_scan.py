"""A scan reads every row once in one snapshot, stops when nobody wants it, and loses no call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.cache.pages import CachedPages
from gateway.caller import Caller
from gateway.clocks.clock import SYSTEM_CLOCK
from gateway.config.groups import CacheConfig
from gateway.errors import QueryTooComplex, SnapshotChanged, UpstreamUnavailable
from gateway.page import INCOMPLETE, CacheState, Page, PageWarning
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.read_ahead import ReadAhead
from gateway.query import PageQuery
from gateway.scanning.scan import MAX_RESTARTS, Consumer, Reading, Scan, ScanRules
from gateway.scanning.scan_permits import SCANS, SCANS_PER_TOKEN, ScanPermit
from gateway.scheduling.fair_permits import FairPermits
from gateway.single_flight import SingleFlight
from gateway.snapshots.differing_blocks import DifferingBlocks
from tests.gateway.fakes import FakeSource, caller, query
from tests.gateway.paging.test_read_ahead import SlowSource

SIZES = BlockSizes(4, 10)


class Upstream(SlowSource):
    """A slow source whose blocks are as old as they are."""

    def __init__(self, total: int, *, has_total: bool = True) -> None:
        super().__init__(total, has_total=has_total)
        self.clock = SYSTEM_CLOCK.monotonic


class Rows:
    """Collects the numbers of all rows."""

    def __init__(self, after_block: Callable[[], None] = lambda: None) -> None:
        self.numbers: list[int] = []
        self.starts = 0
        self._after_block = after_block

    def _start(self) -> None:
        self.starts += 1
        self.numbers.clear()

    async def _take(self, page: Page) -> None:
        self.numbers += [row.licenses_sold for row in page.rows]
        self._after_block()

    @property
    def consumer(self) -> Consumer:
        return Consumer(self._start, self._take)


class ScanOfRows(Scan):
    """A scan for ``rows``."""

    def __init__(self, *arguments: Any) -> None:
        *others, self._rows = arguments
        super().__init__(*others)

    async def read(self) -> Reading | None:
        return await self.run(self._rows.consumer)


def cached(source: FakeSource) -> SingleFlight:
    """Return ``source`` behind a cache."""
    return SingleFlight(CachedPages(source, CacheConfig(1_000_000, 1_000, 1_000, SIZES.first_rows, SIZES.rows)))


def scan_of(
    source: object, rows: Rows, *, max_rows: int = 1_000, ahead: int = 4, is_wanted: Callable[[], bool] = lambda: True
) -> ScanOfRows:
    rules = ScanRules(SIZES, max_rows, 10, ReadAhead(ahead), DifferingBlocks())
    permit = ScanPermit(FairPermits(SCANS_PER_TOKEN, SCANS), caller().token.locator)
    return ScanOfRows(source, query(), caller(), rules, is_wanted, permit, rows)


async def run(scan: ScanOfRows) -> Reading:
    reading = await scan.read()
    assert reading is not None
    return reading


@pytest.mark.parametrize("total", [0, 1, 9, 10, 11, 95, 100])
@pytest.mark.parametrize("has_total", [False, True], ids=["no total", "total"])
async def test_every_row_is_read_once_with_the_fewest_calls(total: int, has_total: bool) -> None:
    source, rows = Upstream(total, has_total=has_total), Rows()
    reading = await run(scan_of(cached(source), rows))
    assert rows.numbers == list(range(total))
    assert (reading.rows, reading.cache, reading.is_incomplete) == (total, CacheState.MISS, False)
    assert [skip for _, skip, _ in source.calls] == list(range(0, max(total, 1), 10))


async def test_blocks_are_read_concurrently_within_the_bound() -> None:
    source = Upstream(200)
    await run(scan_of(cached(source), Rows(), ahead=3))
    assert 3 <= source.most_running <= 4


async def test_a_second_scan_makes_no_call() -> None:
    source = Upstream(95)
    pages, again = cached(source), Rows()
    await run(scan_of(pages, Rows()))
    reading = await run(scan_of(pages, again))
    assert again.numbers == list(range(95))
    assert (len(source.calls), reading.cache) == (10, CacheState.HIT)


async def test_a_scan_that_nobody_wants_starts_no_further_block_and_finishes_what_is_loading() -> None:
    source, unwanted = Upstream(300), asyncio.Event()
    pages = cached(source)
    scan = scan_of(pages, Rows(unwanted.set), is_wanted=lambda: not unwanted.is_set())
    assert await scan.read() is None
    assert len(source.calls) <= 5
    assert source.cancelled == 0
    assert (scan.progress.rows_read, scan.progress.rows_total) == (10, 300)
    rows = Rows()
    await run(scan_of(pages, rows))
    assert rows.numbers == list(range(300))
    assert len(source.calls) == 30, "a call was repeated"


async def test_a_query_with_too_many_rows_costs_one_call() -> None:
    source = Upstream(300)
    with pytest.raises(QueryTooComplex, match="It has 300 rows, and at most 299"):
        await scan_of(cached(source), Rows(), max_rows=299).read()
    assert len(source.calls) == 1
    await run(scan_of(cached(source), Rows(), max_rows=300))


async def test_without_a_total_a_scan_ends_at_the_first_block_beyond_the_limit() -> None:
    source, rows = Upstream(300, has_total=False), Rows()
    with pytest.raises(QueryTooComplex, match="over 25 rows"):
        await scan_of(cached(source), rows, max_rows=25).read()
    assert len(source.calls) == 3


async def test_data_that_is_processed_during_a_scan_is_read_again() -> None:
    source = Upstream(60)

    def process() -> None:
        if source.date.startswith("2026-01"):
            source.date, source.total = "2026-02-01T00:00:00", 55

    rows = Rows(process)
    reading = await run(scan_of(cached(source), rows, ahead=0))
    assert rows.numbers == list(range(55))
    assert rows.starts > 1
    assert {when for _, when in reading.snapshot.dates} == {"2026-02-01T00:00:00"}


async def test_data_that_is_processed_all_the_time_ends_the_scan() -> None:
    source, days = Upstream(60), iter(range(10, 100))

    def process() -> None:
        source.date = f"20{next(days)}-01-01T00:00:00"

    rows = Rows(process)
    with pytest.raises(SnapshotChanged):
        await scan_of(cached(source), rows, ahead=0).read()
    assert rows.starts == MAX_RESTARTS + 1


async def test_missing_rows_are_reported_wherever_they_are_missing() -> None:
    class Short(Upstream):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            page = await super().fetch(query, caller)
            return page.having(warnings=(INCOMPLETE,)) if query.skip == 20 else page

    rows = Rows()
    reading = await run(scan_of(Short(50), rows))
    assert rows.numbers == list(range(50))
    assert reading.is_incomplete


async def test_an_end_before_the_announced_one_is_reported() -> None:
    class Vanishing(Upstream):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            if query.skip >= 30:
                return Page((), query.skip, more=False)
            return await super().fetch(query, caller)

    reading = await run(scan_of(Vanishing(50), Rows()))
    assert (reading.rows, reading.is_incomplete) == (30, True)


async def test_warnings_of_all_blocks_are_added_up() -> None:
    class Unreadable(Upstream):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            page = await super().fetch(query, caller)
            return page.having(warnings=(PageWarning("UPSTREAM_UNREADABLE_VALUES", "some", 2),))

    reading = await run(scan_of(Unreadable(30), Rows()))
    assert reading.warnings["UPSTREAM_UNREADABLE_VALUES"].count == 6


async def test_an_error_of_the_upstream_ends_the_scan_and_the_blocks_stay_cached() -> None:
    class Failing(Upstream):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            if query.skip == 40 and self.error is None:
                raise UpstreamUnavailable("down")
            self.error = None
            return await super().fetch(query, caller)

    source = Failing(80)
    pages = cached(source)
    with pytest.raises(UpstreamUnavailable):
        await scan_of(pages, Rows()).read()
    first = {skip for _, skip, _ in source.calls}
    assert first >= {0, 10, 20, 30}
    repaired, rows = Upstream(80), Rows()
    pages._source._source = repaired  # type: ignore[attr-defined]  # the cache's source
    await run(scan_of(pages, rows))
    assert rows.numbers == list(range(80))
    assert not first & {skip for _, skip, _ in repaired.calls}
