"""Work of a bounded total weight runs at once, and no token keeps the others waiting."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.scheduling.weighted_permits import WeightedPermits


@dataclass
class Bench:
    """Work that runs until it is told to end."""

    permits: WeightedPermits
    running: list[str] = field(default_factory=list)
    ends: dict[str, asyncio.Event] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def start(self, name: str, weight: int, timeout_seconds: float = 100) -> None:
        """Start work of the token ``name[0]``."""
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._run(name, weight, timeout_seconds))
        await settled()

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await self.tasks[name]
        await settled()

    async def _run(self, name: str, weight: int, timeout_seconds: float) -> None:
        async with self.permits.hold(name[:1].encode(), weight, timeout_seconds, lambda: RuntimeError("late")):
            self.running.append(name)
            try:
                await self.ends[name].wait()
            finally:
                self.running.remove(name)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_work_runs_together_as_far_as_it_fits() -> None:
    bench = Bench(WeightedPermits(10))
    for name, weight in (("a1", 4), ("b1", 5), ("c1", 2)):
        await bench.start(name, weight)
    assert bench.running == ["a1", "b1"]
    await bench.end("a1")
    assert bench.running == ["b1", "c1"]
    assert bench.permits.held == 7


async def test_a_token_gets_half_and_others_do_not_wait_for_it() -> None:
    bench = Bench(WeightedPermits(10))
    for name, weight in (("a1", 3), ("a2", 3), ("b1", 3), ("a3", 1)):
        await bench.start(name, weight)
    assert bench.running == ["a1", "b1"]
    await bench.end("a1")
    assert bench.running == ["b1", "a2", "a3"]


async def test_tokens_take_turns() -> None:
    bench = Bench(WeightedPermits(4))
    for name in ("a1", "a2", "a3", "a4", "b1", "c1"):
        await bench.start(name, 2)
    order = []
    while bench.running:
        order.append(bench.running[0])
        await bench.end(bench.running[0])
    assert order == ["a1", "b1", "c1", "a2", "a3", "a4"]


async def test_work_heavier_than_the_limit_runs_alone_and_is_not_overtaken() -> None:
    bench = Bench(WeightedPermits(10))
    for name, weight in (("a1", 3), ("b1", 50), ("c1", 1)):
        await bench.start(name, weight)
    assert bench.running == ["a1"]
    await bench.end("a1")
    assert bench.running == ["b1"]
    await bench.end("b1")
    assert bench.running == ["c1"]


async def test_whoever_waits_too_long_gets_the_error_and_leaves_the_queue() -> None:
    bench = Bench(WeightedPermits(10))
    await bench.start("a1", 10)
    await bench.start("b1", 10, timeout_seconds=0.01)
    with pytest.raises(RuntimeError, match="late"):
        await bench.tasks["b1"]
    await bench.end("a1")
    assert (bench.permits.held, bench.permits._waiting) == (0, {})


async def test_canceled_work_lets_the_next_one_run() -> None:
    bench = Bench(WeightedPermits(10))
    for name, weight in (("a1", 6), ("b1", 6), ("c1", 4)):
        await bench.start(name, weight)
    assert bench.running == ["a1"]
    bench.tasks["b1"].cancel()
    await settled()
    assert bench.running == ["a1", "c1"]


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 12), st.sampled_from(["end", "cancel"])), max_size=30)


@settings(deadline=None, max_examples=60)
@given(steps=STEPS, data=st.data())
async def test_the_bound_holds_and_everything_ends(steps: list[tuple[str, int, str]], data: st.DataObject) -> None:
    bench, sizes = Bench(WeightedPermits(10)), dict[str, int]()
    for number, (token, weight, way) in enumerate(steps):
        sizes[f"{token}{number}"] = weight
        await bench.start(f"{token}{number}", weight)
        held = [sizes[name] for name in bench.running]
        assert sum(held) == bench.permits.held
        assert sum(held) <= 10 or len(held) == 1
        open_tasks = sorted(name for name, task in bench.tasks.items() if not task.done())
        is_over = data.draw(st.booleans())
        if open_tasks and is_over:
            name = data.draw(st.sampled_from(open_tasks))
            if way == "end":
                bench.ends[name].set()
            else:
                bench.tasks[name].cancel()
            await settled()
    for end in bench.ends.values():
        end.set()
    await asyncio.gather(*bench.tasks.values(), return_exceptions=True)
    assert (bench.permits.held, bench.permits._waiting) == (0, {})
