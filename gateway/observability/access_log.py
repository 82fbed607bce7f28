"""The outermost layer: ids, timing, one log line for each request, and a reply for whatever nobody foresaw."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from functools import lru_cache

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import InternalServerError, ServiceUnavailable
from gateway.http.error_responses import error_response
from gateway.http.headers import named_headers
from gateway.observability.metrics import Metrics
from gateway.upstream.status import GUID

log = structlog.get_logger("gateway")

# Routes that metrics tell apart; other paths are callers' inventions.
_ROUTES = frozenset({"/", "/graphql", "/healthz", "/readyz", "/metrics", "/schema.graphql"})
# These are told apart no further.
_FAMILIES = ("/graphiql", "/export")

# Those of OpenTelemetry's semantic conventions but CONNECT and TRACE, which no route answers; others are told as one.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# The two high bits of this digit are fixed to 10 (RFC 9562, section 4.1).
_VARIANTS = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}

# Seeded by the system. Asking it each time costs five times more.
_random_bits = random.Random().getrandbits  # noqa: S311  # an id must be unlike others, not hard to guess

# Vary is joined anew; the other is this layer's to give.
_OWN = frozenset({b"vary", b"x-content-type-options"})

# What asks only how the process is: told at level debug, and in no trace.
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestLog:
    """ASGI middleware. It puts ``correlation_id`` into the scope's state and reads ``facts`` from there afterwards."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, sandbox: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log.bind()
        self._headers = [(b"x-content-type-options", b"nosniff")]
        if sandbox:
            self._headers.append((b"x-gateway-upstream", b"sandbox"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = named_headers(scope)
        state = scope["state"]
        state["correlation_id"] = correlation_id(headers)
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
        except asyncio.CancelledError:
            # The server's grace time is over. A client that is still there shall know that it may ask again.
            if not status:
                error = ServiceUnavailable("The gateway is shutting down. Try again.")
                await error_response(error, state["correlation_id"])(scope, receive, sending)
            raise
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
        milliseconds = 1_000 * (time.perf_counter() - started)
        message["headers"] = [
            *_with_one_vary(message["headers"]),
            (b"ms-correlationid", correlation_id.encode()),
            (b"server-timing", b"total;dur=%.1f" % milliseconds),
            *self._headers,
        ]

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        path, facts = scope["path"], scope["state"].get("facts")
        route = route_of(path)
        # 499: the client went away before there was a reply (a convention that nginx made known).
        status = status or 499
        self._metrics.request_ended(
            method=method_of(scope["method"]), route=route, status=status, seconds=seconds, facts=facts
        )
        tell = self._log.debug if path in QUIET or route == "/graphiql" else self._log.info
        tell(
            "request",
            method=scope["method"],
            route=route,
            status=status,
            milliseconds=round(1_000 * seconds, 1),
            correlation_id=scope["state"]["correlation_id"],
            **(facts or {}),
        )


def route_of(path: str) -> str:
    """The route that metrics, log and traces tell for ``path``."""
    return path if path in _ROUTES else _family(path)


def method_of(method: str) -> str:
    """The method that metrics and traces tell for ``method``."""
    return method if method in _METHODS else "_OTHER"


def _family(path: str) -> str:
    return next((family for family in _FAMILIES if path.startswith(f"{family}/")), "other")


def correlation_id(headers: Mapping[bytes, bytes]) -> str:
    """The client's MS-CorrelationId to the letter when it is a GUID, else a new one."""
    given = headers.get(b"ms-correlationid", b"").decode("latin-1")
    return given if given and GUID.fullmatch(given) else _new_guid()


def _new_guid() -> str:
    """A random GUID (RFC 9562, version 4). ``uuid.uuid4`` makes the same in four times the time."""
    digits = f"{_random_bits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANTS[digits[16]]}{digits[17:20]}-{digits[20:]}"


def _with_one_vary(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """``headers`` with a Vary that names each header once; every layer adds what it looked at."""
    found = [pair for pair in headers if pair[0] not in _OWN]
    given = b", ".join([value for name, value in headers if name == b"vary"])
    return [*found, (b"vary", _names_once(given))] if given else found


@lru_cache(maxsize=64)
def _names_once(given: bytes) -> bytes:
    return b", ".join(dict.fromkeys(name.strip() for name in given.split(b",")))
