"""Bound the lists in request headers, which content negotiation and tracing read element by element."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import BadRequest
from gateway.http.error_responses import refused
from gateway.http.request_headers import list_header, named_headers

# W3C Baggage, section 3.3.2, allows 180 members, the longest list that any of these specifications requires.
MAX_ELEMENTS = 200

# The headers that the gateway or the tracing library splits at commas and semicolons.
LISTS = (b"accept", b"accept-encoding", b"content-type", b"if-none-match", b"tracestate", b"baggage")


class BoundedHeaderLists:
    """ASGI middleware that refuses requests with a header of more than MAX_ELEMENTS elements and parameters."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    # Not a coroutine, for the speed of cached responses.
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        if scope["type"] == "http":
            headers = named_headers(scope)
            is_any_repeated = len(headers) != len(scope["headers"])
            for name in LISTS:
                value = headers.get(name)
                if value is not None and is_any_repeated:
                    value = list_header(scope, name).encode("latin-1")
                # Count separators only in values long enough to have too many.
                if value is not None and len(value) > MAX_ELEMENTS and _elements(value) > MAX_ELEMENTS:
                    return _refusal(scope, name)(scope, receive, send)
        return self._app(scope, receive, send)


def _elements(value: bytes) -> int:
    return 1 + value.count(b",") + value.count(b";")


def _refusal(scope: Scope, name: bytes) -> ASGIApp:
    message = f"The header {name.decode().title()} has more than {MAX_ELEMENTS} elements. Send fewer."
    # RFC 6585, section 5: Request Header Fields Too Large.
    return refused(scope, BadRequest(message, status=431))
