"""Compress responses with Brotli, gzip or zstd, if the client accepts one (RFC 9110, section 8.4)."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_compress import CompressMiddleware, add_compress_type

from gateway.http.content_negotiation import coding_for, refuses_identity
from gateway.http.request_headers import list_header, named_headers
from gateway.http.whole_bodies import BROTLI_QUALITY, COMPRESS_FROM_BYTES, WholeBodies
from gateway.scheduling.worker_thread import WorkerThread

# Media types that the library does not know: GraphQL over HTTP, and exports.
for media_type in ("application/graphql-response+json", "application/x-ndjson", "text/csv"):
    add_compress_type(media_type)


class Compress(CompressMiddleware):
    """ASGI middleware that compresses responses for clients that send Accept-Encoding, and passes others through.

    WholeBodies compresses responses of ``whole_path``, which are sent in one piece, large ones in ``thread``. The
    library compresses all others, piece by piece. It has its own preferences, so it is shown only the chosen coding.
    """

    __slots__ = ("_every_body", "_whole_bodies", "_whole_path")

    def __init__(self, app: ASGIApp, whole_path: str, thread: WorkerThread) -> None:
        super().__init__(app, minimum_size=COMPRESS_FROM_BYTES, brotli_quality=BROTLI_QUALITY)
        self._every_body = CompressMiddleware(app, minimum_size=1, brotli_quality=BROTLI_QUALITY)
        self._whole_path = whole_path
        self._whole_bodies = WholeBodies(app, thread)

    # Not a coroutine: returning the inner awaitable saves one coroutine per request.
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        if scope["type"] == "http" and b"accept-encoding" in named_headers(scope):
            if scope["path"] == self._whole_path:
                return self._whole_bodies(scope, receive, send)
            accepted = list_header(scope, b"accept-encoding")
            others = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
            chosen = (coding_for(accepted) or "identity").encode()
            scope["headers"] = [*others, (b"accept-encoding", chosen)]
            if refuses_identity(accepted):
                return self._every_body(scope, receive, send)
            return super().__call__(scope, receive, send)
        return self.app(scope, receive, send)
