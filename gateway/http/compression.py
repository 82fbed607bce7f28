"""Compress responses with zstd, Brotli or gzip, as the client accepts (RFC 9110, section 8.4)."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_compress import CompressMiddleware, add_compress_type

from gateway.http.headers import named_headers
from gateway.http.whole_bodies import COMPRESS_FROM_BYTES, WholeBodies

# Media types that the library does not know: GraphQL over HTTP, and exports.
for media_type in ("application/graphql-response+json", "application/x-ndjson", "text/csv"):
    add_compress_type(media_type)


class Compress(CompressMiddleware):
    """ASGI middleware that compresses responses for clients that send Accept-Encoding, and passes others through.

    WholeBodies compresses large and cached GraphQL responses; the library compresses all others as they are sent.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(WholeBodies(app), minimum_size=COMPRESS_FROM_BYTES)
        self._uncompressed = app

    # Not a coroutine: returning the inner awaitable saves one coroutine per request.
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        if scope["type"] == "http" and b"accept-encoding" in named_headers(scope):
            return super().__call__(scope, receive, send)
        return self._uncompressed(scope, receive, send)
