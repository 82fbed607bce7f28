"""Permits for long work: a few at once, in an order that is fair to tokens with little work."""

from __future__ import annotations

import asyncio

import pytest

from gateway.scheduling import fair_permits
from gateway.scheduling.fair_permits import FairPermits
from gateway.scheduling.permits import Patience, never


class Order:
    """Work that holds a permit until ``end`` is called, in the order in which they got it."""

    def __init__(self, permits: FairPermits) -> None:
        self.permits = permits
        self.begun: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}

    async def work(self, name: str, token: bytes, is_patient: Patience, is_further: bool) -> None:
        async with self.permits.hold(token, is_patient, is_further=is_further):
            self.begun.append(name)
            await self.ends.setdefault(name, asyncio.Event()).wait()

    async def start(
        self, name: str, token: bytes, is_patient: Patience = never, *, is_further: bool = False
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(self.work(name, token, is_patient, is_further))
        await asyncio.sleep(0.001)
        return task

    async def end(self, name: str) -> None:
        self.ends.setdefault(name, asyncio.Event()).set()
        await asyncio.sleep(0.001)


async def test_the_next_permit_is_for_the_token_that_used_the_least_time_lately() -> None:
    order = Order(FairPermits(per_token=1, total=1))
    tasks = [await order.start("heavy 1", b"heavy"), await order.start("light 1", b"light")]
    await asyncio.sleep(0.2)
    await order.end("heavy 1")
    await asyncio.sleep(0.02)
    tasks += [await order.start(name, name.split()[0].encode()) for name in ("heavy 2", "light 2", "new 1")]
    for name in ("light 1", "new 1", "light 2", "heavy 2"):
        assert order.begun[-1] == name
        await order.end(name)
    await asyncio.gather(*tasks)
    assert (order.permits.held, order.permits.waiting) == (0, 0)


async def test_two_slow_tokens_leave_a_permit_to_others() -> None:
    order = Order(FairPermits(per_token=2, total=4))
    tasks = [await order.start(f"{token} {n}", token.encode()) for token in ("slow", "stuck") for n in range(3)]
    assert order.begun == ["slow 0", "slow 1", "stuck 0"]
    tasks.append(await order.start("other 0", b"other"))
    assert order.begun[-1] == "other 0"
    for name in ("other 0", *order.begun, "stuck 1", "slow 2", "stuck 2"):
        await order.end(name)
    await asyncio.gather(*tasks)
    assert order.permits.held == 0


async def test_the_time_of_earlier_work_fades() -> None:
    order = Order(FairPermits(per_token=1, total=1, half_life_seconds=0.01))
    first = await order.start("heavy 1", b"heavy")
    await asyncio.sleep(0.2)
    await order.end("heavy 1")
    await asyncio.sleep(0.2)
    tasks = [first, await order.start("light 1", b"light"), await order.start("light 2", b"light")]
    tasks.append(await order.start("heavy 2", b"heavy"))
    await asyncio.sleep(0.02)
    for name in ("light 1", "heavy 2", "light 2"):
        assert order.begun[-1] == name
        await order.end(name)
    await asyncio.gather(*tasks)


async def test_patient_work_comes_after_all_other_until_somebody_waits_for_it() -> None:
    order, is_patient = Order(FairPermits(per_token=4, total=1)), [True, True]
    tasks = [await order.start("first", b"a")]
    tasks.append(await order.start("patient", b"b", lambda: is_patient[0]))
    tasks.append(await order.start("wanted", b"c", lambda: is_patient[1]))
    tasks.append(await order.start("ordinary", b"a"))
    is_patient[1] = False
    for name in ("first", "wanted", "ordinary", "patient"):
        assert order.begun[-1] == name
        await order.end(name)
    await asyncio.gather(*tasks)


async def test_canceled_work_passes_its_permit_on() -> None:
    order = Order(FairPermits(per_token=1, total=1))
    tasks = [await order.start(name, name.encode()) for name in ("one", "two", "three")]
    # The permit is given to the second one in the same step in which it is canceled.
    order.ends["one"].set()
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.sleep(0.001)
    assert order.begun == ["one", "three"]
    await order.end("three")
    assert order.permits.held == 0
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_only_the_latest_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_permits, "MAX_TOKENS", 3)
    permits = FairPermits(per_token=2, total=4)
    for number in range(10):
        async with permits.hold(str(number).encode()):
            pass
    assert list(permits._used) == [b"7", b"8", b"9"]


async def test_further_work_comes_before_the_tokens_other_work_and_not_before_other_tokens() -> None:
    order = Order(FairPermits(per_token=1, total=1))
    tasks = [await order.start("first", b"a")]
    tasks += [await order.start(name, b"a") for name in ("second", "third")]
    tasks.append(await order.start("other", b"b"))
    tasks.append(await order.start("further", b"a", is_further=True))
    await asyncio.sleep(0.02)
    for name in ("first", "other", "further", "second", "third"):
        assert order.begun[-1] == name
        await order.end(name)
    await asyncio.gather(*tasks)
