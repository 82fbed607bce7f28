"""The outermost middleware: correlation ids, timing, one log line per request, and responses to unexpected errors."""

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
from gateway.http.request_headers import named_headers
from gateway.observability.logging import log_unforeseen
from gateway.observability.metrics import Metrics
from gateway.upstream.status import GUID

log = structlog.get_logger("gateway")

# Routes with their own label value in metrics; callers can invent any other path.
_ROUTES = frozenset({"/", "/graphql", "/healthz", "/readyz", "/metrics", "/schema.graphql", "/openapi.json"})
# All paths below these share one label value.
_FAMILIES = ("/graphiql", "/export")

# The methods of OpenTelemetry's semantic conventions except CONNECT and TRACE, which no route supports.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# The two high bits of this digit are fixed to 10 (RFC 9562, section 4.1).
_VARIANTS = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}

# Seeded by the system; reading random bits from the system each time costs five times more.
_random_bits = random.Random().getrandbits  # noqa: S311  # an id must be unique, not hard to guess

# Routes whose responses show what they cost: X-Upstream-Calls and X-Rows-Read.
_OPERATIONS = frozenset({"/graphql", "/export"})
_NO_COST = ((b"x-upstream-calls", b"0"), (b"x-rows-read", b"0"))

# Headers that this middleware sets itself; Vary is merged.
_REPLACED = frozenset({b"vary", b"x-content-type-options"})

# Paths of health and metrics requests.
_QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
# Health checks that proxies send by default, such as HAProxy's OPTIONS of /.
_PROBE_METHODS = frozenset({"HEAD", "OPTIONS"})
_PROBE_PATHS = frozenset({"/", "*"})


class RequestLog:
    """ASGI middleware that sets ``correlation_id`` in the scope's state, and reads ``cost`` and ``facts`` from it."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, sandbox: bool) -> None:
        self._app = app
        self._counters = metrics.requests
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
                self._complete(message, scope, started)
            await send(message)

        self._counters.in_flight += 1
        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:
            # The grace time is over. Respond to a client that is still connected, so that it retries.
            if not status:
                error = ServiceUnavailable("The gateway is shutting down. Retry.", retry_after_seconds=1)
                await error_response(error, state["correlation_id"])(scope, receive, sending)
            raise
        except Exception as error:
            log_unforeseen(error, state["correlation_id"])
            if status:
                raise
            response = error_response(InternalServerError(), state["correlation_id"])
            response.status_code = 500
            await response(scope, receive, sending)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _complete(self, message: Message, scope: Scope, started: float) -> None:
        milliseconds = 1_000 * (time.perf_counter() - started)
        message["headers"] = [
            *_with_one_vary(message["headers"]),
            (b"ms-correlationid", scope["state"]["correlation_id"].encode()),
            (b"server-timing", b"total;dur=%.1f" % milliseconds),
            *self._headers,
            *_cost_headers(scope),
        ]

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        path, facts = scope["path"], scope["state"].get("facts")
        refusal = scope["state"].get("refusal")
        route = route_of(path)
        # 499: the client disconnected before the response (nginx's convention).
        status = status or 499
        self._counters.ended(method_of(scope["method"]), route, status, seconds, facts)
        write_line = self._log.debug if is_quiet(scope) or route == "/graphiql" else self._log.info
        write_line(
            "request",
            method=method_of(scope["method"]),
            route=route,
            status=status,
            milliseconds=round(1_000 * seconds, 1),
            correlation_id=scope["state"]["correlation_id"],
            **(facts or ({"outcome": refusal} if refusal else {})),
        )


def is_quiet(scope: Scope) -> bool:
    """Return True for health and metrics requests, which are logged at level debug and not traced."""
    path = scope["path"]
    return path in _QUIET_PATHS or (path in _PROBE_PATHS and scope["method"] in _PROBE_METHODS)


def route_of(path: str) -> str:
    """Return the route of ``path`` in metrics, logs and traces."""
    if path in _ROUTES:
        return path
    return next((family for family in _FAMILIES if path.startswith(f"{family}/")), "other")


def _cost_headers(scope: Scope) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers with the operation's cost so far; none outside GraphQL and exports."""
    cost = scope["state"].get("cost")
    if cost is not None and cost.upstream_calls:
        return (b"x-upstream-calls", b"%d" % cost.upstream_calls), (b"x-rows-read", b"%d" % cost.rows_read)
    return _NO_COST if route_of(scope["path"]) in _OPERATIONS else ()


def method_of(method: str) -> str:
    """Return the label of ``method`` in metrics, logs and traces. Callers can invent any other method."""
    return method if method in _METHODS else "_OTHER"


def correlation_id(headers: Mapping[bytes, bytes]) -> str:
    """Return the client's MS-CorrelationId verbatim if it is a GUID, else a new GUID."""
    client_id = headers.get(b"ms-correlationid", b"").decode("latin-1")
    return client_id if client_id and GUID.fullmatch(client_id) else _new_guid()


def _new_guid() -> str:
    """Return a random GUID (RFC 9562, version 4), four times faster than ``uuid.uuid4``."""
    digits = f"{_random_bits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANTS[digits[16]]}{digits[17:20]}-{digits[20:]}"


def _with_one_vary(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return ``headers`` with one Vary header that names each header once, because every middleware adds its own."""
    others = [pair for pair in headers if pair[0] not in _REPLACED]
    vary = b", ".join([value for name, value in headers if name == b"vary"])
    return [*others, (b"vary", _names_once(vary))] if vary else others


@lru_cache(maxsize=64)
def _names_once(vary: bytes) -> bytes:
    return b", ".join(dict.fromkeys(name.strip() for name in vary.split(b",")))
