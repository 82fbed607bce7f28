"""Small responses in one write, and large ones in pieces that wait for the client.

uvicorn writes head and body separately, iterates over headers four times, and buffers a body of any size.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.http.response_buffers import PIECE_BYTES

# The bytes written in one system call. Measured: the kernel copies them in half a millisecond, while other tasks wait.
GROUP_BYTES = 64 * PIECE_BYTES

# The remaining length of a response whose length is unknown is above this; no response is as long.
UNKNOWN_BYTES = sys.maxsize // 2

# The server's usual limit for bytes that wait for the client: asyncio's and uvloop's default.
HIGH_WATER_BYTES = 65_536


class OneWrite:
    """ASGI wrapper for one request that delays the head of a response with Content-Length until the first body chunk.

    If that chunk is the whole body, the head goes out in one write with the body, or with a large body's first part.
    uvicorn handles everything else. A response of unknown length is written as it arrives, because its next chunk may
    take long. Measured: a small cached response costs an eighth less.

    Larger chunks are written in pieces, in groups, each when the client has taken the previous one.
    """

    __slots__ = ("_app", "_cycle", "_send", "_start")

    _send: Send

    def __init__(self, app: ASGIApp, cycle: RequestResponseCycle) -> None:
        self._app = app
        self._cycle = cycle
        self._start: Message | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        self._send = send
        return self._app(scope, receive, self._sending)

    async def _sending(self, message: Message) -> None:
        start, self._start = self._start, None
        if message["type"] == "http.response.start" and not self._cycle.response_started and _has_length(message):
            self._start = message
        elif message["type"] == "http.response.start" and self._is_ended_by_closing():
            cycle = self._cycle
            cycle.chunked_encoding, cycle.expected_content_length, cycle.keep_alive = False, sys.maxsize, False
            transport: Any = cycle.transport
            transport.reset_unless(lambda: cycle.response_complete)
            await self._send(message)
        elif start is None:
            if self._cycle.expected_content_length > UNKNOWN_BYTES and not message.get("more_body", False):
                self._cycle.expected_content_length = len(message.get("body", b""))
            await self._send_pieces(message)
        elif (head := self._head(start, message)) is None:
            await self._send(start)
            await self._send_pieces(message)
        elif len(message["body"]) <= PIECE_BYTES:
            self._write_small(head, message["body"])
        else:
            cycle = self._cycle
            cycle.response_started, cycle.waiting_for_100_continue = True, False
            cycle.chunked_encoding, cycle.expected_content_length = False, len(message["body"])
            await self._send_large(message, head)

    def _is_ended_by_closing(self) -> bool:
        """Return True if only the end of the connection can end the response: HTTP/1.0 has no chunks."""
        cycle = self._cycle
        return not cycle.response_started and cycle.scope["http_version"] == "1.0" and cycle.scope["method"] != "HEAD"

    async def _send_pieces(self, message: Message) -> None:
        cycle = self._cycle
        body = message.get("body", b"")
        if len(body) <= PIECE_BYTES or cycle.scope["method"] == "HEAD":
            await self._send(message)
        elif cycle.chunked_encoding:
            await self._send_chunks(body, has_more=message.get("more_body", False))
        elif len(body) > cycle.expected_content_length:
            # Too short a body is an error: pass it to uvicorn before anything is written.
            await self._send(message)
        else:
            await self._send_large(message)

    async def _send_large(self, message: Message, head: bytes = b"") -> None:
        """Send a body of known length, and the ``head`` in the same write."""
        body = message["body"]
        rest = (len(body) - 1) // PIECE_BYTES * PIECE_BYTES
        await self._write_groups(memoryview(body)[:rest], head)
        # uvicorn completes the response.
        await self._send({**message, "body": bytes(body[rest:])})

    async def _send_chunks(self, body: bytes, *, has_more: bool) -> None:
        for start in range(0, len(body), PIECE_BYTES):
            end = start + PIECE_BYTES
            more = has_more or end < len(body)
            await self._send({"type": "http.response.body", "body": bytes(body[start:end]), "more_body": more})

    async def _write_groups(self, body: memoryview, head: bytes) -> None:
        """Write most of a body of known length, and wait until the client or its kernel has all of it.

        Nothing is copied. Afterwards the transport holds no part of the body, which would keep all of it in memory.
        """
        cycle = self._cycle
        if cycle.disconnected:
            return
        cycle.transport.set_write_buffer_limits(high=0)
        for start in range(0, len(body), GROUP_BYTES):
            if start:
                # Let other tasks run beside a client that reads as fast as the gateway writes.
                await asyncio.sleep(0)
            if cycle.disconnected:
                return
            group = body[start : start + GROUP_BYTES]
            pieces = [group[position : position + PIECE_BYTES] for position in range(0, len(group), PIECE_BYTES)]
            cycle.transport.writelines([head, *pieces] if head else pieces)
            head = b""
            cycle.expected_content_length -= len(group)
            if cycle.flow.write_paused:
                await cycle.flow.drain()
        if not cycle.disconnected:
            cycle.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    def _head(self, start: Message, message: Message) -> bytes | None:
        """Return the response's head if ``message`` holds the whole body, else None: uvicorn must decide."""
        cycle = self._cycle
        if (
            message.get("more_body", False)
            or not cycle.keep_alive
            or cycle.disconnected
            or cycle.flow.write_paused
            or cycle.scope["method"] == "HEAD"
        ):
            return None
        body = message.setdefault("body", b"")
        return _head(start["status"], [*cycle.default_headers, *start["headers"]], len(body))

    def _write_small(self, head: bytes, body: bytes) -> None:
        cycle = self._cycle
        cycle.transport.write(head + body)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        cycle.on_response()


def _has_length(start: Message) -> bool:
    return any(name == b"content-length" for name, _ in start["headers"])


def _head(status: int, headers: list[tuple[bytes, bytes]], body_bytes: int) -> bytes | None:
    """Return the response head, or None if uvicorn must decide, such as when the body has another length."""
    named = dict(headers)
    if named.get(b"content-length") != b"%d" % body_bytes or b"connection" in named or b"transfer-encoding" in named:
        return None
    lines = [b"%b: %b\r\n" % pair for pair in headers]
    head = b"".join((STATUS_LINE[status], *lines, b"\r\n"))
    # A header that contained a line break would be read as two headers.
    ends = len(headers) + 2
    return head if head.count(b"\n") == head.count(b"\r") == ends and b"\0" not in head else None
