"""What the upstream answers to one call, with the judge told of it."""

from __future__ import annotations

import httpx

from tests.properties.gates import Call, truncated
from tests.properties.judges import Judge
from tests.properties.processes import Process
from tests.properties.worlds import World

# A schedule's step takes a moment, so that every moment belongs to one step.
TICK_SECONDS = 0.001

# Many more upstream calls than all questions under way may need.
MAX_ROUNDS = 200


async def say(world: World, judge: Judge, process: Process, call: Call, verdict: str) -> None:
    """Answer ``call`` with ``verdict``, and tell the judge."""
    timeline = world.timelines[call.token]
    process.moments_answered[world.clock()] = call.begun
    if verdict == "empty" and timeline.tells_total:
        timeline.empty_moments.add(world.clock())
        call.say(200, {"Value": [], "TotalCount": 0})
    elif verdict in ("ok", "empty"):
        call.say(200, timeline.reply(call.filter_number, call.skip, call.top, call.locale))
    elif verdict in ("401", "403"):
        judge.met(process, call.token, "UNAUTHENTICATED" if verdict == "401" else "FORBIDDEN")
        call.say(int(verdict), {})
        process.refused[call.token] = world.clock()
        await world.settle()
        judge.refused(process, call.token)
    elif verdict.startswith("429"):
        await throttle(world, judge, process, call, verdict.partition(" ")[2])
    elif verdict == "503":
        judge.met(process, call.token, "UPSTREAM_UNAVAILABLE")
        call.say(503, b"<html>")
    elif verdict == "timeout":
        judge.met(process, call.token, "UPSTREAM_TIMEOUT")
        call.fail(httpx.ReadTimeout("late"))
    else:
        judge.met(process, call.token, "UPSTREAM_BAD_RESPONSE")
        if verdict == "truncated":
            call.fail(truncated())
        else:
            call.say(200, b'{"Value": [{"serv')


async def answer_all(world: World, judge: Judge) -> None:
    """The upstream answers well until nobody asks any more."""
    await world.settle()
    for _ in range(MAX_ROUNDS):
        if not world.pending:
            return
        world.clock.seconds += TICK_SECONDS
        await say(world, judge, *world.pending[0], "ok")
        await world.settle()
    raise AssertionError("calls without end")


async def throttle(world: World, judge: Judge, process: Process, call: Call, retry_after: str) -> None:
    """Answer ``call`` with 429."""
    until = world.clock() + (int(retry_after) if retry_after.isdecimal() else 30)
    process.throttled_until[call.token] = max(until, process.throttled_until.get(call.token, 0))
    judge.longest_throttle[call.token] = max(until, judge.longest_throttle.get(call.token, 0))
    call.say(429, {}, **{"Retry-After": retry_after})
    await world.settle()
    if process.uses_redis:
        judge.throttled_until[call.token] = max(until, judge.throttled_until.get(call.token, 0))
