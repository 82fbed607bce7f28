"""Blocks contain every row once, in order, whatever the upstream reports about further rows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.caller import Caller
from gateway.errors import SnapshotChanged, UpstreamBadResponse, UpstreamTimeout
from gateway.page import Page
from gateway.query import PageQuery
from gateway.row_marks import marks_of
from gateway.snapshots.snapshot import Snapshot
from gateway.upstream import BlockReader, UpstreamResponse
from tests.gateway.upstream.scripted import (
    Clock,
    Row,
    Scripted,
    Step,
    UpstreamRequest,
    caller,
    client,
    echo,
    envelope,
    http,
    page_query,
    respond,
    rows,
    sold,
    upstream,
)

NOW = 1_540_420_638.0
CRM = (("crm", "2018-10-14T00:00:00"),)


async def read(*steps: Step, max_calls: int = 60, **changes: Any) -> tuple[Page, list[tuple[int, int]]]:
    """Read a block from a scripted upstream; return it with the (skip, top) of each request."""
    async with upstream(*steps) as up, client(up.url) as it:
        page = await reader(it, max_calls).fetch(page_query(**changes), caller())
        return page, ranges(up)


def reader(it: Any, max_calls: int = 60, seconds: float = 20.0) -> BlockReader:
    """Return a reader with a stopped clock."""
    return BlockReader(it, max_calls=max_calls, operation_timeout_seconds=seconds, clock=Clock(NOW))


def ranges(up: Scripted) -> list[tuple[int, int]]:
    """Return the (skip, top) of each request."""
    return [(request.number("skip"), request.number("top")) for request in up.requests]


async def test_one_response_with_all_rows_takes_one_call() -> None:
    page, requests = await read(respond(envelope(rows(1, 2), 2)))
    assert requests == [(0, 10)]
    assert sold(page.rows) == [1, 2]
    assert (page.more, page.total_count, page.calls, page.fetched_at, page.skip) == (False, 2, 1, NOW, 0)
    assert (page.snapshot.total_count, page.snapshot.dates, page.warnings) == (2, CRM, ())


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/steal?top=1",
        "//evil.example",
        "http://user:pass@evil.example:1/",
        "license?top=10&skip=0",
        "license?skip=-5",
        "/v1/analytics\r\nX: y",
        "\u0000",
        "javascript:alert(1)",
        "%2e%2e%2f",
        7,
        False,
        ["x"],
        {"uri": "x"},
        "x" * 10_000,
    ],
)
async def test_a_link_shows_that_more_rows_exist_but_not_where(link: Any) -> None:
    """The next request is the same query, sent to the same URL, with the number of rows received as its offset."""
    steps = [
        respond(envelope(rows(0, 1, 2), link=link)),
        respond(envelope(rows(3, 4), link=link)),
        respond(envelope(rows(5))),
    ]
    page, requests = await read(*steps, top=6)
    assert requests == [(0, 6), (3, 3), (5, 1)]
    assert sold(page.rows) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("total", "link", "row_count", "more", "expected_total"),
    [
        (3, None, 3, False, 3),
        (9, "x", 3, True, 9),
        (9, None, 3, None, 9),
        (None, "x", 3, None, None),
        (None, None, 3, None, None),
        (3, "x", 3, None, 3),
        (2, None, 3, None, None),
        (2, "x", 3, None, None),
        (9, "x", 5, True, 9),
        (None, None, 5, True, None),
        (3, None, 5, True, None),
    ],
)
async def test_a_full_block_reports_whether_a_row_follows(
    total: int | None, link: str | None, row_count: int, more: bool | None, expected_total: int | None
) -> None:
    """Total and link together, or the row itself, prove it; either alone does not. Extra rows are dropped."""
    page, requests = await read(respond(envelope(rows(*range(row_count)), total, link)), top=3)
    assert requests == [(0, 3)]
    assert sold(page.rows) == [0, 1, 2]
    assert page.more is more
    if row_count == 3:
        assert page.total_count == expected_total


async def test_a_total_beyond_the_rows_is_followed_without_a_link() -> None:
    page, requests = await read(respond(envelope(rows(0, 1), 3)), respond(envelope(rows(2), 3)))
    assert requests == [(0, 10), (2, 8)]
    assert (sold(page.rows), page.more, page.total_count, page.calls) == ([0, 1, 2], False, 3, 2)


async def test_a_short_page_without_link_and_total_ends_the_data() -> None:
    page, requests = await read(respond(envelope(rows(0, 1))))
    assert (requests, page.more, page.total_count) == ([(0, 10)], False, None)


async def test_an_uncontradicted_empty_response_ends_the_data() -> None:
    page, requests = await read(respond(envelope([], 0)))
    assert (requests, page.rows, page.more, page.total_count, page.warnings) == ([(0, 10)], (), False, 0, ())
    page, requests = await read(respond(envelope(rows(0), link="x")), respond(envelope([])))
    assert (requests, sold(page.rows), page.more) == ([(0, 10), (1, 9)], [0], False)


async def test_a_block_beyond_the_end_is_empty_and_keeps_the_total() -> None:
    page, requests = await read(respond(envelope([], 12)), skip=20)
    assert (requests, page.rows, page.more, page.total_count, page.skip) == ([(20, 10)], (), False, 12, 20)


@pytest.mark.parametrize(("total", "link"), [(5, None), (None, "x"), (5, "x")])
async def test_two_empty_responses_with_a_link_end_the_data_with_a_warning(total: int | None, link: str | None) -> None:
    page, requests = await read(respond(envelope(rows(0, 1), total, link)), respond(envelope([], total, link)))
    assert requests == [(0, 10), (2, 8), (2, 8)]
    assert (sold(page.rows), page.more, page.total_count) == ([0, 1], False, None)
    assert [warning.code for warning in page.warnings] == ["UPSTREAM_INCOMPLETE"]


async def test_an_empty_response_with_a_link_is_retried_and_then_followed() -> None:
    empty = respond(envelope([], 4, "x"))
    steps = [respond(envelope(rows(0), 4, "x")), empty, respond(envelope(rows(1), 4, "x")), empty]
    page, requests = await read(*steps, respond(envelope(rows(2, 3), 4)))
    assert requests == [(0, 10), (1, 9), (1, 9), (2, 8), (2, 8)]
    assert (sold(page.rows), page.more, page.total_count, page.warnings) == ([0, 1, 2, 3], False, 4, ())


async def test_a_total_smaller_than_the_rows_is_dropped() -> None:
    """For example, a total that counts the page instead of the data."""
    page, _ = await read(
        respond(envelope(rows(0, 1), 2, "x")), respond(envelope(rows(2, 3), 2, "x")), respond(envelope(rows(4), 1))
    )
    assert (sold(page.rows), page.more, page.total_count, page.snapshot.total_count) == (
        [0, 1, 2, 3, 4],
        False,
        None,
        None,
    )


async def test_an_endless_upstream_is_abandoned_at_the_call_limit() -> None:
    async with upstream(respond(envelope(rows(1), link="x"))) as up, client(up.url) as it:
        with pytest.raises(UpstreamBadResponse):
            await reader(it, max_calls=7).fetch(page_query(top=10_000), caller())
        assert len(up.requests) == 7


async def test_attempts_count_as_calls() -> None:
    page, _ = await read(respond(status=503), respond(envelope(rows(1), 1)))
    assert page.calls == 2


async def test_unreadable_values_are_reported_with_their_count() -> None:
    bad = [{"licensesSold": "?", "processedDateTime": "soon"}]
    page, _ = await read(respond(envelope([*rows(0), *bad], 3)), respond(envelope(bad, 3)))
    assert [(warning.code, warning.count) for warning in page.warnings] == [("UPSTREAM_UNREADABLE_VALUES", 4)]
    assert page.rows[1] == Row()
    assert page.unreadable == {"licensesSold": marks_of([1, 2])}


async def test_rows_beyond_the_block_have_no_unreadable_values() -> None:
    bad = {"licensesSold": 1.5, "licensesDeployed": None}
    page, _ = await read(respond(envelope([*rows(0, 1), bad, bad, bad], 9)), top=4)
    assert (len(page.rows), page.unreadable) == (4, {"licensesSold": marks_of([2, 3])})


OLD = rows(0, 1)
NEW = rows(10, 11, date="2018-10-21T00:00:00")
NEWER = rows(20, 21, date="2018-10-28T00:00:00")


async def test_a_block_whose_data_is_reprocessed_is_read_again() -> None:
    """The block has no warning, and every call is counted."""
    steps = [respond(envelope(OLD, 4)), respond(envelope(NEW, 4)), respond(envelope(NEW, 4)), respond(envelope(NEW, 4))]
    page, requests = await read(*steps, top=4)
    assert requests == [(0, 4), (2, 2), (0, 4), (2, 2)]
    assert (sold(page.rows), page.calls, page.warnings) == ([10, 11, 10, 11], 4, ())
    assert page.snapshot.dates == (("crm", "2018-10-21T00:00:00"),)


async def test_a_changed_total_means_changed_data() -> None:
    steps = [
        respond(envelope(rows(0, 1), 4)),
        respond(envelope(rows(2, 3), 5)),
        respond(envelope(rows(0, 1, 2, 3), 5, "x")),
    ]
    page, requests = await read(*steps, top=4)
    assert requests == [(0, 4), (2, 2), (0, 4)]
    assert (page.more, page.total_count, page.calls) == (True, 5, 3)


async def test_a_block_whose_data_shrank_below_the_rows_read_is_read_again() -> None:
    """The continuation is empty, so it has no date; only the total shows the change."""
    steps = [respond(envelope(OLD, 4)), respond(envelope([], 1)), respond(envelope(rows(10), 1))]
    page, requests = await read(*steps, top=4)
    assert requests == [(0, 4), (2, 2), (0, 4)]
    assert (sold(page.rows), page.more, page.total_count, page.warnings) == ([10], False, 1, ())


async def test_a_block_whose_data_grew_beyond_its_first_total_is_read_again() -> None:
    """The date stays the same. A row was inserted before the others, so one row would appear twice."""
    steps = [respond(envelope(rows(0, 1), 3)), respond(envelope(rows(1, 2), 4)), respond(envelope(rows(9, 0, 1, 2), 4))]
    page, requests = await read(*steps, top=4)
    assert requests == [(0, 4), (2, 2), (0, 4)]
    assert (sold(page.rows), page.total_count) == ([9, 0, 1, 2], 4)


async def test_data_that_keeps_changing_raises_snapshot_changed() -> None:
    steps = [respond(envelope(page, 4)) for page in (OLD, NEW, NEW, NEWER)]
    async with upstream(*steps) as up, client(up.url) as it:
        with pytest.raises(SnapshotChanged):
            await reader(it).fetch(page_query(top=4), caller())
        assert len(up.requests) == 4


async def test_a_block_that_is_read_twice_with_equal_results_is_one_snapshot_in_spite_of_its_dates() -> None:
    """Rows may be sorted by date. The service identifies no snapshot; a later fetch of the block is not read twice."""
    steps = [respond(envelope(page, 4)) for page in (OLD, NEW) * 3]
    async with upstream(*steps) as up, client(up.url) as it:
        blocks = reader(it)
        page = await blocks.fetch(page_query(top=4), caller())
        assert ranges(up) == [(0, 4), (2, 2)] * 2
        assert (sold(page.rows), page.calls, page.warnings) == ([0, 1, 10, 11], 4, ())
        assert (page.total_count, page.snapshot.dates) == (4, ())
        again = await blocks.fetch(page_query(top=4), caller())
        assert (again.rows, again.calls) == (page.rows, 2)


async def test_a_block_with_several_dates_is_read_to_its_end_before_it_is_read_again() -> None:
    pages = [rows(number, date=f"2018-10-{30 - number}T00:00:00") for number in range(6)]
    page, requests = await read(*[respond(envelope(page, 6)) for page in pages * 2], top=6)
    assert requests == [(number, 6 - number) for number in range(6)] * 2
    assert (sold(page.rows), page.snapshot.dates) == ([0, 1, 2, 3, 4, 5], ())


@pytest.mark.parametrize("changed", range(1, 4))
async def test_a_block_with_several_dates_that_changes_meanwhile_is_not_served(changed: int) -> None:
    old = [rows(number, date=f"2018-10-{20 - number}T00:00:00") for number in range(4)]
    new = [rows(number + 10, date=f"2018-10-{27 - number}T00:00:00") for number in range(4)]
    steps = [respond(envelope(page, 4)) for page in (*old[:changed], *new[changed:], *new)]
    with pytest.raises(SnapshotChanged):
        await read(*steps, top=4)


async def test_one_instant_in_several_spellings_is_one_snapshot() -> None:
    spellings = ("2018-10-14", "2018-10-14T00:00:00Z", "2018-10-14T02:00:00.000+02:00")
    steps = [respond(envelope(rows(number, date=date), 3)) for number, date in enumerate(spellings)]
    page, requests = await read(*steps, top=3)
    assert requests == [(0, 3), (1, 2), (2, 1)]
    assert page.snapshot == Snapshot(3, (("crm", "2018-10-14"),))


async def test_services_may_be_processed_at_different_times() -> None:
    mixed = [*rows(0), *rows(1, service="o365", date="2018-10-12T00:00:00")]
    page, requests = await read(respond(envelope(mixed, 4)), respond(envelope(mixed, 4)), top=4)
    assert len(requests) == 2
    assert page.snapshot.dates == (*CRM, ("o365", "2018-10-12T00:00:00"))


async def test_a_service_with_two_dates_in_one_response_identifies_no_snapshot() -> None:
    """This holds even if another response of the block shows only one of the dates."""
    mixed = [*rows(0), *rows(1, date="2018-10-12T00:00:00")]
    page, requests = await read(respond(envelope(mixed, 4)), respond(envelope(rows(2, 3), 4)), top=4)
    assert (len(requests), page.snapshot.dates) == (2, ())


async def test_a_block_has_its_own_deadline_independent_of_its_first_caller() -> None:
    async def hang(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        await asyncio.Event().wait()
        return True

    async with upstream(hang) as up, client(up.url, timeout_seconds=60) as it:
        with pytest.raises(UpstreamTimeout):
            await reader(it, seconds=0.1).fetch(page_query(), caller())
    async with upstream(respond(envelope(rows(1), 1))) as up, client(up.url) as it:
        assert sold((await reader(it).fetch(page_query(), caller(deadline=0.0))).rows) == [1]


def paging(count: int, cap: int) -> Step:
    """Return a step for an upstream of ``count`` rows that returns at most ``cap`` rows at once."""

    async def step(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        skip, top = request.number("skip"), request.number("top")
        numbers = rows(*range(skip, min(count, skip + min(top, cap))))
        link = "license?x" if skip + len(numbers) < count else None
        writer.write(http(200, echo(request), json.dumps(envelope(numbers, count, link)).encode()))
        return True

    return step


async def test_paginating_through_all_blocks_returns_every_row_once() -> None:
    async with upstream(paging(95, 7)) as up, client(up.url) as it:
        numbers: list[int | None] = []
        for skip in range(0, 100, 20):
            page = await reader(it).fetch(page_query(skip=skip, top=20), caller())
            assert (page.more, page.total_count) == (skip + 20 < 95, 95)
            numbers += sold(page.rows)
    assert numbers == list(range(95))


Link = Callable[[int, int], bool]
Total = Callable[[int, int, int], int | None]

# The links and totals that an upstream may report; "right" is correct.
LINKS: dict[str, Link] = {
    "right": lambda end, count: end < count,
    "always": lambda end, count: True,
    "never": lambda end, count: False,
}
TOTALS: dict[str, Total] = {
    "right": lambda count, end, received: count,
    "none": lambda count, end, received: None,
    "high": lambda count, end, received: count + 5,
    "zero": lambda count, end, received: 0,
    "page": lambda count, end, received: received,
}


@dataclass
class Model:
    """An upstream with a number of rows, a page limit and ways to report further rows."""

    count: int
    cap: int
    link: Link
    total: Total
    calls: list[PageQuery] = field(default_factory=list)

    async def call(self, query: PageQuery, caller: Caller, *, deadline: float) -> UpstreamResponse:
        """Return some rows."""
        self.calls.append(query)
        end = max(query.skip, min(self.count, query.skip + min(query.top, self.cap)))
        numbers = tuple(Row(licenses_sold=number) for number in range(query.skip, end))
        return UpstreamResponse(numbers, self.total(self.count, end, len(numbers)), self.link(end, self.count))


@given(
    st.integers(0, 40),
    st.integers(1, 50),
    st.integers(0, 45),
    st.integers(1, 20),
    st.sampled_from(sorted(LINKS)),
    st.sampled_from(sorted(TOTALS)),
)
async def test_no_row_is_lost_or_duplicated_whatever_the_upstream_reports(
    count: int, cap: int, skip: int, top: int, link: str, total: str
) -> None:
    """This holds if a link or a total reveals each shortened page. Then ``more`` is correct, too."""
    model = Model(count, cap, LINKS[link], TOTALS[total])
    page = await reader(model).fetch(page_query(skip=skip, top=top), caller())
    is_betrayed = link != "never" or total in ("right", "high")
    if cap >= top or is_betrayed:
        assert sold(page.rows) == list(range(skip, min(count, skip + top)))
        # Without a link, a total that counts only the page wrongly confirms that the data ends.
        is_duped = link == "never" and total in ("page", "zero")
        if page.more is not None and "high" not in total and not is_duped:
            assert page.more is (skip + top < count)
        if page.total_count is not None and total not in ("high", "page", "zero"):
            assert page.total_count == count
    assert len(model.calls) <= top + 3
    assert all(query.top + query.skip <= skip + top for query in model.calls)
