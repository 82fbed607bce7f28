"""Large operations, and those of made-up tokens, start one after the other; small ones of accepted tokens at once."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.errors import ServiceUnavailable
from gateway.scheduling.accepted_tokens import NO_OWNER
from schema.http.operation_starts import FEW_FIELDS, OperationStarts

FOREVER = 60.0
LARGE = FEW_FIELDS + 1


async def start(starts: OperationStarts, owner: bytes, root_fields: int, begun: list[str], name: str) -> None:
    await starts.wait(owner, root_fields, FOREVER)
    begun.append(name)
    # Starting an operation blocks the event loop.
    time.sleep(0.002)  # noqa: ASYNC251  # the event loop is to be blocked


async def test_one_field_of_an_accepted_token_never_waits() -> None:
    starts, begun = OperationStarts(), list[str]()
    many = [asyncio.create_task(start(starts, b"busy", LARGE, begun, f"large {n}")) for n in range(20)]
    await asyncio.sleep(0)
    await start(starts, b"calm", 1, begun, "calm")
    assert begun == ["calm"]
    await asyncio.gather(*many)
    assert len(begun) == 21


async def test_tokens_take_turns() -> None:
    starts, begun = OperationStarts(), list[str]()
    tasks = [asyncio.create_task(start(starts, b"busy", LARGE, begun, f"busy {n}")) for n in range(20)]
    tasks.append(asyncio.create_task(start(starts, b"calm", LARGE, begun, "calm")))
    await asyncio.gather(*tasks)
    assert begun.index("calm") == 1
    assert begun[2:] == [f"busy {n}" for n in range(1, 20)]


async def test_made_up_tokens_share_one_turn_and_their_small_operations_do_not_wait_for_large_ones() -> None:
    starts, begun = OperationStarts(), list[str]()
    tasks = [asyncio.create_task(start(starts, NO_OWNER, LARGE, begun, "made up")) for _ in range(20)]
    tasks.append(asyncio.create_task(start(starts, NO_OWNER, 1, begun, "new and small")))
    tasks.append(asyncio.create_task(start(starts, b"accepted", LARGE, begun, "accepted")))
    await asyncio.gather(*tasks)
    assert begun.index("accepted") <= 2
    assert begun.index("new and small") <= 2


async def test_between_two_starts_others_have_the_event_loop() -> None:
    starts, begun = OperationStarts(), list[str]()
    tasks = [asyncio.create_task(start(starts, b"busy", LARGE, begun, "busy")) for _ in range(10)]
    steps_between = [0]
    while len(begun) < 10:
        await asyncio.sleep(0)
        if len(begun) == len(steps_between):
            steps_between.append(0)
        steps_between[-1] += 1
    assert min(steps_between[1:-1]) > 5
    await asyncio.gather(*tasks)


async def test_an_operation_whose_turn_does_not_come_is_refused() -> None:
    starts = OperationStarts()
    begun: list[str] = []
    tasks = [asyncio.create_task(start(starts, b"busy", LARGE, begun, "busy")) for _ in range(50)]
    await asyncio.sleep(0)
    with pytest.raises(ServiceUnavailable, match="Too many operations are waiting to start") as raised:
        await starts.wait(b"busy", LARGE, 0.01)
    assert raised.value.facts == {"retryAfterSeconds": 5}
    await asyncio.gather(*tasks)
    assert len(begun) == 50
