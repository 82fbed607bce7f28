"""Long work of all tokens runs in one thread, in rotation between the tokens."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Generator

import pytest

from gateway.scheduling.worker_thread import T, Ts, WorkerThread, in_pieces, inline


class Work:
    """Work that records its order, and waits for ``gate`` in the thread."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.started = threading.Event()
        self.order: list[str] = []
        self.threads: set[int] = set()

    def __call__(self, name: str) -> str:
        self.started.set()
        assert self.gate.wait(30)
        self.threads.add(threading.get_ident())
        self.order.append(name)
        return name

    async def first_started(self) -> None:
        assert await asyncio.to_thread(self.started.wait, 30)


async def test_one_token_with_much_work_does_not_delay_others() -> None:
    thread, work = WorkerThread(), Work()
    busy = [asyncio.ensure_future(thread.of(b"busy")(work, f"busy {number}")) for number in range(60)]
    await work.first_started()
    other = asyncio.ensure_future(thread.of(b"other")(work, "other"))
    await asyncio.sleep(0)
    work.gate.set()
    assert await other == "other"
    assert await asyncio.gather(*busy) == [f"busy {number}" for number in range(60)]
    # One work of the busy token was running, and another one had the next turn.
    assert work.order.index("other") <= 2
    assert len(work.threads) == 1


async def test_work_of_a_canceled_caller_still_keeps_other_work_out() -> None:
    thread, work = WorkerThread(), Work()
    canceled = asyncio.ensure_future(thread.of(b"one")(work, "canceled"))
    await work.first_started()
    canceled.cancel()
    await asyncio.wait({canceled})
    later = asyncio.ensure_future(thread.of(b"one")(work, "later"))
    for _ in range(10):
        await asyncio.sleep(0)
    work.gate.set()
    await later
    assert work.order == ["canceled", "later"]
    assert len(work.threads) == 1


async def test_failed_work_is_its_callers_error_alone() -> None:
    in_thread = WorkerThread().of(b"one")
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "no number")
    assert await in_thread(int, "1") == 1


def pieces(work: Work, name: str, count: int = 5) -> Generator[None, None, str]:
    """Work in ``count`` pieces. Returns its name."""
    for number in range(count - 1):
        work(f"{name} {number}")
        yield
    return work(name)


def slow_clock() -> Callable[[], float]:
    """Return a clock by which each piece takes a second."""
    seconds = itertools.count()
    return lambda: next(seconds)


async def test_short_pieces_share_a_turn_and_a_long_one_ends_it() -> None:
    """Of the pieces, each takes a millisecond, apart from the third one."""
    turns: list[list[int]] = []
    now = 0.0

    def work() -> Generator[None, None, str]:
        nonlocal now
        for number in range(20):
            now += 0.1 if number == 2 else 0.001
            turns[-1].append(number)
            yield
        return "ended"

    async def turn(work: Callable[[*Ts], T], /, *arguments: *Ts) -> T:
        turns.append([])
        return work(*arguments)

    assert await in_pieces(turn, work(), lambda: now) == "ended"
    assert turns[0] == [0, 1, 2]
    assert [number for turn in turns for number in turn] == list(range(20))
    assert {len(turn) for turn in turns[1:-1]} <= {5, 6}


async def test_between_two_pieces_others_have_a_turn() -> None:
    thread, work = WorkerThread(), Work()
    long = asyncio.ensure_future(in_pieces(thread.of(b"long"), pieces(work, "long", 50), slow_clock()))
    await work.first_started()
    other = asyncio.ensure_future(thread.of(b"other")(work, "other"))
    await asyncio.sleep(0)
    work.gate.set()
    assert (await long, await other) == ("long", "other")
    assert work.order.index("other") <= 2
    assert work.order[-1] == "long"
    assert len(work.order) == 51


async def test_the_work_of_a_canceled_caller_ends_with_its_piece() -> None:
    thread, work = WorkerThread(), Work()
    canceled = asyncio.ensure_future(in_pieces(thread.of(b"one"), pieces(work, "canceled"), slow_clock()))
    await work.first_started()
    canceled.cancel()
    await asyncio.wait({canceled})
    work.gate.set()
    assert await thread.of(b"one")(work, "later") == "later"
    assert work.order == ["canceled 0", "later"]


async def test_short_work_in_pieces_needs_no_thread() -> None:
    work = Work()
    work.gate.set()
    assert await in_pieces(inline, pieces(work, "short")) == "short"
    assert work.threads == {threading.get_ident()}


async def test_an_error_ends_the_work_and_is_raised() -> None:
    def failing() -> Generator[None, None, int]:
        yield
        return int("no number")

    with pytest.raises(ValueError, match="invalid literal"):
        await in_pieces(WorkerThread().of(b"one"), failing())
