"""The sandbox as an ASGI application."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.sandbox.call_log import MAX_CALLS, CallLog, CallRecorder
from gateway.sandbox.dataset_endpoint import Compare, DatasetEndpoint
from gateway.sandbox.datasets import DATASETS
from gateway.sandbox.fault_injector import FaultInjector
from gateway.sandbox.faults import Faults
from gateway.sandbox.responses import refusal_with
from gateway.sandbox.tokens import History
from gateway.sandbox.wire import ClientConnection

# Microsoft page: the syntax line shows the first, with a trailing slash; the example shows the second, without.
PREFIXES: Final = ("/v1/", "/partner/v1/")


def create_sandbox(*, log: Callable[[str], None] | None = None, compare: Compare = "casefold") -> Starlette:
    """Build the sandbox: Partner Center's analytics endpoints with invented rows.

    ``log`` receives one line per request, without token and query string. ``compare`` selects case-insensitive
    ("casefold") or case-sensitive ("exact") filters. ``app.state.calls`` holds the last 10,000 requests.
    """
    calls: CallLog = deque(maxlen=MAX_CALLS)
    # Bounds memory; the least recently used tokens lose their history.
    history = lru_cache(maxsize=10_000)(lambda token: History())
    routes = [
        Route(prefix + dataset.path + slash, injector)
        for dataset in DATASETS
        for injector in (FaultInjector(dataset, DatasetEndpoint(dataset, compare), history),)
        for prefix in PREFIXES
        for slash in ("", "/")
    ]
    app = Starlette(
        routes=[*routes, Route("/healthz", _healthz), Route("/readyz", _readyz)],
        middleware=[Middleware(CallRecorder, calls=calls, log=log)],
    )
    app.router.redirect_slashes = False
    app.router.default = _not_found
    app.state.calls = calls
    return app


async def _healthz(request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _readyz(request: Request) -> JSONResponse:
    """Answer as the gateway does: ``gateway health`` asks both."""
    return JSONResponse({"status": "ready", "reasons": []})


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    await ClientConnection(Request(scope), receive, send).send_response(refusal_with(404).response(), Faults())
