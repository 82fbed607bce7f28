"""Permits: as many callers at once as there are permits, in the order of their arrival, the patient ones last."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from gateway.scheduling.permits import Permits, TokenPermits

FAR = float("inf")


class Refused(Exception):
    """The deadline passed."""


async def work(permits: Permits, name: str, order: list[str], *, is_patient: bool = False) -> None:
    async with permits.hold(FAR, Refused, is_patient=lambda: is_patient):
        order.append(name)
        await asyncio.sleep(0)


async def test_no_more_callers_than_permits_are_inside() -> None:
    permits, inside, most = Permits(3), 0, 0

    async def enter() -> None:
        nonlocal inside, most
        async with permits.hold(FAR, Refused):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(20)))
    assert most == 3


async def test_patient_callers_wait_until_no_other_does() -> None:
    permits, order = Permits(1), list[str]()
    await asyncio.gather(
        work(permits, "first", order),
        work(permits, "patient 1", order, is_patient=True),
        work(permits, "patient 2", order, is_patient=True),
        work(permits, "second", order),
        work(permits, "third", order),
    )
    assert order == ["first", "second", "third", "patient 1", "patient 2"]


async def test_a_caller_that_loses_its_patience_is_served_in_its_place() -> None:
    permits, order, is_patient = Permits(1), list[str](), True

    async def ahead() -> None:
        async with permits.hold(FAR, Refused, is_patient=lambda: is_patient):
            order.append("ahead")

    async with permits.hold(FAR, Refused):
        waiting = [asyncio.ensure_future(ahead()), asyncio.ensure_future(work(permits, "later", order))]
        await asyncio.sleep(0)
        is_patient = False
    await asyncio.gather(*waiting)
    assert order == ["ahead", "later"]


async def test_a_caller_whose_deadline_passes_is_refused_and_takes_no_permit() -> None:
    permits, order = Permits(1), list[str]()
    loop = asyncio.get_running_loop()
    async with permits.hold(FAR, Refused):
        with pytest.raises(Refused):
            async with permits.hold(loop.time() + 0.01, Refused):
                order.append("never")
    await work(permits, "later", order)
    assert order == ["later"]


@pytest.mark.parametrize("steps", range(4))
async def test_a_cancelled_caller_passes_its_permit_on(steps: int) -> None:
    permits, order = Permits(1), list[str]()

    async def hold() -> None:
        async with permits.hold(FAR, Refused):
            await asyncio.sleep(60)

    cancelled = asyncio.ensure_future(hold())
    waiting = [asyncio.ensure_future(hold()), asyncio.ensure_future(work(permits, "last", order))]
    await asyncio.sleep(0)
    cancelled.cancel()
    for _ in range(steps):
        await asyncio.sleep(0)
    waiting[0].cancel()
    with suppress(asyncio.CancelledError):
        await waiting[0]
    async with asyncio.timeout(5):
        await waiting[1]
        await work(permits, "later", order)
    assert order == ["last", "later"]


async def test_tokens_have_permits_of_their_own_and_leave_nothing_behind() -> None:
    permits = TokenPermits(1)
    async with permits.hold(b"one", FAR, Refused), permits.hold(b"two", FAR, Refused):
        assert (len(permits), permits.callers) == (2, 2)
        with pytest.raises(Refused):
            async with permits.hold(b"one", 0, Refused):
                raise AssertionError
    assert (len(permits), permits.callers) == (0, 0)


async def test_waiting_callers_of_a_token_can_be_refused_at_once() -> None:
    """Each gets a separate error. Callers of other tokens, and later ones, are not affected."""
    permits, order = TokenPermits(1), list[str]()

    async def wait(locator: bytes, name: str) -> None:
        async with permits.hold(locator, FAR, Refused):
            order.append(name)

    async with permits.hold(b"one", FAR, Refused), permits.hold(b"two", FAR, Refused):
        waiting = [asyncio.ensure_future(wait(b"one", "one")) for _ in range(3)]
        waiting += [asyncio.ensure_future(wait(b"two", "two"))]
        await asyncio.sleep(0)
        waiting[0].cancel()
        permits.refuse_waiting(b"one", lambda: LookupError("refused"))
        permits.refuse_waiting(b"unknown", LookupError)
        later = asyncio.ensure_future(wait(b"one", "later"))
        await asyncio.sleep(0)
        assert order == []
    results = await asyncio.gather(*waiting, later, return_exceptions=True)
    assert [type(result) for result in results] == [
        asyncio.CancelledError,
        LookupError,
        LookupError,
        type(None),
        type(None),
    ]
    assert results[1] is not results[2]
    assert sorted(order) == ["later", "two"]
    assert len(permits) == 0


async def test_a_canceled_caller_leaves_the_queue() -> None:
    permits = Permits(1)
    async with permits.hold(FAR, Refused):
        waiting = [asyncio.ensure_future(work(permits, str(number), [])) for number in range(1_000)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert not permits._waiting
