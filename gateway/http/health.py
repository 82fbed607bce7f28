"""Liveness and readiness. Neither endpoint needs a token or calls the upstream."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import ServiceUnavailable
from gateway.http.error_responses import refused

_HEADERS = {"Cache-Control": "no-store"}

# Paths that are still served during shutdown.
_ALWAYS_OPEN = frozenset({"/healthz", "/readyz", "/metrics"})


class Health:
    """State of the process. ``reasons`` lists why it cannot serve, and is empty when it can."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {"starting": "The gateway is starting."}
        self.is_stopping = False

    def started(self) -> None:
        self.reasons.pop("starting", None)

    def stopping(self) -> None:
        """Mark the process as shutting down, so that LastCall refuses new requests."""
        self.is_stopping = True
        self.reasons["stopping"] = "The gateway is shutting down."

    @property
    def routes(self) -> list[Route]:
        return [Route("/healthz", self._healthz), Route("/readyz", self._readyz)]

    async def _healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=_HEADERS)

    async def _readyz(self, request: Request) -> Response:
        ready = not self.reasons
        body = {"status": "ready" if ready else "not ready", "reasons": list(self.reasons.values())}
        return JSONResponse(body, 200 if ready else 503, headers=_HEADERS)


class LastCall:
    """ASGI middleware that refuses new requests during shutdown, and closes their connections."""

    def __init__(self, app: ASGIApp, health: Health) -> None:
        self._app = app
        self._health = health

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if self._health.is_stopping and scope["type"] == "http" and scope["path"] not in _ALWAYS_OPEN:
            error = ServiceUnavailable("The gateway is shutting down. Retry.", retry_after_seconds=1)
            response = refused(scope, error, {"Connection": "close"})
            return response(scope, receive, send)
        return self._app(scope, receive, send)
