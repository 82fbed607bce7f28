"""Concurrent identical fetches share one call, and nothing else."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from gateway.errors import ServiceUnavailable, UpstreamUnavailable
from gateway.page import Caller, Page
from gateway.query import PageQuery
from gateway.single_flight import SingleFlight
from tests.gateway.fakes import Clock, FakeSource, caller, query


@pytest.fixture
def source() -> FakeSource:
    return FakeSource(Clock())


async def started(tasks: list[asyncio.Task[Page]]) -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


async def test_a_hundred_callers_share_one_call(source: FakeSource) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    tasks = [asyncio.create_task(flights.fetch(query(), caller())) for _ in range(100)]
    await started(tasks)
    source.gate.set()
    pages = await asyncio.gather(*tasks)
    assert len(source.calls) == 1
    assert all(page is pages[0] for page in pages)
    assert not flights._flights


async def test_tokens_and_locales_never_share_a_call(source: FakeSource) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    callers = [caller("one"), caller("two"), caller("one", "de-DE")]
    tasks = [asyncio.create_task(flights.fetch(query(), who)) for who in callers]
    await started(tasks)
    source.gate.set()
    await asyncio.gather(*tasks)
    assert len(source.calls) == 3


async def test_a_caller_that_goes_away_harms_no_other(source: FakeSource) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    first, second = (asyncio.create_task(flights.fetch(query(), caller())) for _ in range(2))
    await started([first, second])
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    source.gate.set()
    assert len((await second).rows) == 10
    assert source.cancelled == 0


async def test_when_the_last_caller_goes_the_call_is_cancelled(source: FakeSource) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    tasks = [asyncio.create_task(flights.fetch(query(), caller())) for _ in range(2)]
    await started(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
    assert source.cancelled == 1
    assert not flights._flights


async def test_who_asks_while_a_call_is_being_cancelled_gets_a_call_of_its_own(source: FakeSource) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    first = asyncio.create_task(flights.fetch(query(), caller()))
    await started([first])
    first.cancel()
    await asyncio.sleep(0)
    second = asyncio.create_task(flights.fetch(query(), caller()))
    source.gate.set()
    assert len((await second).rows) == 10
    assert len(source.calls) == 2


async def test_a_failure_reaches_everyone_and_is_not_remembered(source: FakeSource) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    source.error = UpstreamUnavailable("down")
    tasks = [asyncio.create_task(flights.fetch(query(), caller())) for _ in range(3)]
    await started(tasks)
    source.gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(error, UpstreamUnavailable) for error in found)
    source.error = None
    assert len((await flights.fetch(query(), caller())).rows) == 10


async def test_a_shared_call_carries_nothing_of_its_first_caller() -> None:
    secret = contextvars.ContextVar("secret", default="nothing")
    seen: list[tuple[str, float, int]] = []

    class Looking(FakeSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            seen.append((secret.get(), caller.deadline, caller.budget.spent_calls))
            return await super().fetch(query, caller)

    secret.set("the first caller's")
    who = Caller(caller().token, deadline=5.0)
    who.budget.reserve()
    await SingleFlight(Looking(Clock())).fetch(query(), who)
    assert seen == [("nothing", float("inf"), 0)]


async def test_a_call_that_is_cancelled_from_inside_is_a_coded_error(source: FakeSource) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    task = asyncio.create_task(flights.fetch(query(), caller()))
    await started([task])
    next(iter(flights._flights.values())).task.cancel()
    with pytest.raises(ServiceUnavailable):
        await task
