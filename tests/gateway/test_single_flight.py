"""Concurrent identical fetches share one call, and only those."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from dataclasses import replace

import pytest

from gateway.caller import Ahead, Caller
from gateway.errors import ServiceUnavailable, UpstreamUnavailable
from gateway.page import Page
from gateway.query import PageQuery
from gateway.single_flight import SingleFlight, _Flight
from tests.gateway.fakes import Clock, FakeSource, caller, query


@pytest.fixture
def source() -> FakeSource:
    return FakeSource(Clock())


async def started(tasks: list[asyncio.Task[Page]]) -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


def only(flights: SingleFlight) -> _Flight:
    """Return the only call in progress."""
    ((flight,),) = [list(calls.values()) for calls in flights._flights.values()]
    return flight


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
    tasks = [asyncio.create_task(flights.fetch(query(), each_caller)) for each_caller in callers]
    await started(tasks)
    source.gate.set()
    await asyncio.gather(*tasks)
    assert len(source.calls) == 3


async def test_a_canceled_caller_does_not_affect_others(source: FakeSource) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    first, second = (asyncio.create_task(flights.fetch(query(), caller())) for _ in range(2))
    await started([first, second])
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    source.gate.set()
    assert len((await second).rows) == 10
    assert source.cancelled == 0


async def test_the_call_is_canceled_when_its_last_caller_is(source: FakeSource) -> None:
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


async def test_a_caller_that_arrives_during_a_cancelation_gets_its_own_call_afterwards() -> None:
    class SlowToEnd(FakeSource):
        under_way = 0
        ending = asyncio.Event()

        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            self.under_way += 1
            assert self.under_way == 1
            try:
                return await super().fetch(query, caller)
            except asyncio.CancelledError:
                await self.ending.wait()
                raise
            finally:
                self.under_way -= 1

    source = SlowToEnd(Clock())
    flights = SingleFlight(source)
    source.gate.clear()
    first = asyncio.create_task(flights.fetch(query(), caller()))
    await started([first])
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    source.gate.set()
    others = [asyncio.create_task(flights.fetch(query(), caller())) for _ in range(2)]
    await started(others)
    assert len(source.calls) == 1
    source.ending.set()
    pages = await asyncio.gather(*others)
    assert pages[0] is pages[1]
    assert len(pages[0].rows) == 10
    assert (len(source.calls), source.cancelled) == (2, 1)


async def test_a_caller_that_needs_newer_rows_waits_for_the_earlier_call_then_makes_its_own(
    source: FakeSource,
) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    plain = asyncio.create_task(flights.fetch(query(), caller()))
    await started([plain])
    rereads = [asyncio.create_task(flights.fetch(query(revalidate=True), caller())) for _ in range(2)]
    await started(rereads)
    assert len(source.calls) == 1
    source.gate.set()
    old, *new = await asyncio.gather(plain, *rereads)
    assert new[0] is new[1] is not old
    assert len(source.calls) == 2


async def test_a_reread_page_is_new_enough_for_all_callers(source: FakeSource) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    tasks = [asyncio.create_task(flights.fetch(query(revalidate=rereads), caller())) for rereads in (True, False)]
    await started(tasks)
    source.gate.set()
    pages = await asyncio.gather(*tasks)
    assert pages[0] is pages[1]
    assert len(source.calls) == 1


async def test_a_failure_reaches_all_callers_and_is_not_cached(source: FakeSource) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    source.error = UpstreamUnavailable("down")
    tasks = [asyncio.create_task(flights.fetch(query(), caller())) for _ in range(3)]
    await started(tasks)
    source.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(error, UpstreamUnavailable) for error in results)
    source.error = None
    assert len((await flights.fetch(query(), caller())).rows) == 10


async def test_a_shared_call_has_no_budget_deadline_or_context_of_its_first_caller() -> None:
    secret = contextvars.ContextVar("secret", default="nothing")
    seen: list[tuple[str, float, int]] = []

    class Looking(FakeSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            seen.append((secret.get(), caller.deadline, caller.budget.spent_calls))
            return await super().fetch(query, caller)

    secret.set("the first caller's")
    each_caller = Caller(caller().token, deadline=5.0)
    each_caller.budget.reserve()
    await SingleFlight(Looking(Clock())).fetch(query(), each_caller)
    assert seen == [("nothing", float("inf"), 0)]


async def test_a_call_that_is_cancelled_from_inside_is_a_coded_error(source: FakeSource) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    task = asyncio.create_task(flights.fetch(query(), caller()))
    await started([task])
    only(flights).task.cancel()
    with pytest.raises(ServiceUnavailable):
        await task


async def test_a_caller_canceled_together_with_its_call_stays_canceled(source: FakeSource) -> None:
    """A shutdown is an error for waiting callers, but not for a canceled one."""
    flights = SingleFlight(source)
    source.gate.clear()
    task = asyncio.create_task(flights.fetch(query(), caller()))
    await started([task])
    only(flights).task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_failure_without_waiting_callers_is_not_logged_as_never_retrieved() -> None:
    class FailingAtTheEnd(FakeSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            try:
                return await super().fetch(query, caller)
            except asyncio.CancelledError:
                raise UpstreamUnavailable("down") from None

    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    source = FailingAtTheEnd(Clock())
    flights = SingleFlight(source)
    source.gate.clear()
    task = asyncio.create_task(flights.fetch(query(), caller()))
    await started([task])
    call = only(flights).task
    task.cancel()
    await asyncio.wait({task, call})
    # A task reports an unretrieved exception when it is freed.
    del task, call
    gc.collect()
    assert reported == []


async def test_a_call_that_began_before_a_refusal_is_not_shared_afterwards(source: FakeSource) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    before = [asyncio.create_task(flights.fetch(query(), caller())) for _ in range(2)]
    beside = asyncio.create_task(flights.fetch(query(), caller("two")))
    await started([*before, beside])
    flights.forget(caller().token)
    after = [asyncio.create_task(flights.fetch(query(), caller(name))) for name in ("one", "one", "two")]
    await started(after)
    source.gate.set()
    pages = await asyncio.gather(*before, beside, *after)
    assert len(source.calls) == 3
    assert pages[0] is pages[1]
    assert pages[3] is pages[4] is not pages[0]
    assert pages[5] is pages[2]
    assert not flights._flights


async def test_a_caller_that_needs_the_rows_makes_a_call_ahead_needed_and_gets_none_of_its_errors() -> None:
    calls: list[Caller] = []

    class FailingAhead(FakeSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            calls.append(caller)
            await asyncio.sleep(0.01)
            if caller.ahead is not None:
                raise UpstreamUnavailable("down")
            return await super().fetch(query, caller)

    source = SingleFlight(FailingAhead(lambda: 0.0))
    ahead = asyncio.ensure_future(source.fetch(query(), replace(caller(), ahead=Ahead())))
    await asyncio.sleep(0)
    needed = asyncio.ensure_future(source.fetch(query(), caller()))
    await asyncio.sleep(0.005)
    assert [call.is_ahead for call in calls] == [False]
    assert len((await needed).rows) == 10
    with pytest.raises(UpstreamUnavailable):
        await ahead
    assert len(calls) == 2


async def test_a_caller_that_arrives_just_when_a_call_ahead_fails_makes_its_own() -> None:
    """The failed call is still known then."""
    arrival = asyncio.get_running_loop().create_future()

    class FailingAhead(FakeSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            if caller.ahead is not None:
                await asyncio.sleep(0.01)
                arrival.set_result(None)
                raise UpstreamUnavailable("down")
            return await super().fetch(query, caller)

    source = SingleFlight(FailingAhead(lambda: 0.0))

    async def arrive() -> Page:
        await arrival
        return await source.fetch(query(), caller())

    needed = asyncio.ensure_future(arrive())
    with pytest.raises(UpstreamUnavailable):
        await source.fetch(query(), replace(caller(), ahead=Ahead()))
    assert len((await needed).rows) == 10
    assert not source._flights


def patience(flights: SingleFlight) -> list[bool]:
    """Return for each call in progress whether it is made ahead and nobody needs it."""
    return [
        flight.ahead is not None and not flight.ahead.is_needed
        for calls in flights._flights.values()
        for flight in calls.values()
    ]


@pytest.mark.parametrize("revalidate", [False, True])
async def test_a_call_ahead_is_needed_as_soon_as_a_caller_that_needs_its_rows_waits(
    source: FakeSource, revalidate: bool
) -> None:
    """A caller that revalidates waits for the end of the call, without sharing it."""
    flights = SingleFlight(source)
    source.gate.clear()
    ahead = asyncio.create_task(flights.fetch(query(), replace(caller(), ahead=Ahead())))
    await started([ahead])
    assert patience(flights) == [True]
    needed = asyncio.create_task(flights.fetch(query(revalidate=revalidate), caller()))
    await started([ahead, needed])
    assert patience(flights) == [False]
    source.gate.set()
    await asyncio.gather(ahead, needed)
    assert len(source.calls) == 1 + revalidate


@pytest.mark.parametrize("revalidate", [False, True])
async def test_a_call_ahead_is_needed_as_soon_as_a_later_caller_ahead_is(source: FakeSource, revalidate: bool) -> None:
    flights = SingleFlight(source)
    source.gate.clear()
    later_ahead = Ahead()
    first = asyncio.create_task(flights.fetch(query(), replace(caller(), ahead=Ahead())))
    await started([first])
    later = asyncio.create_task(flights.fetch(query(revalidate=revalidate), replace(caller(), ahead=later_ahead)))
    await started([first, later])
    assert patience(flights) == [True]
    later_ahead.need()
    assert patience(flights) == [False]
    source.gate.set()
    await asyncio.gather(first, later)


async def test_a_call_that_ends_when_its_last_caller_leaves_is_needed_by_the_next() -> None:
    """Canceling a call may take a while, in which the next caller waits for it."""

    class SlowToEnd(FakeSource):
        ending = asyncio.Event()

        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            try:
                return await super().fetch(query, caller)
            except asyncio.CancelledError:
                await self.ending.wait()
                raise

    source = SlowToEnd(Clock())
    flights = SingleFlight(source)
    source.gate.clear()
    ahead = asyncio.create_task(flights.fetch(query(), replace(caller(), ahead=Ahead())))
    await started([ahead])
    ahead.cancel()
    await asyncio.wait({ahead})
    needed = asyncio.create_task(flights.fetch(query(), caller()))
    await started([needed])
    assert patience(flights) == [False]
    source.gate.set()
    source.ending.set()
    assert len((await needed).rows) == 10


def test_fetches_ahead_that_wait_for_each_other_are_needed_together() -> None:
    one, two = Ahead(), Ahead()
    one.wait_for(two)
    two.wait_for(one)
    assert (one.is_needed, two.is_needed) == (False, False)
    one.need()
    assert (one.is_needed, two.is_needed) == (True, True)
