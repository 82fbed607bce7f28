"""Responses of the gated upstream, each recorded by the invariant checker."""

from __future__ import annotations

import httpx

from tests.properties.environment import Environment
from tests.properties.gated_backends import Call, truncated
from tests.properties.invariants import InvariantChecker
from tests.properties.processes import Process

# Each step of a schedule advances the clock, so that every time belongs to one step.
TICK_SECONDS = 0.001

# Many more upstream calls than all running queries may need.
MAX_ROUNDS = 200


async def respond(
    environment: Environment, checker: InvariantChecker, process: Process, call: Call, outcome: str
) -> None:
    """Complete ``call`` with ``outcome``, and record it in the checker."""
    timeline = environment.timelines[call.token]
    process.response_moments[environment.clock()] = call.started
    if outcome == "empty" and timeline.has_total:
        timeline.empty_moments.add(environment.clock())
        call.respond(200, {"Value": [], "TotalCount": 0})
    elif outcome in ("ok", "empty"):
        call.respond(200, timeline.page(call.filter_number, call.skip, call.top, call.locale))
    elif outcome in ("401", "403"):
        checker.record_fault(process, call.token, "UNAUTHENTICATED" if outcome == "401" else "FORBIDDEN")
        call.respond(int(outcome), {})
        process.refused[call.token] = environment.clock()
        await environment.settle()
        checker.record_refusal(process, call.token)
    elif outcome.startswith("429"):
        await throttle(environment, checker, process, call, outcome.partition(" ")[2])
    elif outcome == "503":
        checker.record_fault(process, call.token, "UPSTREAM_UNAVAILABLE")
        call.respond(503, b"<html>")
    elif outcome == "timeout":
        checker.record_fault(process, call.token, "UPSTREAM_TIMEOUT")
        call.fail(httpx.ReadTimeout("late"))
    else:
        checker.record_fault(process, call.token, "UPSTREAM_BAD_RESPONSE")
        if outcome == "truncated":
            call.fail(truncated())
        else:
            call.respond(200, b'{"Value": [{"serv')


async def respond_to_all(environment: Environment, checker: InvariantChecker) -> None:
    """Complete upstream calls with good responses until no call is left."""
    await environment.settle()
    for _ in range(MAX_ROUNDS):
        if not environment.pending:
            return
        environment.clock.seconds += TICK_SECONDS
        await respond(environment, checker, *environment.pending[0], "ok")
        await environment.settle()
    raise AssertionError("the upstream calls never end")


async def throttle(
    environment: Environment, checker: InvariantChecker, process: Process, call: Call, retry_after: str
) -> None:
    """Complete ``call`` with 429."""
    until = environment.clock() + (int(retry_after) if retry_after.isdecimal() else 30)
    process.throttled_until[call.token] = max(until, process.throttled_until.get(call.token, 0))
    checker.longest_throttle[call.token] = max(until, checker.longest_throttle.get(call.token, 0))
    call.respond(429, {}, **{"Retry-After": retry_after})
    await environment.settle()
    if process.uses_redis:
        checker.throttled_until[call.token] = max(until, checker.throttled_until.get(call.token, 0))
