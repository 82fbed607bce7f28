"""Whatever the dates of blocks, and whenever data is reprocessed: an operation has one snapshot, and so have pages."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache.pages import CachedPages
from gateway.caller import Caller
from gateway.config.groups import CacheConfig
from gateway.errors import SnapshotChanged
from gateway.page import Page
from gateway.paging.agreement import OperationSnapshots
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.row_stream import RowStream
from gateway.paging.window import PageArguments, page_arguments
from gateway.query import PageQuery
from gateway.single_flight import SingleFlight
from gateway.snapshots.differing_blocks import DifferingBlocks
from gateway.snapshots.snapshot import snapshot_of
from schema.connection import ConnectionResult, read_connection
from tests.gateway.fakes import Clock, Row, caller, query

BLOCK, BLOCKS = 4, 5
SIZES = BlockSizes(2, BLOCK)
TOTAL = BLOCK * BLOCKS


@dataclass
class DatedRows:
    """Rows with one date for each block and processing; a row's number shows both the row and its processing.

    ``moments`` are the calls before which the data is processed again, which gives every row a date never seen before.
    """

    days: list[int]
    moments: set[int]
    clock: Clock
    calls: int = 0
    processing: int = 0

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        await asyncio.sleep(0)
        self.processing += self.calls in self.moments
        self.calls += 1
        self.clock.seconds += 0.001
        rows = tuple(map(self._row, range(query.skip, min(TOTAL, query.skip + query.top))))
        snapshot = snapshot_of(rows, service="service_code", date="processed_date_time", total_count=TOTAL)
        more, now = query.skip + len(rows) < TOTAL, self.clock()
        return Page(rows, query.skip, more, TOTAL, snapshot, fetched_at=now, calls=1)

    def _row(self, number: int) -> Row:
        date = f"20{self.processing + 10:02}-01-{self.days[number // BLOCK]:02}T00:00:00"
        return Row("crm", self.processing * 1_000 + number, date)


WINDOWS = st.tuples(st.sampled_from(["offset", "last"]), st.integers(0, TOTAL - 1), st.integers(1, TOTAL))
OPERATIONS = st.lists(st.lists(WINDOWS, min_size=1, max_size=3), min_size=1, max_size=4)


def window(kind: str, offset: int, rows: int) -> PageArguments:
    """Return the arguments of a page."""
    is_last = kind == "last"
    return PageArguments(None if is_last else rows, rows if is_last else None, None, None, 0 if is_last else offset)


def processings(result: ConnectionResult) -> set[int]:
    """Return the processings of the rows of a connection."""
    return {row.licenses_sold // 1_000 for row in result.connection.nodes}


@settings(deadline=None, max_examples=40)
@given(
    days=st.lists(st.integers(1, 3), min_size=BLOCKS, max_size=BLOCKS),
    moments=st.sets(st.integers(1, 25), max_size=4),
    operations=OPERATIONS,
    memory_bytes=st.sampled_from([0, 3_000, 1_000_000]),
)
async def test_every_operation_shows_one_snapshot(
    days: list[int], moments: set[int], operations: list[list[tuple[str, int, int]]], memory_bytes: int
) -> None:
    clock, differing = Clock(), DifferingBlocks()
    rows = DatedRows(days, moments, clock)
    config = CacheConfig(memory_bytes, 1_000, 1_000, SIZES.first_rows, SIZES.rows)
    source = SingleFlight(CachedPages(rows, config, differing=differing, clock=clock))
    for windows in operations:
        snapshots = OperationSnapshots(differing)
        before = rows.processing
        fields = [
            read_connection(source, query(), caller(), window(*each), SIZES, snapshots) for each in windows
        ]  # fmt: skip
        outcomes = await asyncio.gather(*fields, return_exceptions=True)
        results = [outcome for outcome in outcomes if isinstance(outcome, ConnectionResult)]
        assert len(set().union(*map(processings, results))) <= 1
        for each, outcome in zip(windows, outcomes, strict=True):
            if isinstance(outcome, ConnectionResult):
                numbers = [row.licenses_sold % 1_000 for row in outcome.connection.nodes]
                start = max(0, TOTAL - each[2]) if each[0] == "last" else each[1]
                assert numbers == list(range(start, min(TOTAL, start + each[2])))
            else:
                assert isinstance(outcome, SnapshotChanged)
                assert rows.processing > before, "stable data is served"


@settings(deadline=None, max_examples=30)
@given(
    days=st.lists(st.integers(1, 3), min_size=BLOCKS, max_size=BLOCKS),
    moments=st.sets(st.integers(1, 25), max_size=2),
    size=st.integers(1, 9),
)
async def test_pages_and_exports_have_one_snapshot_or_end_with_an_error(
    days: list[int], moments: set[int], size: int
) -> None:
    clock, differing = Clock(), DifferingBlocks()
    rows = DatedRows(days, moments, clock)
    config = CacheConfig(1_000_000, 1_000, 1_000, SIZES.first_rows, SIZES.rows)
    source = SingleFlight(CachedPages(rows, config, differing=differing, clock=clock))
    for is_export in (False, True, False):
        before, seen = rows.processing, list[int]()
        try:
            if is_export:
                stream = RowStream(source, query(), SIZES, caller, differing=differing)
                async for page in stream.pages(await stream.opening()):
                    seen += [row.licenses_sold for row in page.rows]
            else:
                await traverse(source, differing, size, seen)
        except SnapshotChanged:
            assert rows.processing > before, "stable data is served"
        else:
            assert [number % 1_000 for number in seen] == list(range(TOTAL))
        assert len({number // 1_000 for number in seen}) <= 1


async def traverse(source: SingleFlight, differing: DifferingBlocks, size: int, seen: list[int]) -> None:
    """Append the numbers of all rows to ``seen``, page by page."""
    after = None
    while True:
        arguments = page_arguments(
            first=size, last=None, after=after, before=None, offset=None, fingerprint=query().fingerprint, max_rows=99
        )
        snapshots = OperationSnapshots(differing)
        connection = (await read_connection(source, query(), caller(), arguments, SIZES, snapshots)).connection
        seen += [row.licenses_sold for row in connection.nodes]
        after = connection.page_info.end_cursor
        if not connection.page_info.has_next_page:
            return
