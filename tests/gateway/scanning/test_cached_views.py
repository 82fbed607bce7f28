"""Views are cached like blocks: per token, as fresh as their oldest block, shared, and counted in full."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from gateway.access_token import AccessToken
from gateway.cache.memory import ENTRY_OVERHEAD_BYTES
from gateway.cache.page_size import page_size_bytes
from gateway.cache.pages import CachedPages
from gateway.cache.renderings import KeptRenderings
from gateway.caller import Budget, Caller
from gateway.config.groups import CacheConfig
from gateway.errors import DeadlineExceeded, Forbidden, QueryTooComplex, ServiceUnavailable, UpstreamUnavailable
from gateway.page import CacheState, Page
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.read_ahead import ReadAhead
from gateway.query import PageQuery
from gateway.scanning.cached_views import CachedViews
from gateway.scanning.scan import ScanRules
from gateway.scanning.tables import PackedTable, import_tables
from gateway.scanning.view import View
from gateway.scheduling.worker_thread import InThread, T, Ts, WorkerThread
from gateway.single_flight import SingleFlight
from gateway.snapshots.differing_blocks import DifferingBlocks
from gateway.views.order_term import OrderTerm
from gateway.views.refinement import ALL_ROWS, Refinement
from tests.gateway.cache.test_cached_pages import jwt
from tests.gateway.fakes import Clock, FakeSource, Row, caller, query

SIZES = BlockSizes(5, 10)
DESCENDING = Refinement(order=(OrderTerm("licensesSold", descending=True),))


class RecordingThread(WorkerThread):
    """A worker thread that records whose work it runs, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.owners: list[bytes] = []
        self.is_used = asyncio.Event()

    def of(self, owner: bytes) -> InThread:
        in_thread = super().of(owner)

        async def run(work: Callable[[*Ts], T], /, *arguments: *Ts) -> T:
            def recorded() -> T:
                self.owners.append(owner)
                loop.call_soon_threadsafe(self.is_used.set)
                return work(*arguments)

            loop = asyncio.get_running_loop()
            return await in_thread(recorded)

        return run


