"""Few scans hold rows at once: two of a token, four of a process. Others wait in a fair order, and hold nothing."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass, field

import pytest

from gateway.caller import Budget, Caller
from gateway.errors import DeadlineExceeded, UpstreamUnavailable
from gateway.page import CacheState, Page
from gateway.paging.block_sizes import BlockSizes
from gateway.query import PageQuery
from gateway.scanning.first_block import FEW_ROWS
from gateway.scanning.scan_permits import SCANS, SCANS_PER_TOKEN
from gateway.scanning.view import View
from gateway.views.table_builder import TableBuilder
from tests.gateway.fakes import FakeSource, Row, caller, query
from tests.gateway.scanning.test_cached_views import SIZES, Bench, deadline_in

# The rows of a query have the date of the query.
DATES = [f"2026-01-{day:02}T00:00:00" for day in range(1, 21)]

# The service of all rows here, by which they are recognized.
SERVICE = "scanned"


@dataclass
class ScannedSource(FakeSource):
    """Records which scans are between their second and their last block, and in which order they get there.

    ``later`` holds back all blocks but the first ones while it is closed.
    """

    totals: dict[str, int] = field(default_factory=dict)
    later: asyncio.Event = field(default_factory=asyncio.Event)
    running: set[tuple[str, str]] = field(default_factory=set)
    entered: list[str] = field(default_factory=list)
    most: int = 0
    most_of_a_token: int = 0
    most_tables: int = 0

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        token, date = caller.token.reveal(), query.processed_date_time or ""
        scan, total = (token, date), self.totals.get(date, 25)
        if query.skip == 10:
            self.entered.append(token)
            self.running.add(scan)
            self.most = max(self.most, len(self.running))
            self.most_of_a_token = max(self.most_of_a_token, sum(owner == token for owner, _ in self.running))
            self.most_tables = max(self.most_tables, half_built_tables())
        if query.skip:
            await self.later.wait()
        await asyncio.sleep(0)
        self.calls.append((caller.token, query.skip, query.top))
        if query.skip + query.top >= total:
            self.running.discard(scan)
        if self.error is not None:
            raise self.error
        rows = tuple(Row(SERVICE, number, date) for number in range(query.skip, min(total, query.skip + query.top)))
        more = query.skip + len(rows) < total
        return Page(rows, query.skip, more=more, total_count=total, fetched_at=self.clock(), calls=1)


def is_block(page: Page) -> bool:
    """Return True for a whole block of a query here."""
    return len(page.rows) == 10 and isinstance(page.rows[0], Row) and page.rows[0].service_code == SERVICE


def half_built_tables() -> int:
    """Return the number of tables of which rows have been added."""
    return sum(1 for each in gc.get_objects() if isinstance(each, TableBuilder) and len(each))


def bench_of(memory_bytes: int = 10_000_000, sizes: BlockSizes = SIZES) -> tuple[Bench, ScannedSource]:
    # Remainders of other tests.
    gc.collect()
    bench = Bench(memory_bytes, max_rows=10_000, sizes=sizes)
    source = ScannedSource(bench.clock)
    bench.pages._source = bench.source = source
    source.later.set()
    # numpy has been imported, so no scan needs a thread for it.
    bench.views._has_imported = True
    return bench, source


def started(bench: Bench, token: str, count: int) -> list[asyncio.Task[View]]:
    """Start to ask for ``count`` views of a token."""
    return [asyncio.create_task(bench.view(token, processed_date_time=date)) for date in DATES[:count]]


async def settled() -> None:
    """Let everything run until it waits."""
    for _ in range(300):
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)


async def ended(tasks: list[asyncio.Task[View]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def assert_idle(bench: Bench) -> None:
    permits = bench.views.scan_permits
    assert (permits.held, permits.waiting) == (0, 0)


async def test_at_most_two_scans_of_a_token_and_four_of_the_process_hold_rows() -> None:
    bench, source = bench_of()
    views = await asyncio.gather(*(view for token in ("one", "two", "three") for view in started(bench, token, 12)))
    assert {len(view.table) for view in views} == {25}
    assert (source.most, source.most_of_a_token) == (SCANS, SCANS_PER_TOKEN)
    assert source.most_tables <= SCANS
    assert len(source.calls) == 3 * 12 * 3, "a call was repeated"
    assert_idle(bench)


async def test_scans_that_wait_hold_no_rows() -> None:
    """Without a cache, which would hold them."""
    bench, source = bench_of(0)
    source.later.clear()
    views = started(bench, "one", 20)
    await settled()
    pages = [each for each in gc.get_objects() if isinstance(each, Page) and is_block(each)]
    assert len(pages) <= SCANS_PER_TOKEN
    source.later.set()
    assert {len(view.table) for view in await asyncio.gather(*views)} == {25}
    # Those that waited have read their first block again.
    assert len(source.calls) == 20 * 3 + 18


async def test_tokens_with_many_scans_do_not_delay_another_ones() -> None:
    bench, source = bench_of()
    source.later.clear()
    busy = [view for token in ("a", "b", "c", "d") for view in started(bench, token, 20)]
    await settled()
    calm = started(bench, "calm", 1)
    await settled()
    assert len(source.entered) == SCANS
    source.later.set()
    await calm[0]
    # "d" has no scan yet either, and has waited longer. The last permit is for a token without any.
    assert source.entered[:6] == ["a", "a", "b", "c", "d", "calm"]
    assert not all(task.done() for task in busy)
    await asyncio.gather(*busy)


async def test_the_scans_of_a_token_begin_in_the_order_of_their_arrival() -> None:
    bench, source = bench_of()
    views = started(bench, "one", 10)
    await asyncio.gather(*views)
    assert [skip for _, skip, _ in source.calls].count(10) == 10
    assert list(bench.views._buildings) == []


async def test_callers_of_one_view_hold_one_permit() -> None:
    bench, source = bench_of()
    source.later.clear()
    views = [view for _ in range(10) for view in started(bench, "one", 1)]
    await settled()
    assert (bench.views.scan_permits.held, bench.views.scan_permits.waiting) == (1, 0)
    source.later.set()
    assert len({id(view.table) for view in await asyncio.gather(*views)}) == 1


async def test_a_query_with_few_rows_waits_for_no_scan() -> None:
    bench, source = bench_of(100_000_000, sizes=BlockSizes(2_500, 2_500))
    source.totals = dict.fromkeys(DATES, 6000) | {DATES[10]: FEW_ROWS, DATES[11]: FEW_ROWS + 1}
    source.later.clear()
    busy = started(bench, "one", 10)
    await settled()
    few = await bench.view("one", processed_date_time=DATES[10])
    assert (len(few.table), few.cache) == (FEW_ROWS, CacheState.MISS)
    more = asyncio.create_task(bench.view("one", processed_date_time=DATES[11]))
    await settled()
    assert not more.done()
    source.later.set()
    await asyncio.gather(*busy)
    view = await more
    assert (len(view.table), view.cache) == (FEW_ROWS + 1, CacheState.MISS), "the first block was read for this scan"
    assert len(source.calls) == 10 * 3 + 2


async def test_a_caller_that_leaves_gives_up_its_place() -> None:
    bench, source = bench_of()
    source.later.clear()
    views = started(bench, "one", 10)
    await settled()
    permits = bench.views.scan_permits
    assert (permits.held, permits.waiting) == (2, 8)
    await ended(views[2:])
    assert (permits.held, permits.waiting, len(bench.views._tasks)) == (2, 0, 2)
    source.later.set()
    await asyncio.gather(*views[:2])
    await settled()
    assert len(source.calls) == 10 + 2 * 2
    assert_idle(bench)
    # A later caller begins again, with the block that was read.
    await bench.view("one", processed_date_time=DATES[5])
    assert len(source.calls) == 16


async def test_scans_that_nobody_waits_for_release_their_rows_and_permits() -> None:
    bench, source = bench_of()
    source.later.clear()
    await settled()
    views = started(bench, "one", 10)
    await settled()
    await ended(views)
    source.later.set()
    await bench.settle()
    await settled()
    assert half_built_tables() == 0
    assert bench.views._tasks == set()
    assert_idle(bench)


async def test_a_caller_that_stays_keeps_the_place_of_one_that_leaves() -> None:
    bench, source = bench_of()
    source.later.clear()
    busy = started(bench, "one", 2)
    await settled()
    date = DATES[7]
    leaving, staying = (asyncio.create_task(bench.view("one", processed_date_time=date)) for _ in range(2))
    await settled()
    await ended([leaving])
    source.later.set()
    assert len((await staying).table) == 25
    await asyncio.gather(*busy)
    assert len(source.calls) == 9


async def test_at_its_deadline_a_waiting_caller_learns_that_others_are_the_reason() -> None:
    bench, source = bench_of()
    source.later.clear()
    busy = started(bench, "one", 2)
    await settled()
    late = query(processed_date_time=DATES[5])
    with pytest.raises(DeadlineExceeded, match="Timed out waiting for other queries") as raised:
        await bench.views.view(late, await deadline_in(0.05))
    assert raised.value.facts == {"progress": {"rowsRead": 0, "rowsTotal": 25}}
    await settled()
    assert len(bench.views._tasks) == 2
    source.later.set()
    await asyncio.gather(*busy)
    assert_idle(bench)


async def test_a_waiting_scan_has_as_much_time_for_its_blocks_as_any() -> None:
    """The time limit of a block begins after the wait."""
    bench, source = bench_of()
    source.later.clear()
    busy = started(bench, "one", 2)
    await settled()
    waiting = asyncio.create_task(bench.views.view(query(processed_date_time=DATES[5]), caller()))
    await settled()
    source.later.set()
    assert len((await waiting).table) == 25
    await asyncio.gather(*busy)


async def test_the_refresh_of_a_stale_view_waits_behind_the_views_that_callers_wait_for() -> None:
    bench, source = bench_of()
    await bench.view("one", processed_date_time=DATES[9])
    source.later.clear()
    busy = started(bench, "one", 2)
    await settled()
    stale = await bench.view("one", processed_date_time=DATES[9], after_seconds=150)
    assert stale.cache is CacheState.STALE
    await settled()
    wanted = asyncio.create_task(bench.view("one", processed_date_time=DATES[5]))
    await settled()
    source.later.set()
    await asyncio.gather(*busy)
    await wanted
    await bench.settle()
    assert (await bench.view("one", processed_date_time=DATES[9])).cache is CacheState.HIT
    assert_idle(bench)


async def test_a_failed_scan_returns_its_permit() -> None:
    bench, source = bench_of()
    source.later.clear()
    views = started(bench, "one", 10)
    await settled()
    source.error = UpstreamUnavailable("down")
    source.later.set()
    results = await asyncio.gather(*views, return_exceptions=True)
    assert {type(result) for result in results} <= {UpstreamUnavailable, View}
    assert UpstreamUnavailable in {type(result) for result in results}
    assert_idle(bench)


async def test_the_first_block_counts_once_in_the_budget() -> None:
    bench, _ = bench_of()
    budget = Budget(3)
    spender = Caller(caller().token, budget=budget)
    assert len((await bench.views.view(query(), spender)).table) == 25
    assert budget.spent_calls == 3
