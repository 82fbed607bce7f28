"""The sandbox as an ASGI application."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.sandbox import replies
from gateway.sandbox.calls import MAX_CALLS, CallRecorder, Calls
from gateway.sandbox.endpoint import Compare, LicenseEndpoint
from gateway.sandbox.faults import Faults
from gateway.sandbox.stamps import stamped
from gateway.sandbox.store import Store
from gateway.sandbox.tokens import Tokens
from gateway.sandbox.wire import Connection

# The Microsoft page's syntax line has the first with a slash at the end, its example the second without.
PATHS: Final = ("/v1/analytics/commercial/deployment/license", "/partner/v1/analytics/commercial/deployment/license")


def create_sandbox(*, log: Callable[[str], None] | None = None, compare: Compare = "casefold") -> Starlette:
    """The upstream to run at home: Partner Center's licence deployment endpoint with invented rows.

    ``log`` gets a line for every request, without its token and query; ``compare`` says whether filter values equal
    without regard to case. ``app.state.calls`` holds the requests served, at most 10,000.
    """
    calls: Calls = deque(maxlen=MAX_CALLS)
    endpoint = LicenseEndpoint(Store(), Tokens(), compare)
    routes = [Route(path + slash, endpoint) for path in PATHS for slash in ("", "/")]
    app = Starlette(
        routes=[*routes, Route("/healthz", _healthz)],
        middleware=[Middleware(CallRecorder, calls=calls, log=log)],
    )
    app.router.redirect_slashes = False
    app.router.default = _not_found
    app.state.calls = calls
    return app


async def _healthz(request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    reply = stamped(replies.not_found().reply(), Request(scope), Faults(), first=False)
    await Connection(receive, send).deliver(reply, Faults(), accepts_gzip=False)
