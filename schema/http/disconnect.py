"""Shared by all endpoints: correlation ids, cost and facts for the access log, and cancellation on disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from gateway.caller import Cost

Result = TypeVar("Result")

# The caller chooses the operation's name, so it may be as long as a document. The log has its start (our choice).
MAX_LOGGED_NAME_CHARACTERS = 100


def correlation_id_of(scope: Scope) -> str:
    """Return the request's correlation id, which its log line has, too."""
    return str(scope.get("state", {}).get("correlation_id", ""))


def cost_of(scope: Scope) -> Cost:
    """Return the request's cost, which its response headers and its log line show."""
    cost: Cost = scope.setdefault("state", {}).setdefault("cost", Cost())
    return cost


def note_facts(scope: Scope, *, operation: str | None, **facts: Any) -> None:
    """Record the operation's facts, including its upstream calls so far, for the request's log line and metrics."""
    clipped = operation and operation[:MAX_LOGGED_NAME_CHARACTERS]
    state = scope.setdefault("state", {})
    cost = state.get("cost")
    state["facts"] = {"operation": clipped, **facts, "upstream_calls": 0 if cost is None else cost.upstream_calls}


async def unless_disconnected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """Run ``work``, but cancel it and raise ClientDisconnect when the client disconnects."""
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        watcher.cancel()
        task.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
