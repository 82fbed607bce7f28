"""Complete responses in one write. uvicorn writes head and body separately, and iterates over headers four times."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

# Larger bodies are not copied to be joined with the head (our choice: the capacity of a pipe).
JOINED_BYTES = 65_536


class OneWrite:
    """ASGI wrapper for one request that delays the head of a response with Content-Length until the first body chunk.

    If that chunk is the whole body, head and body go out in one write. uvicorn handles everything else. A response of
    unknown length is written as it arrives, because its next chunk may take long. Measured: a small cached response
    costs an eighth less.
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
        elif start is None:
            await self._send(message)
        elif not self._written(start, message):
            await self._send(start)
            await self._send(message)

    def _written(self, start: Message, message: Message) -> bool:
        cycle = self._cycle
        if (
            message.get("more_body", False)
            or not cycle.keep_alive
            or cycle.disconnected
            or cycle.flow.write_paused
            or cycle.scope["method"] == "HEAD"
        ):
            return False
        body = message.get("body", b"")
        head = _head(start["status"], [*cycle.default_headers, *start["headers"]], len(body))
        if head is None:
            return False
        if len(body) > JOINED_BYTES:
            cycle.transport.writelines((head, body))
        else:
            cycle.transport.write(head + body)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        cycle.on_response()
        return True


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
