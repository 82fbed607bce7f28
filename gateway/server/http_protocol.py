"""What uvicorn leaves open in HTTP: how long heads may be and take, what is malformed, and clients that do not read."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.errors import BadRequest
from gateway.http.error_responses import error_response
from gateway.observability.access_log import correlation_id
from gateway.server.response_writer import OneWrite

# As long as a body has: nginx gives each a minute, Apache's mod_reqtimeout a head 20 to 40 seconds.
HEAD_SECONDS = 20.0

# As nginx's send_timeout: so long a client may take nothing of its reply, which is held in memory for it.
STALL_SECONDS = 60.0

_UPGRADE = re.compile(rb"(?<=\r\n)upgrade(?=:)", re.IGNORECASE)


class BoundedHttpProtocol(HttpToolsProtocol):
    """HTTP with errors in GraphQL form for what is none, and with bounds for a request's head and for slow readers.

    The bound in bytes is the one that uvicorn by itself keeps to over h11 alone; it holds for heads, and for trailers
    and whatever else comes with a body that is none. The one in seconds counts from the first byte that comes while no
    request is being answered. A connection that never sends any ends like an idle one.
    """

    head_seconds = HEAD_SECONDS
    stall_seconds = STALL_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Bytes that came since the parser last told of a new message or a piece of body.
        self._silent_bytes = 0
        self._is_in_head = False
        self._is_deaf = False
        self._stall_timer: asyncio.TimerHandle | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._answered: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        """A client is there; until it sends something, it is as idle as between two requests."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, and with it whatever waits for its sake."""
        self._end_head_timer()
        self._end_stall_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        # uvicorn tells the request that came last, which may stand in line behind the one that is being answered.
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        whole: Any = OneWrite(app, cycle)
        super()._start_asgi_task(cycle, whole)

    def data_received(self, data: bytes) -> None:
        """Read on. A head that is still unfinished beyond a bound ends the connection."""
        if self._is_deaf:
            return
        self._silent_bytes += len(data)
        super().data_received(self._without_upgrade(data))
        if self._silent_bytes > (self.config.h11_max_incomplete_event_size or 0) and self._is_in_message():
            self._refuse(431, "The request's headers are too large. Send less in them.")
        # Also line breaks before a head, and the rest of a body that was refused, must come to an end.
        if self._head_timer is None and self._is_unasked() and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_is_late)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._is_in_head, self._silent_bytes = True, 0

    def on_body(self, body: bytes) -> None:
        """A piece of body."""
        self._silent_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole. A trailer may have said that it is the connection's last, to the parser at least."""
        super().on_message_complete()
        if self.cycle is not None and self.cycle.keep_alive and not self.parser.should_keep_alive():
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is written to; what it leaves unread for too long is let go."""
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        """The client has read most of it."""
        super().resume_writing()
        self._end_stall_timer()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._is_in_head = False
        self._end_head_timer()
        super().on_headers_complete()
        # What comes from now on are trailers, which are none (RFC 9110, section 6.5.1).
        self.headers = []

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, "The request is not well-formed HTTP.")

    def _without_upgrade(self, data: bytes) -> bytes:
        """The head in ``data`` without an offer to change the protocol, of which none is taken (RFC 9110, section 7.8).

        The parser would take what follows for the other protocol, and the request would lose its body: Java's own
        client offers HTTP/2 in each first request.
        """
        if (b"pgrade" in data or b"PGRADE" in data) and (self.cycle is None or not self.cycle.more_body):
            # Of every head in it: pipelined requests come together, and no JSON holds a line that begins so.
            return _UPGRADE.sub(b"x-offer", data)
        return data

    def _is_in_message(self) -> bool:
        return self._is_in_head or (self.cycle is not None and self.cycle.more_body)

    def _await_reading(self) -> None:
        unread_bytes = self.transport.get_write_buffer_size()
        self._stall_timer = self.loop.call_later(self.stall_seconds, self._reading_is_due, unread_bytes)

    def _reading_is_due(self, unread_bytes: int) -> None:
        if self.transport.get_write_buffer_size() >= unread_bytes:
            self.transport.abort()
        else:
            self._await_reading()

    def _end_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _is_unasked(self) -> bool:
        """Whether there is no request to answer."""
        return self.cycle is None or self.cycle.response_complete

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._is_in_head:
            self._refuse(408, "The request's head did not arrive in time.")
        else:
            self.transport.close()

    def _end_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _ends_beside_a_reply(self) -> bool:
        """End a connection whose body that is just coming is wrong, where a refusal would meet another reply."""
        answered = self._answered
        if answered is None or (answered is self.cycle and not answered.response_started):
            return False
        self._is_deaf = True
        if answered is self.cycle or answered.response_complete:
            # It has its own, or part of it; there is no second one.
            self.transport.close()
        else:
            # It stands in line behind a request whose reply is owed: that, and then the end.
            answered.keep_alive = False
        return True

    def _refuse(self, status: int, message: str) -> None:
        if self.cycle is not None and self.cycle.more_body and not self._is_in_head and self._ends_beside_a_reply():
            return
        is_next = self._is_in_head or (self.cycle is not None and not self.cycle.more_body)
        self._is_in_head = False
        transport: asyncio.Transport = self.transport
        if transport.is_closing():
            return
        if is_next and not self._is_unasked():
            # Replies come in the order of requests (RFC 9112, section 9.3.2): those that are owed, and then the end.
            self._is_deaf = True
            self.cycle.keep_alive = False
            return
        own_id = correlation_id({})
        headers = {"Connection": "close", "MS-CorrelationId": own_id, "X-Content-Type-Options": "nosniff"}
        response = error_response(BadRequest(message, status=status), own_id, headers=headers)
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
        lines += [name + b": " + value for name, value in response.raw_headers]
        transport.write(b"\r\n".join([*lines, b"", b""]) + bytes(response.body))
        transport.close()