class Bench:
    """Cached views over a fake source of 25 rows in three blocks, with an adjustable clock."""

    def __init__(
        self, memory_bytes: int = 1_000_000, *, ahead: int = 0, max_rows: int = 1_000, sizes: BlockSizes = SIZES
    ) -> None:
        self.clock = Clock()
        self.source = FakeSource(self.clock)
        config = CacheConfig(memory_bytes, 100, 1_000, sizes.first_rows, sizes.rows)
        self.pages = CachedPages(self.source, config, clock=self.clock)
        flights = SingleFlight(self.pages)
        rules = ScanRules(sizes, max_rows, 10, ReadAhead(ahead), DifferingBlocks())
        self.thread = RecordingThread()
        # numpy takes 0.3 seconds.
        import_tables()
        self.views = CachedViews(flights, self.pages, rules, self.thread)

        def refuse(token: AccessToken) -> None:
            flights.forget(token)
            self.views.forget(token)

        self.pages.on_refusal = refuse

    async def view(self, token: str = "one", *, after_seconds: float = 0, **changes: Any) -> View:
        self.clock.seconds += after_seconds
        is_by_rows = changes.pop("is_by_rows", False)
        return await self.views.view(query(**changes), caller(token), is_by_rows=is_by_rows)

    async def settle(self) -> None:
        """Wait for scans in the background."""
        await asyncio.gather(*self.views._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def drive_out(self) -> None:
        """Let the cache pack everything."""
        store = self.pages.store
        store.packing_bytes = store.kept_hot_bytes = 0
        store._make_room()
        while (task := self.pages.packer._task) is not None and not task.done():
            await asyncio.wait({task})
        store.packing_bytes = store.kept_hot_bytes = store.max_bytes
        assert store.hot_bytes == 0
        assert store.used_bytes == sum(record.cost_bytes for record in store._records.values())

    @property
    def calls(self) -> int:
        return len(self.source.calls)

    @property
    def counted_bytes(self) -> int:
        """The bytes that the store should have counted."""
        total = 0
        for record in self.pages.store._records.values():
            value = record.value
            own = page_size_bytes(value) if isinstance(value, Page) else value.table.size_bytes
            owner: Any = record.owner
            total += own + ENTRY_OVERHEAD_BYTES + owner._used_bytes
        return total


async def sold(view: View, refinement: Refinement = ALL_ROWS) -> list[int | None]:
    items = await view.items(await view.numbers(refinement), Row)
    return [item.licenses_sold for item in items]


async def deadline_in(seconds: float) -> Caller:
    return replace(caller(), deadline=asyncio.get_running_loop().time() + seconds)


async def test_a_view_has_all_rows_and_costs_no_further_call() -> None:
    bench = Bench()
    first, second = await bench.view(), await bench.view(after_seconds=99)
    assert await sold(first) == list(range(25))
    assert await sold(second, DESCENDING) == list(range(24, -1, -1))
    assert (first.cache, second.cache) == (CacheState.MISS, CacheState.HIT)
    assert first.mark == second.mark
    assert bench.calls == 3


async def test_a_stale_view_is_answered_at_once_while_one_scan_runs() -> None:
    bench = Bench()
    await bench.view()
    bench.source.gate.clear()
    stale = [await bench.view(after_seconds=150), await bench.view(), await bench.view()]
    assert {view.cache for view in stale} == {CacheState.STALE}
    assert [(warning.code, warning.age_seconds) for warning in stale[0].warnings] == [("STALE_DATA", 150)]
    bench.source.gate.set()
    await bench.settle()
    fresh = await bench.view()
    assert (fresh.cache, fresh.warnings) == (CacheState.HIT, ())
    assert bench.calls == 6


async def test_a_stale_view_stays_if_its_scan_fails() -> None:
    bench = Bench()
    await bench.view()
    bench.source.error = UpstreamUnavailable("down")
    await bench.view(after_seconds=150)
    await bench.settle()
    assert (await bench.view()).cache is CacheState.STALE


async def test_a_view_past_the_stale_period_is_read_again() -> None:
    bench = Bench()
    await bench.view()
    bench.source.total = 26
    view = await bench.view(after_seconds=1_101)
    assert view.cache is CacheState.MISS
    assert len(view.table) == 26


async def test_a_view_of_stale_blocks_says_that_it_is_stale() -> None:
    bench = Bench()
    await bench.pages.fetch(query(), caller())
    view = await bench.view(after_seconds=150)
    assert view.cache is CacheState.MISS
    assert view.warnings == ()
    bench = Bench()
    for skip in (0, 10, 20):
        await bench.pages.fetch(query(skip), caller())
    view = await bench.view(after_seconds=150)
    assert view.cache is CacheState.STALE
    assert [warning.code for warning in view.warnings] == ["STALE_DATA"]


async def test_callers_at_once_share_one_scan() -> None:
    bench = Bench()
    views = await asyncio.gather(*(bench.view() for _ in range(5)))
    assert len({id(view.table) for view in views}) == 1
    assert bench.calls == 3


async def test_no_view_is_shared_between_tokens_locales_or_queries() -> None:
    bench = Bench()
    await bench.view()
    await bench.view("two")
    await bench.view(processed_date_time="2026-01-01T00:00:00")
    await bench.views.view(query(), caller(locale="de-DE"))
    assert bench.calls == 12


async def test_a_refusal_during_a_scan_inserts_nothing() -> None:
    bench = Bench()
    bench.source.gate.clear()
    reading = asyncio.create_task(bench.view())
    await asyncio.sleep(0.05)
    await bench.pages.drop_token(caller())
    bench.source.gate.set()
    assert len((await reading).table) == 25
    assert [key for key in bench.pages.store._records if key.endswith(":view")] == []
    assert bench.views._buildings == {}


async def test_callers_after_a_refusal_do_not_join_a_scan_that_began_before() -> None:
    bench = Bench()
    bench.source.gate.clear()
    before = asyncio.create_task(bench.view())
    await asyncio.sleep(0.05)
    await bench.pages.drop_token(caller())
    after = asyncio.create_task(bench.view())
    await asyncio.sleep(0.05)
    assert bench.calls == 2
    bench.source.gate.set()
    await asyncio.gather(before, after)


async def test_a_refusal_drops_the_views_of_the_token() -> None:
    bench = Bench()
    await bench.view()
    await bench.view("two")
    bench.source.error = Forbidden("no")
    with pytest.raises(Forbidden):
        await bench.pages.fetch(query(processed_date_time="2026-01-01T00:00:00"), caller())
    bench.source.error = None
    calls = bench.calls
    await bench.view("two")
    assert bench.calls == calls
    assert (await bench.view()).cache is CacheState.MISS
    assert bench.calls == calls + 3


async def test_no_view_outlives_its_token() -> None:
    bench = Bench()
    token = jwt(bench.clock() + 50)
    await bench.view(token)
    assert (await bench.view(token, after_seconds=49)).cache is CacheState.HIT
    assert (await bench.view(token, after_seconds=2)).cache is CacheState.MISS
    assert [key for key in bench.pages.store._records if key.endswith(":view")] == []


async def test_at_the_deadline_the_answer_is_the_progress_and_no_call_is_repeated() -> None:
    bench = Bench()
    progress = []

    class Slow(FakeSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            page = await super().fetch(query, caller)
            await asyncio.sleep(0.1)
            return page

    bench.pages._source = source = Slow(bench.clock, 100)
    for _ in range(20):
        try:
            view = await bench.views.view(query(), await deadline_in(0.25))
        except DeadlineExceeded as error:
            progress.append(error.facts["progress"])
            # Until the call in flight has finished.
            await bench.settle()
        else:
            break
    assert await sold(view) == list(range(100))
    assert len(progress) >= 3
    assert {part["rowsTotal"] for part in progress} == {100}
    assert [part["rowsRead"] for part in progress] == sorted({part["rowsRead"] for part in progress})
    assert [skip for _, skip, _ in source.calls] == list(range(0, 100, 10))


async def test_a_scan_whose_last_caller_leaves_starts_no_further_call() -> None:
    bench = Bench()
    bench.source.gate.clear()
    reading = asyncio.create_task(bench.view())
    await asyncio.sleep(0.05)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    bench.source.gate.set()
    await bench.settle()
    assert (bench.calls, bench.source.cancelled) == (1, 0)
    assert len((await bench.view()).table) == 25
    assert bench.calls == 3


async def test_a_caller_that_leaves_does_not_end_the_scan_for_others() -> None:
    bench = Bench()
    bench.source.gate.clear()
    leaving, staying = asyncio.create_task(bench.view()), asyncio.create_task(bench.view())
    await asyncio.sleep(0.05)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    bench.source.gate.set()
    assert len((await staying).table) == 25
    assert bench.calls == 3


async def test_a_caller_does_not_suffer_from_the_budget_of_the_one_that_it_joined() -> None:
    bench = Bench()
    poor, rich = replace(caller(), budget=Budget(1)), caller()
    refused, view = await asyncio.gather(
        bench.views.view(query(), poor), bench.views.view(query(), rich), return_exceptions=True
    )
    assert isinstance(refused, QueryTooComplex)
    assert isinstance(view, View)
    assert bench.calls == 3


async def test_a_query_with_too_many_rows_is_refused_for_each_caller() -> None:
    bench = Bench(max_rows=24)
    results = await asyncio.gather(*(bench.view() for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [QueryTooComplex] * 3
    assert bench.calls == 1


async def test_closing_ends_every_scan() -> None:
    bench = Bench()
    bench.source.gate.clear()
    reading = asyncio.create_task(bench.view())
    await asyncio.sleep(0.05)
    await bench.views.aclose()
    with pytest.raises(ServiceUnavailable):
        await reading


@pytest.mark.parametrize("is_by_rows", [False, True])
async def test_a_newer_block_that_conflicts_evicts_the_view(is_by_rows: bool) -> None:
    bench = Bench()
    group_by = ("serviceCode",) if is_by_rows else ()
    await bench.view(is_by_rows=is_by_rows, group_by=group_by)
    bench.clock.seconds += 1
    bench.source.date = "2026-02-01T00:00:00"
    await bench.pages.fetch(query(10, revalidate=True), caller())
    assert [key for key in bench.pages.store._records if "view" in key or "rows" in key] == []
    view = await bench.view(is_by_rows=is_by_rows, group_by=group_by)
    assert [when for _, when in view.reading.snapshot.dates] == ["2026-02-01T00:00:00"]


async def test_groups_of_the_gateway_come_from_the_view_of_all_rows() -> None:
    bench = Bench()
    by_rows: dict[str, Any] = {"is_by_rows": True, "group_by": ("serviceCode",)}
    view = await bench.view(**by_rows)
    assert await view.items(await view.numbers(ALL_ROWS), Row) == (Row("o365", sum(range(25)), None),)
    assert view.mark.is_by_rows
    await bench.view()
    assert (await bench.view(**by_rows)).cache is CacheState.HIT
    assert bench.calls == 3
    # The upstream's own groups are another query.
    assert not (await bench.view(group_by=("serviceCode",))).mark.is_by_rows
    assert bench.calls == 6


async def test_a_block_of_the_upstreams_groups_leaves_the_gateways_groups_cached() -> None:
    """Their totals count other things: groups, and rows."""
    bench = Bench()
    by_rows: dict[str, Any] = {"is_by_rows": True, "group_by": ("serviceCode",)}
    await bench.view(**by_rows)
    bench.source.total = 3
    await bench.pages.fetch(query(group_by=("serviceCode",)), caller())
    calls = bench.calls
    assert (await bench.view(**by_rows)).cache is CacheState.HIT
    assert bench.calls == calls


async def test_stale_groups_are_answered_at_once_and_then_rebuilt() -> None:
    bench = Bench()
    by_rows: dict[str, Any] = {"is_by_rows": True, "group_by": ("serviceCode",)}
    await bench.view(**by_rows)
    bench.source.total = 26
    stale = await bench.view(after_seconds=150, **by_rows)
    assert (stale.cache, await sold(stale)) == (CacheState.STALE, [sum(range(25))])
    await bench.settle()
    fresh = await bench.view(**by_rows)
    assert (fresh.cache, await sold(fresh)) == (CacheState.HIT, [sum(range(26))])
    assert fresh.warnings == ()


async def test_everything_that_is_kept_is_counted() -> None:
    bench = Bench()
    view = await bench.view()
    assert bench.pages.store.used_bytes == bench.counted_bytes
    sizes = [view.table.size_bytes]
    for refinement in (DESCENDING, Refinement(words=("o3",)), Refinement(order=(OrderTerm("serviceCode"),))):
        await view.numbers(refinement)
        assert bench.pages.store.used_bytes == bench.counted_bytes
        sizes.append(view.table.size_bytes)
    await view.totals(DESCENDING)
    await (await bench.view()).numbers(DESCENDING)
    assert bench.pages.store.used_bytes == bench.counted_bytes
    assert sizes[-1] > sizes[0]


async def test_what_is_computed_from_an_evicted_view_is_not_kept() -> None:
    bench = Bench()
    view = await bench.view()
    await bench.pages.drop_token(caller())
    assert await sold(view, DESCENDING) == list(range(24, -1, -1))
    assert bench.pages.store.used_bytes == 0


async def test_without_memory_every_view_is_read_and_answered() -> None:
    bench = Bench(0)
    assert await sold(await bench.view(), DESCENDING) == list(range(24, -1, -1))
    assert (await bench.view()).cache is CacheState.MISS
    assert bench.calls == 6


async def test_a_caller_that_meets_a_stopped_scan_starts_another_one() -> None:
    """The scan has ended, but the loop has not run its callback yet."""
    bench = Bench()
    bench.source.gate.clear()
    leaving = asyncio.create_task(bench.view())
    await asyncio.sleep(0.05)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    [(key, building)] = bench.views._buildings.items()
    bench.source.gate.set()
    await asyncio.wait({building.task})
    bench.views._buildings[key] = building
    assert len((await bench.view()).table) == 25


# Blocks too large to be added without the worker thread.
LARGE = BlockSizes(2_000, 2_000)


def large_bench() -> Bench:
    bench = Bench(100_000_000, max_rows=100_000, sizes=LARGE)
    bench.source.total = 20_000
    return bench


async def test_a_token_with_many_scans_delays_another_ones_scan_by_a_turn_at_a_time() -> None:
    bench = large_bench()
    dates = [f"2026-01-{day:02}T00:00:00" for day in range(1, 11)]
    busy = [asyncio.create_task(bench.view("busy", processed_date_time=date)) for date in dates]
    await bench.thread.is_used.wait()
    view = await bench.view("other")
    assert await sold(view, DESCENDING) == list(range(19_999, -1, -1))
    other = [number for number, owner in enumerate(bench.thread.owners) if owner == caller("other").token.locator]
    assert len(other) > 10
    assert {later - earlier for earlier, later in pairwise(other)} <= {1, 2, 3}
    assert not all(task.done() for task in busy)
    assert {len(view.table) for view in await asyncio.gather(*busy)} == {20_000}


async def test_the_order_of_a_canceled_caller_ends_early_and_can_be_asked_for_again() -> None:
    bench = large_bench()
    view = await bench.view()
    built = len(bench.thread.owners)
    bench.thread.is_used.clear()
    leaving = asyncio.create_task(view.numbers(DESCENDING))
    await bench.thread.is_used.wait()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert len(bench.thread.owners) <= built + 1
    assert await sold(view, DESCENDING) == list(range(19_999, -1, -1))
    assert bench.pages.store.used_bytes == bench.counted_bytes


async def test_a_small_view_needs_no_turn_of_the_worker_thread() -> None:
    bench = Bench()
    view = await bench.view(is_by_rows=True, group_by=("serviceCode",))
    assert await sold(view, DESCENDING) == [sum(range(25))]
    await view.totals(DESCENDING)
    assert bench.thread.owners == []


# Driven out


async def test_a_view_that_was_driven_out_costs_neither_a_call_nor_its_blocks() -> None:
    bench = large_bench()
    first = await bench.view()
    ordered = await sold(first, DESCENDING)
    used_bytes = bench.pages.store.used_bytes
    await bench.drive_out()
    assert bench.pages.store.used_bytes < used_bytes / 5
    again, same = await asyncio.gather(bench.view(), bench.view())
    assert again.table is same.table is not first.table
    assert (again.mark, again.cache, again.warnings) == (first.mark, CacheState.HIT, first.warnings)
    assert await sold(again, DESCENDING) == ordered
    hot = [record for record in bench.pages.store._records.values() if record.is_hot]
    assert [type(record.value) for record in hot] == [View]
    assert bench.calls == 10


async def test_what_is_kept_with_an_unpacked_view_is_counted_and_driven_out_with_it() -> None:
    bench = large_bench()
    await bench.view()
    await bench.drive_out()
    packed_bytes = bench.pages.store.used_bytes
    view = await bench.view()
    await view.numbers(DESCENDING)
    await view.totals(DESCENDING)
    (hot,) = [record for record in bench.pages.store._records.values() if record.is_hot]
    assert isinstance(hot.packed, PackedTable)
    assert isinstance(hot.owner, KeptRenderings)
    kept_bytes = view.table.size_bytes + hot.owner._used_bytes + ENTRY_OVERHEAD_BYTES
    assert bench.pages.store.used_bytes == packed_bytes + kept_bytes
    packed = hot.packed
    await bench.drive_out()
    assert bench.pages.store.used_bytes == packed_bytes
    assert packed in [record.value.content for record in bench.pages.store._records.values()]
    # The caller still has it, but it is not kept.
    assert (await sold(view, ALL_ROWS))[:3] == [0, 1, 2]
    assert bench.pages.store.used_bytes == packed_bytes


async def test_groups_of_the_gateway_are_packed_too() -> None:
    bench = large_bench()
    bench.source.names = [f"service {number}" for number in range(500)]
    by_rows: dict[str, Any] = {"is_by_rows": True, "group_by": ("serviceCode",)}
    groups = await sold(await bench.view(**by_rows), DESCENDING)
    await bench.drive_out()
    assert await sold(await bench.view(**by_rows), DESCENDING) == groups
    assert len(groups) == 500


async def test_packed_views_expire_turn_stale_and_belong_to_their_token() -> None:
    bench = large_bench()
    for token in ("one", "two"):
        await bench.view(token)
    await bench.drive_out()
    stale = await bench.view("one", after_seconds=150)
    assert (stale.cache, (await sold(stale))[:2]) == (CacheState.STALE, [0, 1])
    await bench.settle()
    await bench.drive_out()
    await bench.pages.drop_token(caller("one"))
    assert {len(bench.pages.index.keys_of(caller(token).token.locator)) for token in ("one", "two")} == {0, 11}
    calls = bench.calls
    assert (await bench.view("one")).cache is CacheState.MISS
    assert bench.calls == calls + 10
    assert (await bench.view("two", after_seconds=1_000)).cache is CacheState.MISS


async def test_a_view_that_is_unpacked_while_its_token_is_refused_is_not_cached() -> None:
    bench = large_bench()
    await bench.view()
    await bench.drive_out()
    unpacking = asyncio.create_task(bench.view())
    await asyncio.sleep(0)
    await bench.pages.drop_token(caller())
    assert (await sold(await unpacking))[:2] == [0, 1]
    assert bench.pages.store.used_bytes == 0


async def test_a_view_that_cannot_be_packed_stays_as_it_is() -> None:
    """The text is not valid Unicode."""
    bench = large_bench()
    bench.source.names = ["\ud800"]
    view = await bench.view()
    await bench.drive_out()
    assert (await bench.view()).table is view.table
