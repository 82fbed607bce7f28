"""Turns alternate between tokens, and other tasks run between two turns."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import suppress

import pytest

from gateway.scheduling.rotation import Rotation


async def take_turns(rotation: Rotation, owner: str, count: int, turns: list[str]) -> None:
    for _ in range(count):
        async with rotation.turn(owner.encode()):
            turns.append(owner)


def block(seconds: float) -> None:
    """Block the event loop, as long work does."""
    time.sleep(seconds)


async def test_owners_alternate_however_many_turns_each_waits_for() -> None:
    rotation, turns = Rotation(), list[str]()
    many = [take_turns(rotation, "busy", 5, turns) for _ in range(20)]
    await asyncio.gather(*many, take_turns(rotation, "other", 5, turns), take_turns(rotation, "third", 5, turns))
    assert turns.count("busy") == 100
    assert turns[:15] == ["busy", "other", "third"] * 5


async def test_the_requests_of_one_owner_alternate() -> None:
    rotation, turns = Rotation(), list[str]()

    async def request(name: str) -> None:
        for _ in range(3):
            async with rotation.turn(b"owner"):
                turns.append(name)

    await asyncio.gather(request("first"), request("second"))
    assert turns == ["first", "second"] * 3


async def test_other_tasks_run_between_two_turns() -> None:
    rotation, turns, seen = Rotation(), list[str](), list[int]()

    async def look_on() -> None:
        for _ in range(50):
            seen.append(len(turns))
            await asyncio.sleep(0)

    await asyncio.gather(*(take_turns(rotation, str(number), 2, turns) for number in range(10)), look_on())
    assert {later - earlier for earlier, later in itertools.pairwise(seen)} == {0, 1}


async def test_turns_do_not_overlap() -> None:
    rotation, inside, most = Rotation(), 0, 0

    async def hold(owner: bytes) -> None:
        nonlocal inside, most
        async with rotation.turn(owner):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(hold(b"%d" % number) for number in range(5)))
    assert most == 1


@pytest.mark.parametrize("steps", range(5))
async def test_a_cancelled_request_passes_its_turn_on(steps: int) -> None:
    """Cancelled while it waits, when it has just got its turn, and during its turn."""
    rotation, turns = Rotation(), list[str]()

    async def work() -> None:
        async with rotation.turn(b"first"):
            await asyncio.sleep(60)

    cancelled = asyncio.ensure_future(work())
    for _ in range(steps):
        await asyncio.sleep(0)
    later = asyncio.ensure_future(take_turns(rotation, "later", 2, turns))
    await asyncio.sleep(0)
    cancelled.cancel()
    with suppress(asyncio.CancelledError):
        await cancelled
    async with asyncio.timeout(5):
        await later
        await take_turns(rotation, "last", 1, turns)
    assert turns == ["later", "later", "last"]


async def test_a_failed_turn_is_passed_on() -> None:
    rotation, turns = Rotation(), list[str]()
    with pytest.raises(ValueError, match="broken"):
        async with rotation.turn(b"first"):
            raise ValueError("broken")
    async with asyncio.timeout(5):
        await take_turns(rotation, "later", 1, turns)
    assert turns == ["later"]


async def test_a_finished_rotation_holds_nothing() -> None:
    rotation = Rotation()
    await asyncio.gather(*(take_turns(rotation, str(number), 2, []) for number in range(3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert vars(rotation) == {"_rest_share": 0.0, "_waiting": {}, "_is_taken": False}


async def test_other_tasks_run_during_the_rest_after_a_turn() -> None:
    rotation, turns, seen = Rotation(rest_share=1.0), list[str](), list[int]()

    async def work() -> None:
        async with rotation.turn(b"owner"):
            turns.append("turn")
            block(0.03)

    async def look_on() -> None:
        while len(turns) < 3:
            seen.append(len(turns))
            await asyncio.sleep(0)

    await asyncio.gather(work(), work(), work(), look_on())
    assert min(seen.count(1), seen.count(2)) > 5


async def test_what_follows_a_turn_directly_prolongs_the_rest() -> None:
    rotation, turns, seen = Rotation(rest_share=1.0), list[str](), list[int]()

    async def follow() -> None:
        block(0.03)

    async def work() -> None:
        async with rotation.turn(b"owner"):
            turns.append("turn")
        await asyncio.gather(follow(), follow())

    async def look_on() -> None:
        while len(turns) < 3:
            seen.append(len(turns))
            await asyncio.sleep(0)

    await asyncio.gather(work(), work(), work(), look_on())
    assert min(seen.count(1), seen.count(2)) > 5


async def test_there_is_no_rest_after_a_turn_that_was_not_used() -> None:
    rotation = Rotation(rest_share=1_000_000.0)
    waiting = asyncio.ensure_future(take_turns(rotation, "first", 1, []))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(waiting.cancel)
    block(0.01)
    await asyncio.wait([waiting])
    async with asyncio.timeout(5), rotation.turn(b"later"):
        pass
