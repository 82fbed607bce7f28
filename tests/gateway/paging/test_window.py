"""Windows over blocks: a page's rows, its PageInfo, and which blocks are read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.caller import Budget, Caller
from gateway.errors import BadUserInput, InvalidCursor, QueryTooComplex, SnapshotChanged, UpstreamUnavailable
from gateway.page import CacheState, Page, PageSource
from gateway.paging import cursor
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.window import DEFAULT_PAGE_ROWS, PageArguments, page_arguments
from gateway.query import PageQuery
from gateway.snapshots.snapshot import Snapshot
from schema.connection import ConnectionResult, read_connection
from tests.gateway.fakes import Clock, FakeSource, caller, query
from tests.properties import model

SIZES = BlockSizes(10, 100)
QUERY = query()
DATE = "2026-01-01T00:00:00"


def source(total: int = 250, **changes: Any) -> FakeSource:
    """Return rows numbered from 0."""
    return FakeSource(Clock(), total, **changes)


def cursor_of(offset: int, total: int | None, date: str = DATE) -> str:
    """Return the cursor of a row in a snapshot of ``total`` rows."""
    return cursor.encode(QUERY.fingerprint, Snapshot(total, (("o365", date),)), range(offset, offset + 1))[0]


def arguments(total: int | None = 250, **page_args: Any) -> PageArguments:
    """Return validated arguments; ``after`` and ``before`` are offsets or cursors."""
    values: dict[str, Any] = dict.fromkeys(("first", "last", "after", "before", "offset")) | page_args
    max_rows = values.pop("max_rows", 1_000)
    for name in ("after", "before"):
        if isinstance(values[name], int):
            values[name] = cursor_of(values[name], total)
    return page_arguments(**values, fingerprint=QUERY.fingerprint, max_rows=max_rows)


async def read(
    pages: PageSource, page_args: PageArguments, *, sizes: BlockSizes = SIZES, reader: Caller | None = None
) -> ConnectionResult:
    """Return the page for the arguments ``page_args``."""
    return await read_connection(pages, QUERY, reader or caller(), page_args, sizes)


async def ask(pages: FakeSource, **page_args: Any) -> tuple[list[int], bool, bool]:
    """Return the row numbers of a page, its hasNextPage and its hasPreviousPage."""
    connection = (await read(pages, arguments(pages.total, **page_args))).connection
    info = connection.page_info
    numbers = [row.licenses_sold for row in connection.nodes]
    assert [edge.node for edge in connection.edges] == connection.nodes
    cursors = [edge.cursor for edge in connection.edges]
    assert (info.start_cursor, info.end_cursor) == ((cursors[0], cursors[-1]) if cursors else (None, None))
    assert [cursor.decode(text, QUERY.fingerprint, argument="after").offset for text in cursors] == numbers
    assert connection.total_count == pages.total
    return numbers, info.has_next_page, info.has_previous_page


def blocks_of(pages: FakeSource) -> list[tuple[int, int]]:
    """Return the skip and top of each call, in order."""
    return [(skip, top) for _, skip, top in pages.calls]


COUNTS = st.integers(0, 45)


@settings(deadline=None, max_examples=300)
@given(
    total=st.integers(0, 40),
    first_block=st.integers(1, 12),
    more=st.integers(0, 20),
    count=st.tuples(st.sampled_from(["first", "last", "neither"]), COUNTS),
    after=st.none() | COUNTS,
    before=st.none() | COUNTS,
    offset=st.none() | COUNTS,
)
async def test_every_page_follows_the_relay_algorithm_and_is_exact_in_both_directions(
    total: int,
    first_block: int,
    more: int,
    count: tuple[str, int],
    after: int | None,
    before: int | None,
    offset: int | None,
) -> None:
    page_args: dict[str, Any] = dict.fromkeys(("first", "last", "after", "before", "offset"))
    if count[0] != "neither":
        page_args[count[0]] = count[1]
    if offset is not None and page_args["last"] is None:
        page_args["offset"] = offset
    elif total:
        page_args["after"] = None if after is None else min(after, total - 1)
        page_args["before"] = None if before is None else min(before, total - 1)
    pages = source(total)
    start, stop = model.window(total, **page_args)
    answer = await read(pages, arguments(total, **page_args), sizes=BlockSizes(first_block, first_block + more))
    info = answer.connection.page_info
    assert [row.licenses_sold for row in answer.connection.nodes] == list(range(start, stop))
    if start < stop:
        assert (info.has_next_page, info.has_previous_page) == (stop < total, start > 0)
    assert len(set(pages.calls)) == len(pages.calls), "no block is read twice"


@pytest.mark.parametrize(
    ("page_args", "rows", "has_next", "has_previous"),
    [
        ({}, range(100), True, False),
        ({"first": 10}, range(10), True, False),
        ({"first": 250}, range(250), False, False),
        ({"first": 999}, range(250), False, False),
        ({"first": 0}, range(0), True, False),
        ({"after": 9}, range(10, 110), True, True),
        ({"first": 5, "after": 244}, range(245, 250), False, True),
        ({"first": 5, "after": 249}, range(0), False, True),
        ({"first": 0, "after": 9}, range(0), True, True),
        ({"last": 10}, range(240, 250), False, True),
        ({"last": 999}, range(250), False, False),
        ({"last": 0}, range(0), False, True),
        ({"before": 200}, range(100, 200), True, True),
        ({"before": 50}, range(50), True, False),
        ({"last": 5, "before": 200}, range(195, 200), True, True),
        ({"last": 5, "before": 3}, range(3), True, False),
        ({"last": 5, "before": 0}, range(0), True, False),
        ({"first": 5, "before": 3}, range(3), True, False),
        ({"first": 5, "before": 200}, range(5), True, False),
        ({"last": 5, "after": 200}, range(245, 250), False, True),
        ({"last": 100, "after": 239}, range(240, 250), False, True),
        ({"first": 5, "after": 10, "before": 14}, range(11, 14), True, True),
        ({"first": 5, "after": 10, "before": 100}, range(11, 16), True, True),
        ({"last": 5, "after": 10, "before": 100}, range(95, 100), True, True),
        ({"after": 10, "before": 11}, range(0), True, True),
        ({"after": 100, "before": 10}, range(0), True, True),
        ({"offset": 0, "first": 2}, range(2), True, False),
        ({"offset": 200}, range(200, 250), False, True),
        ({"offset": 249, "first": 1}, range(249, 250), False, True),
        ({"offset": 250}, range(0), False, True),
        ({"offset": 2**31 - 1, "first": 3}, range(0), False, True),
    ],
    ids=str,
)
async def test_a_page_reports_exactly_whether_rows_follow_and_precede_it(
    page_args: dict[str, int], rows: range, has_next: bool, has_previous: bool
) -> None:
    assert await ask(source(), **page_args) == (list(rows), has_next, has_previous)


@pytest.mark.parametrize("page_args", [{}, {"last": 5}, {"first": 0}, {"offset": 0}, {"offset": 7}])
async def test_a_query_without_rows_has_an_empty_page_and_no_neighbors(page_args: dict[str, int]) -> None:
    assert await ask(source(0), **page_args) == ([], False, False)


@pytest.mark.parametrize(
    ("page_args", "argument"),
    [
        ({"first": -1}, "first"),
        ({"last": -1}, "last"),
        ({"offset": -1}, "offset"),
        ({"first": 1_001}, "first"),
        ({"last": 1_001}, "last"),
        ({"first": 1, "last": 1}, "last"),
        ({"first": 0, "last": 0}, "last"),
        ({"offset": 0, "after": 1}, "offset"),
        ({"offset": 1, "before": 1}, "offset"),
        ({"offset": 1, "last": 1}, "offset"),
    ],
    ids=str,
)
def test_arguments_that_contradict_one_another_are_refused_by_name(page_args: dict[str, int], argument: str) -> None:
    with pytest.raises(BadUserInput) as caught:
        arguments(**page_args)
    assert caught.value.facts == {"argument": argument}


def test_the_largest_page_and_any_offset_are_allowed() -> None:
    assert arguments(first=1_000).first == 1_000
    assert arguments(last=1_000).last == 1_000
    assert arguments(offset=2**31 - 1, first=1).offset == 2**31 - 1


def test_the_default_page_has_a_hundred_rows_or_the_largest_allowed() -> None:
    assert (arguments().first, arguments().last) == (DEFAULT_PAGE_ROWS, None)
    assert (arguments(before=9).first, arguments(before=9).last) == (None, DEFAULT_PAGE_ROWS)
    assert (arguments(before=9, after=1).first, arguments(before=9, after=1).last) == (DEFAULT_PAGE_ROWS, None)
    assert arguments(max_rows=7).first == 7
    assert arguments(max_rows=7, before=9).last == 7


@pytest.mark.parametrize("argument", ["after", "before"])
def test_a_malformed_cursor_is_refused_with_its_argument(argument: str) -> None:
    page_args: dict[str, Any] = {argument: "nonsense"}
    with pytest.raises(InvalidCursor, match=f"'{argument}'"):
        arguments(**page_args)


@pytest.mark.parametrize(
    ("page_args", "expected"),
    [
        ({"first": 1}, [(0, 10)]),
        ({"first": 10}, [(0, 10)]),
        ({"first": 0}, [(0, 10)]),
        ({"first": 11}, [(0, 100)]),
        ({"first": 100}, [(0, 100)]),
        ({"offset": 5, "first": 5}, [(0, 10)]),
        ({"offset": 5, "first": 6}, [(0, 100)]),
        ({"offset": 120, "first": 80}, [(100, 100)]),
        ({"offset": 199, "first": 2}, [(100, 100), (200, 100)]),
        ({"first": 250}, [(0, 100), (100, 100), (200, 100)]),
        ({"first": 10, "after": 99}, [(100, 100)]),
        ({"last": 10, "before": 100}, [(0, 100)]),
        ({"last": 10, "before": 10}, [(0, 10)]),
        ({"last": 10}, [(0, 10), (200, 100)]),
        ({"last": 60}, [(0, 10), (100, 100), (200, 100)]),
        ({"offset": 5_000, "first": 10}, [(5_000, 100)]),
        ({"first": 1, "after": 3, "before": 7}, [(0, 10)]),
    ],
    ids=str,
)
async def test_the_fewest_blocks_that_hold_the_answer_are_read(
    page_args: dict[str, int], expected: list[tuple[int, int]]
) -> None:
    pages = source()
    await ask(pages, **page_args)
    assert blocks_of(pages) == expected


class ShutAfterOne(FakeSource):
    """Returns the first page at once and delays all others; ``five`` is set after five calls."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.five = asyncio.Event()

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        if self.calls:
            self.gate.clear()
        if len(self.calls) == 4:
            self.five.set()
        return await super().fetch(query, caller)


