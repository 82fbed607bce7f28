"""CORS: cross-site requests from browsers are refused unless their origin is listed.

Browsers have no credential to send automatically, but refusing also stops sites from probing a gateway on loopback.
Requests without a browser's headers pass. Refusing and permitting are separate layers: pages of listed origins must be
able to read every response, also those that other layers send.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import BadRequest
from gateway.http.error_responses import refused
from gateway.http.forwarded import is_host_of, public_host
from gateway.http.request_headers import named_headers

ALLOWED_HEADERS = (
    "Authorization, Content-Type, Accept, X-Locale, MS-CorrelationId, Apollo-Require-Preflight,"
    " X-Apollo-Operation-Name,"
    # Apollo Client 4.3, option clientAwareness, and enhancedClientAwareness with the transport "headers".
    " apollographql-client-name, apollographql-client-version,"
    " apollographql-library-name, apollographql-library-version,"
    # W3C Trace Context and Baggage: OpenTelemetry in the browser.
    " traceparent, tracestate, baggage"
)
EXPOSED_HEADERS = (
    "Retry-After, X-Cache, Age, ETag, MS-CorrelationId, X-Gateway-Upstream, X-Snapshot, X-Total-Count, X-Warnings,"
    " X-Upstream-Calls, X-Rows-Read"
)

# Time for which a browser may cache a preflight (ten minutes, the longest that all browsers support).
PREFLIGHT_SECONDS = 600

_PUBLIC = ("/healthz", "/readyz")

# Pairs of Origin and Host that a process logs, each once (our choice): callers can invent any number.
MAX_LOGGED_PAIRS = 20

# Values that are safe to log: no spaces and control characters, and no longer than a host name with scheme and port.
_LOGGED = re.compile(r"[!-~]{0,270}")

log = structlog.get_logger("gateway")


class CrossOriginResponses:
    """ASGI middleware that lets pages of the listed ``origins``, which may include ``*``, read every response."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        origin = Headers(scope=scope).get("origin")
        if origin is None or self._origins.isdisjoint(("*", origin)):
            return self._app(scope, receive, _varying(send))
        return self._app(scope, receive, _varying(self._permitting(send, origin)))

    def _permitting(self, send: Send, origin: str) -> Send:
        async def permitting(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Access-Control-Allow-Origin"] = "*" if "*" in self._origins else origin
                headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
            await send(message)

        return permitting


class CrossSite:
    """ASGI middleware that answers CORS preflights and refuses cross-site requests.

    ``origins`` may include ``*``. ``headers`` may be sent beside ALLOWED_HEADERS.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...], headers: tuple[str, ...] = ()) -> None:
        self._app = app
        self._allowed_headers = ", ".join([ALLOWED_HEADERS, *headers])
        self._origins = frozenset(origins)
        self._logged_pairs: set[tuple[str, str]] = set()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        named = named_headers(scope)
        # Browsers send these headers to identify the requesting site. A request without them cannot be checked, and
        # passes.
        if b"origin" not in named and b"sec-fetch-site" not in named and scope["method"] != "OPTIONS":
            return self._app(scope, receive, send)
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        allowed = origin is not None and self._allows(origin)
        if scope["method"] == "OPTIONS" and origin is not None and "access-control-request-method" in headers:
            return self._preflight(scope, allowed)(scope, receive, send)
        if not allowed and self._is_cross_site(scope, headers, origin):
            return self._refusal(scope)(scope, receive, send)
        return self._app(scope, receive, send)

    def _allows(self, origin: str) -> bool:
        return "*" in self._origins or origin in self._origins

    def _is_cross_site(self, scope: Scope, headers: Headers, origin: str | None) -> bool:
        if scope["path"] in _PUBLIC or _is_navigation(scope, headers):
            return False
        site = headers.get("sec-fetch-site")
        if site == "cross-site":
            return True
        # The browser compared the origins itself, and no script can set this header. A proxy may have changed Host.
        if site == "same-origin" or origin is None:
            return False
        # The scheme is not compared, because it is unknown behind a proxy that ends TLS. "null" has no host.
        return not is_host_of(origin, public_host(scope))

    def _preflight(self, scope: Scope, allowed: bool) -> Response:
        if not allowed:
            return self._refusal(scope)
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": self._allowed_headers,
                "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
            },
        )

    def _refusal(self, scope: Scope) -> Response:
        error = BadRequest(
            "Requests from other sites are refused. List the origin in GATEWAY_CORS_ORIGINS. If the page is the"
            " gateway's own, a proxy changed the Host header: let it keep Host, or let it send X-Forwarded-Host and"
            " list it in GATEWAY_TRUSTED_PROXIES.",
            status=403,
        )
        self._log_once(Headers(scope=scope).get("origin"), public_host(scope))
        return refused(scope, error, {"Vary": "Origin"})

    def _log_once(self, origin: str | None, host: str) -> None:
        """Log the Origin and the Host of a refused request. One from the gateway's own page shows what a proxy did."""
        if origin is None or len(self._logged_pairs) >= MAX_LOGGED_PAIRS:
            return
        origin, host = (text if _LOGGED.fullmatch(text) else "malformed" for text in (origin, host))
        if (origin, host) not in self._logged_pairs:
            self._logged_pairs.add((origin, host))
            log.warning("refused a request of another site: its Origin is not at the Host", origin=origin, host=host)


def _varying(send: Send) -> Send:
    """Add Vary to every response: caches must not give listed origins what was stored for others."""

    async def varying(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if "origin" not in (name.strip() for name in headers.get("vary", "").lower().split(",")):
                headers.add_vary_header("Origin")
        await send(message)

    return varying


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    """Return True for a link from another site, which opens a page of ours without giving that site access to it."""
    return (
        scope["method"] == "GET"
        and headers.get("origin") is None
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
