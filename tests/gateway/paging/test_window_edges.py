"""Edges of a window: the error for a changed snapshot, and bounds beyond the data."""

from __future__ import annotations

import pytest

from gateway.caller import Caller
from gateway.errors import SnapshotChanged
from gateway.page import Page
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.blocks import Blocks
from gateway.paging.cursor import Cursor, CursorSnapshot
from gateway.paging.window import PageArguments, snapshot_changed
from gateway.query import PageQuery
from gateway.snapshots.snapshot import Snapshot
from tests.gateway.fakes import Row, caller, query

EARLIER, LATER = "2026-01-01T00:00:00", "2026-01-02T00:00:00"


class TwoServices:
    """One row of each of two services, processed at different times; counts its calls."""

    def __init__(self, *dates: tuple[str, str]) -> None:
        self.dates = dates
        self.calls = 0

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        self.calls += 1
        rows = tuple(Row(service, 1, date) for service, date in self.dates)
        return Page(rows, query.skip, more=False, total_count=2, snapshot=Snapshot(2, self.dates))


def blocks_of(source: TwoServices) -> Blocks:
    return Blocks(source, query(), caller(), BlockSizes(10, 10))


@pytest.mark.parametrize("dates", [(("a", EARLIER), ("b", LATER)), (("a", LATER), ("b", EARLIER))])
async def test_a_changed_snapshot_reports_the_latest_date_of_all_services(dates: tuple[tuple[str, str], ...]) -> None:
    source = TwoServices(*dates)
    error = await snapshot_changed(blocks_of(source))
    assert isinstance(error, SnapshotChanged)
    assert error.facts["processedDateTime"] == LATER
    assert source.calls == 1


async def test_a_changed_snapshot_reports_the_dates_of_loaded_blocks_without_a_call() -> None:
    source = TwoServices(("a", EARLIER))
    blocks = blocks_of(source)
    await blocks.load(20, 21)
    assert (await snapshot_changed(blocks)).facts["processedDateTime"] == EARLIER
    assert source.calls == 1


async def test_a_changed_snapshot_without_dates_reports_none() -> None:
    assert "processedDateTime" not in (await snapshot_changed(blocks_of(TwoServices()))).facts


@pytest.mark.parametrize(
    ("page_args", "end", "rows"),
    [
        ({"first": 5}, 10, 5),
        ({"first": 50}, 10, 10),
        ({"last": 50, "before": 99}, 10, 10),
        ({"last": 50, "before": 4}, 10, 4),
        ({"first": 50, "before": 99, "after": 1}, 10, 8),
        ({"first": 50, "after": 20}, 10, 0),
    ],
)
def test_no_more_rows_are_counted_than_the_data_has(page_args: dict[str, int], end: int, rows: int) -> None:
    bounds = {
        name: Cursor(page_args[name], CursorSnapshot(None, ())) if name in page_args else None
        for name in ("after", "before")
    }
    arguments = PageArguments(first=page_args.get("first"), last=page_args.get("last"), offset=0, **bounds)
    assert arguments.rows_within(end) == rows
