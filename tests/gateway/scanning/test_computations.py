"""Few computations over views are under way at once. The others wait, and hold nothing."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import GeneratorType
from typing import Any

import pytest

from gateway.paging.block_sizes import BlockSizes
from gateway.scanning import computations
from gateway.scanning.computations import FEW_ROWS, LARGE_COMPUTATIONS
from gateway.scanning.first_block import FEW_ROWS as FEW_SCANNED_ROWS
from gateway.scanning.view import View
from gateway.scheduling import worker_thread
from gateway.views.grouping import grouping
from gateway.views.refinement import Refinement
from gateway.views.search import containing
from tests.gateway.scanning.test_cached_views import Bench

# More than are computed at once in the event loop.
ROWS = 2_000


@pytest.fixture(autouse=True)
def one_piece_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the thread change to other work after each piece."""
    monkeypatch.setattr(worker_thread, "TURN_SECONDS", 0)


def bench(rows: int = ROWS, memory_bytes: int = 10_000_000) -> Bench:
    bench = Bench(memory_bytes, max_rows=rows, sizes=BlockSizes(10, rows))
    bench.source.total = rows
    bench.source.names = [f"service {number}" for number in range(rows)]
    return bench


def search(number: int) -> Refinement:
    return Refinement(words=(str(number), "service"))


def begun(work: Any) -> int:
    """Return how many generators of the function ``work`` have begun and not ended."""
    generators = (each for each in gc.get_objects() if isinstance(each, GeneratorType))
    states = [inspect.getgeneratorstate(each) for each in generators if each.gi_code is work.__code__]
    return sum(state in (inspect.GEN_RUNNING, inspect.GEN_SUSPENDED) for state in states)


async def most_begun(work: Any, tasks: list[asyncio.Task[Any]]) -> int:
    """Return the most generators of ``work`` that were under way at once until all ``tasks`` had ended."""
    most = 0
    while not all(task.done() for task in tasks):
        most = max(most, begun(work))
        await asyncio.sleep(0.001)
    for task in tasks:
        task.result()
    return most


async def searches(views: list[View], count: int) -> int:
    tasks = [asyncio.create_task(view.numbers(search(number))) for view in views for number in range(count)]
    return await most_begun(containing, tasks)


async def test_one_search_of_a_token_is_under_way_at_once() -> None:
    it = bench()
    assert await searches([await it.view("one")], 20) == 1
    assert it.views.computations.under_way == 0


async def test_a_few_searches_of_all_tokens_are_under_way_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computations, "FEW_ROWS", ROWS - 1)
    it = bench()
    views = [await it.view(f"token{number}") for number in range(3 * LARGE_COMPUTATIONS)]
    assert await searches(views, 3) == LARGE_COMPUTATIONS


async def test_what_several_callers_ask_for_is_computed_once() -> None:
    it = bench()
    view = await it.view()
    turns = len(it.thread.owners)
    numbers = await asyncio.gather(*(view.numbers(search(7)) for _ in range(20)))
    assert {id(each) for each in numbers} == {id(numbers[0])}
    alone = len(it.thread.owners) - turns
    await view.numbers(search(8))
    assert len(it.thread.owners) - turns == 2 * alone


async def test_several_callers_group_the_rows_once() -> None:
    it = bench()
    tasks = [asyncio.create_task(it.view(group_by=("serviceCode",), is_by_rows=True)) for _ in range(10)]
    assert await most_begun(grouping, tasks) <= 1
    assert {id(task.result().table) for task in tasks} == {id(tasks[0].result().table)}
    assert len(tasks[0].result().table) == ROWS


async def test_computations_over_few_rows_wait_for_none_over_many() -> None:
    it = bench()
    view = await it.view()
    async with AsyncExitStack() as stack:
        for number in range(LARGE_COMPUTATIONS):
            others = it.views.computations.of(str(number).encode())
            await stack.enter_async_context(others.permit(view, FEW_ROWS + 1))
        assert len(await view.numbers(search(7))) > 0
    assert it.views.computations.under_way == 0


async def test_a_caller_that_leaves_gives_its_permit_to_the_next_one() -> None:
    it = bench()
    view = await it.view()
    it.thread.is_used.clear()
    first, second = (asyncio.create_task(view.numbers(search(number))) for number in (1, 2))
    await it.thread.is_used.wait()
    assert it.views.computations.under_way == 1
    first.cancel()
    assert len(await second) > 0
    await asyncio.gather(first, return_exceptions=True)
    assert it.views.computations.under_way == 0


# More than a scan may read without a permit.
MANY_ROWS = FEW_SCANNED_ROWS + 1


@asynccontextmanager
async def all_permits(it: Bench, view: View) -> AsyncIterator[None]:
    """Hold all permits for many rows, and leave no room for the tables of callers that wait."""
    it.views.computations._max_waiting_bytes = 1
    async with AsyncExitStack() as stack:
        for number in range(LARGE_COMPUTATIONS):
            others = it.views.computations.of(str(number).encode())
            await stack.enter_async_context(others.permit(view, MANY_ROWS))
        yield


async def test_no_table_is_built_while_waiting_callers_hold_too_many_uncached_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(computations, "FEW_ROWS", 1_000)
    it = bench(MANY_ROWS, memory_bytes=0)
    view = await it.view("one")
    async with all_permits(it, view):
        waiting = asyncio.create_task(view.numbers(search(7)))
        await asyncio.sleep(0.01)
        assert it.views.computations.waiting_bytes == view.table.size_bytes
        late = asyncio.create_task(it.view("two"))
        await asyncio.sleep(0.1)
        assert not late.done()
        assert it.views.scan_permits.held == 1
    assert len(await waiting) > 0
    assert len((await late).table) == MANY_ROWS
    assert (it.views.computations.waiting_bytes, it.views.scan_permits.held) == (0, 0)


async def test_tables_that_the_cache_counts_keep_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it drives them out."""
    monkeypatch.setattr(computations, "FEW_ROWS", 1_000)
    it = bench(MANY_ROWS)
    view = await it.view("one")
    async with all_permits(it, view):
        waiting = asyncio.create_task(view.numbers(search(7)))
        await asyncio.sleep(0.01)
        assert it.views.computations.waiting_bytes == 0
        assert len((await it.view("two")).table) == MANY_ROWS
        await it.drive_out()
        assert it.views.computations.waiting_bytes == view.table.size_bytes
    assert len(await waiting) > 0


async def test_a_caller_that_leaves_the_queue_takes_its_table_along() -> None:
    it = bench(memory_bytes=0)
    view = await it.view("one")
    async with it.views.computations.of(view_owner(view)).permit(view, ROWS):
        waiting = asyncio.create_task(view.numbers(search(7)))
        await asyncio.sleep(0.01)
        assert it.views.computations.waiting_bytes == view.table.size_bytes
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert it.views.computations.waiting_bytes == 0


def view_owner(view: View) -> bytes:
    return view.computations._locator
