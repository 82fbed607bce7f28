"""Compression of responses: zstd, Brotli or gzip, as the client accepts (RFC 9110, section 8.4)."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import Receive, Scope, Send
from starlette_compress import CompressMiddleware, add_compress_type

from gateway.http.headers import named_headers

# Smaller responses fit into one network packet, so compression does not pay.
COMPRESS_FROM_BYTES = 1_400

# Media types that the library does not know: GraphQL over HTTP, and exports.
for media_type in ("application/graphql-response+json", "application/x-ndjson", "text/csv"):
    add_compress_type(media_type)


class Compress(CompressMiddleware):
    """ASGI middleware that compresses responses for clients that send Accept-Encoding, and passes others through."""

    # Not a coroutine: returning the inner awaitable saves one coroutine per request.
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        if scope["type"] == "http" and b"accept-encoding" in named_headers(scope):
            return super().__call__(scope, receive, send)
        return self.app(scope, receive, send)
