"""Fields of one operation that read one query: they wait for one another, load again together, and never hang."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.caller import Caller
from gateway.errors import GatewayError, SnapshotChanged, UpstreamUnavailable
from gateway.page import Page
from gateway.paging.agreement import OperationSnapshots
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.window import PageArguments
from gateway.query import PageQuery
from schema.connection import ConnectionResult, read_connection
from tests.gateway.fakes import FakeSource, caller, query

SIZES = BlockSizes(10, 10)


@dataclass
class Processings(FakeSource):
    """Data that is processed again before each call whose number is in ``moments``; ``down`` blocks cannot be read."""

    moments: set[int] = field(default_factory=set)
    down: set[int] = field(default_factory=set)
    waits: dict[int, asyncio.Event] = field(default_factory=dict)
    processings: int = 1

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        # As a call does, let the other fields of the operation start.
        await asyncio.sleep(0)
        if query.skip in self.waits:
            await self.waits[query.skip].wait()
        if query.skip in self.down:
            raise UpstreamUnavailable("It is down.")
        self.processings += len(self.calls) in self.moments
        self.date = f"2026-01-{self.processings:02}T00:00:00"
        return await super().fetch(query, caller)


def reading(source: FakeSource, snapshots: OperationSnapshots, offset: int, rows: int = 5) -> Any:
    """Return a field that reads ``rows`` rows from ``offset``."""
    arguments = PageArguments(first=rows, last=None, after=None, before=None, offset=offset)
    return read_connection(source, query(), caller(), arguments, SIZES, snapshots)


async def results(source: FakeSource, *offsets: int, rows: int = 5) -> list[ConnectionResult | BaseException]:
    """Return the results of the fields of one operation."""
    snapshots = OperationSnapshots()
    fields = [reading(source, snapshots, offset, rows) for offset in offsets]
    return list(await asyncio.wait_for(asyncio.gather(*fields, return_exceptions=True), 10))


def dates(*outcomes: ConnectionResult | BaseException) -> set[str | None]:
    """Return the dates of all rows of the results."""
    connections = [outcome.connection for outcome in outcomes if isinstance(outcome, ConnectionResult)]
    return {row.processed_date_time for connection in connections for row in connection.nodes}


def source(total: int = 60, **changes: Any) -> Processings:
    return Processings(lambda: 0.0, total, **changes)


@pytest.mark.parametrize("moment", range(8))
@pytest.mark.parametrize("rows", [5, 25])
async def test_no_field_fails_if_data_is_processed_once(moment: int, rows: int) -> None:
    outcomes = await results(source(moments={moment}), 0, 30, 15, rows=rows)
    assert all(isinstance(outcome, ConnectionResult) for outcome in outcomes)
    assert len(dates(*outcomes)) == 1


async def test_later_fields_fail_if_data_keeps_changing() -> None:
    pages = source(moments=set(range(99)))
    outcomes = await results(pages, 0, 30, 50)
    assert [type(outcome) for outcome in outcomes] == [ConnectionResult, SnapshotChanged, SnapshotChanged]
    assert len(pages.calls) == 9


async def test_a_field_that_fails_does_not_hold_up_the_others() -> None:
    outcomes = await results(source(down={30}), 0, 30, 15)
    assert [type(outcome) for outcome in outcomes] == [ConnectionResult, UpstreamUnavailable, ConnectionResult]


async def test_a_field_waits_for_slower_fields_and_a_canceled_field_is_not_waited_for() -> None:
    pages = source(waits={30: asyncio.Event(), 50: asyncio.Event()})
    snapshots = OperationSnapshots()
    first, second, third = (asyncio.create_task(reading(pages, snapshots, offset)) for offset in (0, 30, 50))
    await asyncio.sleep(0.01)
    assert not first.done()
    second.cancel()
    pages.waits[50].set()
    assert dates(*await asyncio.wait_for(asyncio.gather(first, third), 10)) == {pages.date}
    assert second.cancelled()


async def test_a_canceled_field_that_waits_for_others_is_not_compared() -> None:
    pages = source(waits={30: asyncio.Event()})
    snapshots = OperationSnapshots()
    first, second = (asyncio.create_task(reading(pages, snapshots, offset)) for offset in (0, 30))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0)
    pages.moments = {1}
    pages.waits[30].set()
    assert len((await asyncio.wait_for(second, 10)).connection.nodes) == 5


async def test_a_later_field_is_compared_with_finished_fields() -> None:
    """For example, a field whose arguments took longer to read."""
    pages, snapshots = source(), OperationSnapshots()
    first = await reading(pages, snapshots, 0)
    pages.processings += 1
    with pytest.raises(SnapshotChanged):
        await reading(pages, snapshots, 30)
    assert len(dates(first)) == 1


async def test_fields_of_different_operations_are_not_compared() -> None:
    pages = source()
    await reading(pages, OperationSnapshots(), 0)
    pages.processings += 1
    assert len((await reading(pages, OperationSnapshots(), 30)).connection.nodes) == 5


async def test_stable_differences_between_fields_are_accepted_and_remembered() -> None:
    class Sorted(FakeSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            await asyncio.sleep(0)
            self.date = f"2026-01-{20 - query.skip // 10:02}"
            return await super().fetch(query, caller)

    pages, snapshots = Sorted(lambda: 0.0, 60), OperationSnapshots()
    for calls in (9, 12):
        fields = [reading(pages, snapshots, offset) for offset in (0, 30, 50)]
        outcomes: list[ConnectionResult | GatewayError] = list(await asyncio.gather(*fields))
        assert len(dates(*outcomes)) == 3
        assert len(pages.calls) == calls
        snapshots.clear()
