"""The outermost layer: ids, timing, one log line for each request, and a reply for whatever nobody foresaw."""

from __future__ import annotations

import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import InternalServerError
from gateway.http_errors import error_response
from gateway.telemetry import Metrics
from gateway.upstream.status import GUID

log = structlog.get_logger("gateway")

# Routes that metrics tell apart; other paths are callers' inventions.
_ROUTES = frozenset({"/", "/graphql", "/healthz", "/readyz", "/metrics", "/schema.graphql"})

_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestLog:
    """ASGI middleware. It puts ``correlation_id`` into the scope's state and reads ``facts`` from there afterwards."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, sandbox: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["correlation_id"] = correlation_id(Headers(scope=scope).get("ms-correlationid"))
        started = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._complete(message, state["correlation_id"], started)
            await send(message)

        self._metrics.request_started()
        try:
            await self._app(scope, receive, sending)
        except Exception:
            log.exception("unforeseen error", correlation_id=state["correlation_id"])
            if status:
                raise
            response = error_response(InternalServerError(), state["correlation_id"])
            response.status_code = 500
            await response(scope, receive, sending)
        finally:
            self._tell(scope, status, time.perf_counter() - started)

    def _complete(self, message: Message, correlation_id: str, started: float) -> None:
        headers = MutableHeaders(scope=message)
        headers["MS-CorrelationId"] = correlation_id
        headers["Server-Timing"] = f"total;dur={1_000 * (time.perf_counter() - started):.1f}"
        headers.setdefault("X-Content-Type-Options", "nosniff")
        if "Vary" in headers:
            # Each layer adds what it looked at, whether or not another one did.
            headers["Vary"] = ", ".join(dict.fromkeys(name.strip() for name in headers["Vary"].split(",")))
        if self._sandbox:
            headers["X-Gateway-Upstream"] = "sandbox"

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        path, facts = scope["path"], scope["state"].get("facts")
        route = path if path in _ROUTES else "/graphiql" if path.startswith("/graphiql/") else "other"
        self._metrics.request_ended(route=route, status=status, seconds=seconds, facts=facts)
        tell = log.debug if path in _QUIET else log.info
        tell(
            "request",
            method=scope["method"],
            route=route,
            # 499: the client went away before there was a reply (a convention that nginx made known).
            status=status or 499,
            milliseconds=round(1_000 * seconds, 1),
            correlation_id=scope["state"]["correlation_id"],
            **(facts or {}),
        )


def correlation_id(given: str | None) -> str:
    """``given`` to the letter when it is a GUID, else a new one."""
    return given if given and GUID.fullmatch(given) else str(uuid.uuid4())
