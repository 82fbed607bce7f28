"""A bounded log of the requests served; tests read it to see what went over the wire."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.sandbox.tokens import bearer

# Enough to paginate through a distributor's data with many retries.
MAX_CALLS: Final = 10_000


@dataclass(slots=True)
class SandboxCall:
    """One request. ``query_string`` is verbatim; ``status`` is 0 until a response starts."""

    path: str
    query_string: str
    headers: dict[str, str]
    token: str = field(repr=False)
    status: int = 0


CallLog = deque[SandboxCall]


@dataclass(frozen=True, slots=True)
class CallRecorder:
    """Middleware that records every request except health checks, in order of arrival."""

    app: ASGIApp
    calls: CallLog
    log: Callable[[str], None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ("/healthz", "/readyz"):
            await self.app(scope, receive, send)
            return
        started_seconds = time.perf_counter()
        call = _call(scope)
        self.calls.append(call)

        async def record_status(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, record_status)
        finally:
            if self.log is not None:
                took_milliseconds = (time.perf_counter() - started_seconds) * 1000
                self.log(f"{scope['method']} {call.path} -> {call.status or 'no answer'} in {took_milliseconds:.0f} ms")


def _call(scope: Scope) -> SandboxCall:
    values = Headers(scope=scope)
    headers = {name: ", ".join(values.getlist(name)) for name in values}
    token = bearer(headers.pop("authorization", None))
    return SandboxCall(scope["path"], scope["query_string"].decode("latin-1"), headers, token)