async def test_blocks_within_the_total_are_read_concurrently() -> None:
    pages = ShutAfterOne(Clock(), 450)
    task = asyncio.create_task(read(pages, arguments(450, first=420)))
    await asyncio.wait_for(pages.five.wait(), 5)
    assert blocks_of(pages) == [(0, 100), (100, 100), (200, 100), (300, 100), (400, 100)]
    pages.gate.set()
    assert len((await task).connection.nodes) == 420


async def test_a_canceled_caller_cancels_its_block_reads() -> None:
    pages = ShutAfterOne(Clock(), 450)
    task = asyncio.create_task(read(pages, arguments(450, first=420)))
    await asyncio.wait_for(pages.five.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pages.cancelled == 4


async def test_a_failed_block_fails_the_operation_and_cancels_the_others() -> None:
    class Failing(ShutAfterOne):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            if query.skip == 200:
                raise UpstreamUnavailable("It is down.")
            return await super().fetch(query, caller)

    pages = Failing(Clock(), 450)
    with pytest.raises(UpstreamUnavailable):
        await read(pages, arguments(450, first=420))
    assert len(pages.calls) <= 4


@pytest.mark.parametrize(("max_calls", "first"), [(1, 101), (3, 301), (4, 450)])
async def test_an_operation_reads_no_more_blocks_than_its_budget(max_calls: int, first: int) -> None:
    pages = source(450)
    with pytest.raises(QueryTooComplex):
        await read(pages, arguments(450, first=first), reader=replace(caller(), budget=Budget(max_calls)))
    assert len(pages.calls) <= max_calls


async def test_a_budget_is_enough_for_exactly_its_number_of_calls() -> None:
    answer = await read(source(450), arguments(450, first=450), reader=replace(caller(), budget=Budget(5)))
    assert len(answer.connection.nodes) == 450


@dataclass
class NoTotal:
    """Rows of an upstream that reports no total except ``total``."""

    inner: FakeSource
    total: int | None = None

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        page = await self.inner.fetch(query, caller)
        more = None if len(page.rows) == query.top else False
        return page.having(total_count=self.total, more=more, snapshot=replace(page.snapshot, total_count=self.total))


async def test_last_needs_the_number_of_rows_unless_a_cursor_bounds_it() -> None:
    with pytest.raises(BadUserInput) as caught:
        await read(NoTotal(source()), arguments(None, last=5))
    assert caught.value.facts == {"argument": "last"}
    answer = await read(NoTotal(source()), arguments(None, last=5, before=100))
    assert [row.licenses_sold for row in answer.connection.nodes] == list(range(95, 100))
    assert answer.connection.total_count is None


async def test_last_works_without_a_total_where_the_end_was_seen() -> None:
    answer = await read(NoTotal(source(7)), arguments(None, last=5))
    assert [row.licenses_sold for row in answer.connection.nodes] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize(("first", "has_next"), [(100, True), (200, True), (250, False), (251, False)])
async def test_has_next_page_is_exact_at_a_block_boundary_without_a_total(first: int, has_next: bool) -> None:
    connection = (await read(NoTotal(source()), arguments(None, first=first))).connection
    assert connection.page_info.has_next_page is has_next


async def test_rows_that_end_with_a_block_are_probed_for_more() -> None:
    pages = source(200)
    connection = (await read(NoTotal(pages), arguments(None, first=200))).connection
    assert connection.page_info.has_next_page is False
    assert blocks_of(pages) == [(0, 100), (100, 100), (200, 100)]


@pytest.mark.parametrize("total", [0, 10, 240, 260, 10_000])
async def test_a_wrong_total_neither_hides_rows_nor_is_repeated(total: int) -> None:
    connection = (await read(NoTotal(source(), total), arguments(None, first=1_000))).connection
    assert [row.licenses_sold for row in connection.nodes] == list(range(250))
    assert (connection.page_info.has_next_page, connection.total_count) == (False, None)


@pytest.mark.parametrize("total", [251, 260, 320, 500, 10**9])
async def test_the_last_rows_are_right_despite_a_high_total(total: int) -> None:
    connection = (await read(NoTotal(source(), total), arguments(None, last=20))).connection
    assert [row.licenses_sold for row in connection.nodes] == list(range(230, 250))
    assert (connection.page_info.has_next_page, connection.total_count) == (False, None)


async def test_the_end_is_found_at_a_block_boundary() -> None:
    connection = (await read(NoTotal(source(300), 777), arguments(None, last=120))).connection
    assert [row.licenses_sold for row in connection.nodes] == list(range(180, 300))


@pytest.mark.parametrize("page_args", [{"after": 250}, {"before": 251}, {"after": 5_000}, {"after": 3, "before": 400}])
async def test_a_cursor_past_the_current_end_belongs_to_another_snapshot(page_args: dict[str, int]) -> None:
    with pytest.raises(SnapshotChanged) as caught:
        await ask(source(), **page_args)
    assert caught.value.facts in ({}, {"processedDateTime": DATE}), "the new date, where it was seen"


@pytest.mark.parametrize(("total", "date"), [(251, DATE), (250, "2025-12-31T00:00:00")])
@pytest.mark.parametrize("name", ["after", "before"])
async def test_a_cursor_with_another_total_or_date_belongs_to_another_snapshot(
    name: str, total: int, date: str
) -> None:
    with pytest.raises(SnapshotChanged) as caught:
        await ask(source(), **{name: cursor_of(5, total, date)})
    assert caught.value.facts == {"processedDateTime": DATE}


async def test_a_cursor_newer_than_cached_blocks_causes_a_reread() -> None:
    class Caching:
        """Returns cached old rows, or new ones for a revalidating query."""

        old, new = source(), source(date="2026-02-01T00:00:00")

        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            page = await (self.new if query.revalidate else self.old).fetch(query, caller)
            return page.having(cache=CacheState.MISS if query.revalidate else CacheState.HIT)

    page_args = arguments(first=3, after=cursor_of(4, 250, "2026-02-01T00:00:00"))
    nodes = (await read(Caching(), page_args)).connection.nodes
    assert [(row.licenses_sold, row.processed_date_time[:7]) for row in nodes] == [(n, "2026-02") for n in (5, 6, 7)]


@dataclass
class Reprocessed:
    """The data is reprocessed before each of the first ``times`` calls except the first."""

    inner: FakeSource
    times: int

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        calls = min(len(self.inner.calls), self.times)
        self.inner.date = f"2026-01-{calls + 1:02}T00:00:00"
        return await self.inner.fetch(query, caller)


async def test_blocks_of_two_snapshots_are_reread_without_a_warning() -> None:
    pages = source(150)
    connection = (await read(Reprocessed(pages, 1), arguments(150, first=150))).connection
    assert {row.processed_date_time for row in connection.nodes} == {"2026-01-02T00:00:00"}
    assert len(pages.calls) == 4


async def test_constantly_changing_data_is_an_error_after_three_reads() -> None:
    pages = source(150)
    with pytest.raises(SnapshotChanged, match="at this moment"):
        await read(Reprocessed(pages, 99), arguments(150, first=150))
    assert len(pages.calls) == 6


async def test_blocks_that_conflict_twice_are_finally_reread() -> None:
    pages = source(150)
    revalidations: list[bool] = []

    class Shared:
        """The first block is from before the data was reprocessed, unless it is reread."""

        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            revalidations.append(query.revalidate)
            pages.date = f"2026-01-0{2 if query.revalidate or query.skip else 1}T00:00:00"
            return await pages.fetch(query, caller)

    connection = (await read(Shared(), arguments(150, first=150))).connection
    assert {row.processed_date_time for row in connection.nodes} == {"2026-01-02T00:00:00"}
    assert revalidations == [False] * 4 + [True] * 2
