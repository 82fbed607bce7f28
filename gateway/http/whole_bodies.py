"""Compress GraphQL responses, which are sent in one piece: large ones in the worker thread, cached ones only once.

The compression middleware's library works in the event loop, which a large response would block.
"""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, Generator, Hashable

import brotli
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.content_negotiation import coding_for, refuses_identity
from gateway.http.request_headers import list_header
from gateway.http.response_buffers import COMPRESSED_PART, buffer_of
from gateway.http.zstandard_codec import zstd
from gateway.page import Renderings
from gateway.scheduling.accepted_tokens import NO_OWNER
from gateway.scheduling.worker_thread import WorkerThread

# Smaller responses fit into one network packet, so compression does not pay.
COMPRESS_FROM_BYTES = 1_400

# Measured: compressing this size takes 0.2 (zstd) to 0.8 (gzip) milliseconds; 10,000 rows (3.5 MB) take 4 to over 35.
LARGE_BYTES = 131_072

# Measured with 10,000 rows (2.9 MB): 9 ms for 155 kB. The library's default, 4, takes 22 ms for 145 kB, gzip 38 ms for
# 249 kB, and zstd 4 ms for 158 kB.
BROTLI_QUALITY = 2

# zstd and gzip: the library's default levels.
_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstd.compress(body, 4),
    "br": lambda body: brotli.compress(body, quality=BROTLI_QUALITY),
    "gzip": lambda body: gzip.compress(body, 4, mtime=0),
}


def cache_compressed(scope: Scope, renderings: Renderings, name: Hashable) -> None:
    """Cache the compressed response of this request in ``renderings``; ``name`` must identify the whole body."""
    scope["state"]["compressed"] = renderings, name


class WholeBodies:
    """ASGI middleware that compresses responses sent in one piece: in ``thread`` if they are large."""

    def __init__(self, app: ASGIApp, thread: WorkerThread) -> None:
        self._app = app
        self._thread = thread

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        return self._app(scope, receive, _WholeBody(scope, send, self._thread))


class _WholeBody:
    """The ``send`` of one request: holds the head back until the first piece of the body."""

    __slots__ = ("_head", "_scope", "_send", "_thread")

    def __init__(self, scope: Scope, send: Send, thread: WorkerThread) -> None:
        self._scope = scope
        self._send = send
        self._thread = thread
        self._head: Message | None = None

    # Not a coroutine, for the speed of cached responses.
    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self._head = message
            return _HELD_BACK
        if self._head is None:
            return self._send(message)
        head, self._head = self._head, None
        return self._start(head, message)

    async def _start(self, head: Message, message: Message) -> None:
        """Send the head and the first piece, compressed if it is the whole body."""
        if not message.get("more_body"):
            await self._compress(head, message)
        await self._send(head)
        await self._send(message)

    async def _compress(self, head: Message, message: Message) -> None:
        """Compress the body of ``message`` if the client accepts it, unless the body is small."""
        body: bytes = message.get("body", b"")
        accepted = list_header(self._scope, b"accept-encoding")
        if len(body) < COMPRESS_FROM_BYTES and not (body and refuses_identity(accepted)):
            return
        coding = coding_for(accepted)
        if coding is None:
            return
        renderings, name = self._scope["state"].get("compressed", _NOT_CACHED)
        compressed: bytes | None = None if renderings is None else renderings.get((coding, name))
        buffer = buffer_of(self._scope)
        if compressed is None:
            if buffer is not None:
                buffer.hold(len(body) + len(body) // COMPRESSED_PART)
            compressed = await self._compressed(coding, bytes(body), NO_OWNER if buffer is None else buffer.owner)
            if renderings is not None:
                renderings.keep((coding, name), compressed, len(compressed))
        message["body"] = compressed
        if buffer is not None:
            buffer.hold(len(compressed))
        headers = [pair for pair in head["headers"] if pair[0] != b"content-length"]
        headers += ((b"content-encoding", coding.encode()), (b"content-length", b"%d" % len(compressed)))
        head["headers"] = headers

    async def _compressed(self, coding: str, body: bytes, owner: bytes) -> bytes:
        compressor = _COMPRESS[coding]
        return compressor(body) if len(body) < LARGE_BYTES else await self._thread.of(owner)(compressor, body)


class _HeldBack:
    """The awaitable of a message that is sent later."""

    def __await__(self) -> Generator[None]:
        yield from ()


_HELD_BACK = _HeldBack()
_NOT_CACHED = (None, None)
