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

from gateway.sandbox import responses
from gateway.sandbox.call_log import MAX_CALLS, CallLog, CallRecorder
from gateway.sandbox.datasets import DATASETS
from gateway.sandbox.endpoint import Compare, DatasetEndpoint
from gateway.sandbox.fault_injector import FaultInjector
from gateway.sandbox.faults import Faults
from gateway.sandbox.response_headers import with_headers
from gateway.sandbox.store import Store
from gateway.sandbox.tokens import Tokens
from gateway.sandbox.wire import ClientConnection

# Microsoft page: the syntax line shows the first, with a trailing slash; the example shows the second, without.
PREFIXES: Final = ("/v1/", "/partner/v1/")


def create_sandbox(*, log: Callable[[str], None] | None = None, compare: Compare = "casefold") -> Starlette:
    """Build the sandbox: Partner Center's analytics endpoints with invented rows.

    ``log`` receives one line per request, without token and query string. ``compare`` selects case-insensitive
    ("casefold") or case-sensitive ("exact") filters. ``app.state.calls`` holds the last 10,000 requests.
    """
    calls: CallLog = deque(maxlen=MAX_CALLS)
    tokens = Tokens()
    routes = [
        Route(prefix + dataset.path + slash, injector)
        for dataset in DATASETS
        for injector in (FaultInjector(dataset, DatasetEndpoint(dataset, Store(dataset), compare), tokens),)
        for prefix in PREFIXES
        for slash in ("", "/")
    ]
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
    response = with_headers(responses.not_found().response(), Request(scope), Faults().headers, first=False)
    await ClientConnection(receive, send).send_response(response, Faults(), accepts_gzip=False)
