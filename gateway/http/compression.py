"""Compression of every reply that is worth it: zstd, Brotli or gzip, as the client can. RFC 9110, section 8.4."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import Receive, Scope, Send
from starlette_compress import CompressMiddleware, add_compress_type

from gateway.http.headers import named_headers

# Smaller replies cost more to compress than to send (one network packet).
COMPRESS_FROM_BYTES = 1_400

# Media types that the library does not know yet: GraphQL over HTTP's, and those of exports.
for media_type in ("application/graphql-response+json", "application/x-ndjson", "text/csv"):
    add_compress_type(media_type)


class Compress(CompressMiddleware):
    """Compression for clients that accept any; for others not even a look at the reply."""

    # No coroutine of its own, as every layer that has nothing to wait for: what it gives is awaited all the same.
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        """Serve one request."""
        if scope["type"] == "http" and b"accept-encoding" in named_headers(scope):
            return super().__call__(scope, receive, send)
        return self.app(scope, receive, send)
