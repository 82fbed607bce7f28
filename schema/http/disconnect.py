"""What every endpoint does with a request beside answering it: its id, its facts for the log, and its client's end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

Result = TypeVar("Result")

# A name is the caller's own text, as long as the document may be (our choice).
MAX_LOGGED_NAME_CHARACTERS = 100


def correlation_id_of(scope: Scope) -> str:
    """The id of the request, as its log line has it."""
    return str(scope.get("state", {}).get("correlation_id", ""))


def note_facts(scope: Scope, *, operation: str | None, **facts: Any) -> None:
    """Leave what the request's log line and metrics tell of the operation."""
    clipped = operation and operation[:MAX_LOGGED_NAME_CHARACTERS]
    scope.setdefault("state", {})["facts"] = {"operation": clipped, **facts}


async def unless_disconnected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """Run ``work``, but cancel it as soon as the client is gone: nobody is left to read the answer.

    Raises ClientDisconnect then.
    """
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
