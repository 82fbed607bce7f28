"""Blocks of one query: their budget, and the sum of their warnings."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.caller import Budget, Caller
from gateway.errors import QueryTooComplex, UpstreamTimeout
from gateway.page import Page, PageWarning
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.blocks import GRACE_SECONDS, Blocks, SnapshotConflict
from gateway.query import PageQuery
from gateway.snapshots.snapshot import Snapshot
from tests.gateway.fakes import FakeSource, caller, query


class CountedSource(FakeSource):
    """A source whose blocks cost ``calls_each`` upstream calls and have one entry of ``warnings`` each."""

    def __init__(self, calls_each: int = 1, warnings: tuple[PageWarning, ...] = ()) -> None:
        super().__init__(lambda: 0.0, 30)
        self._calls_each = calls_each
        self._warnings = warnings

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        page = await super().fetch(query, caller)
        block = query.skip // 10
        return replace(page, calls=self._calls_each, warnings=self._warnings[block : block + 1])


def blocks_of(source: FakeSource, budget: Budget | None = None) -> Blocks:
    """Return blocks of ten rows, charged to ``budget``."""
    return Blocks(source, query(), replace(caller(), budget=budget or Budget(1_000)), BlockSizes(10, 10))


@pytest.mark.parametrize("calls_each", [0, 1, 3])
async def test_a_block_costs_the_calls_that_it_made(calls_each: int) -> None:
    budget = Budget(1_000)
    await blocks_of(CountedSource(calls_each), budget).load(0, 30)
    assert budget.spent_calls == 3 * calls_each


async def test_blocks_of_several_calls_exhaust_the_budget_sooner() -> None:
    source = CountedSource(calls_each=3)
    with pytest.raises(QueryTooComplex):
        await blocks_of(source, Budget(3)).load(0, 30)
    assert len(source.calls) == 1


async def test_cached_blocks_leave_the_budget_untouched() -> None:
    budget = Budget(2)
    await blocks_of(CountedSource(calls_each=0), budget).load(0, 10)
    assert budget.spent_calls == 0


async def test_warning_counts_of_several_blocks_are_added_and_the_greatest_age_is_used() -> None:
    warnings = tuple(
        PageWarning("SOME_CODE", "message", count, age_seconds) for count, age_seconds in ((2, 5), (3, 9), (None, None))
    )
    blocks = blocks_of(CountedSource(warnings=warnings))
    await blocks.load(0, 30)
    assert blocks.warnings() == [PageWarning("SOME_CODE", "message", 5, 9)]


async def test_warnings_of_different_codes_stay_apart() -> None:
    warnings = (PageWarning("ONE", "first", 2, None), PageWarning("TWO", "second", 3, None))
    blocks = blocks_of(CountedSource(warnings=warnings))
    await blocks.load(0, 30)
    assert blocks.warnings() == list(warnings)


class DatedSource(FakeSource):
    """A source with one service and its date per block."""

    def __init__(self, dates: list[tuple[str, str]]) -> None:
        super().__init__(lambda: 0.0, 10 * len(dates), has_total=False)
        self._dates = dates

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        page = await super().fetch(query, caller)
        return replace(page, snapshot=Snapshot(None, (self._dates[query.skip // 10],)))


async def test_a_block_of_an_operation_is_compared_with_all_earlier_blocks() -> None:
    first, second = "2026-01-01T00:00:00", "2026-01-02T00:00:00"
    blocks = blocks_of(DatedSource([("crm", first), ("o365", first), ("crm", second)]))
    await blocks.load(0, 20)
    assert blocks.snapshot == Snapshot(None, (("crm", first), ("o365", first)))
    with pytest.raises(SnapshotConflict):
        await blocks.load(20, 30)


async def test_blocks_beyond_the_total_are_not_fetched() -> None:
    source = CountedSource()
    source.total = 25
    await blocks_of(source).load(0, 100)
    assert [skip for _, skip, _ in source.calls] == [0, 10, 20]


async def test_a_block_that_outlasts_the_deadline_by_the_grace_period_times_out() -> None:
    source = CountedSource()
    source.gate.clear()
    deadline = asyncio.get_running_loop().time() - GRACE_SECONDS
    blocks = Blocks(source, query(), replace(caller(), deadline=deadline), BlockSizes(10, 10))
    async with asyncio.timeout(10):
        with pytest.raises(UpstreamTimeout):
            await blocks.load(0, 10)
    assert source.cancelled == 1
