"""Limits that uvicorn lacks: size and time of request heads, malformed requests, and clients that do not read."""

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

# The same as for a body. nginx allows a minute for each; Apache's mod_reqtimeout 20 to 40 seconds for a head.
HEAD_SECONDS = 20.0

# Like nginx's send_timeout: the longest time without reading, because an unread response stays in memory.
STALL_SECONDS = 60.0

_UPGRADE = re.compile(rb"(?<=\r\n)upgrade(?=:)", re.IGNORECASE)


class BoundedHttpProtocol(HttpToolsProtocol):
    """HTTP protocol with GraphQL-style errors for malformed requests, and limits for request heads and slow readers.

    The size limit covers heads, trailers and other bytes that are not body. uvicorn itself has this limit only with
    h11. The time limit starts with the first byte received while no request is being answered. A connection that never
    sends a byte is closed like an idle one.
    """

    head_seconds = HEAD_SECONDS
    stall_seconds = STALL_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Bytes received since the parser last reported a new message or a body chunk.
        self._unparsed_bytes = 0
        self._is_in_head = False
        self._ignores_input = False
        self._stall_timer: asyncio.TimerHandle | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._current: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        """Treat a new connection as idle until the client sends something."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the connection's timers, and notify the request that is being answered."""
        self._cancel_head_timer()
        self._cancel_stall_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        # uvicorn notifies the latest request, which may be pipelined behind the one being answered.
        if self._current is not None and not self._current.response_complete:
            self._current.disconnected = True
            self._current.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._current = cycle
        wrapped: Any = OneWrite(app, cycle)
        super()._start_asgi_task(cycle, wrapped)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes. A head that exceeds a limit closes the connection."""
        if self._ignores_input:
            return
        self._unparsed_bytes += len(data)
        super().data_received(self._without_upgrade(data))
        if self._unparsed_bytes > (self.config.h11_max_incomplete_event_size or 0) and self._is_in_message():
            self._refuse(431, "The request's headers are too large. Send fewer or shorter headers.")
        # The limit also covers line breaks before a head, and the rest of a refused body.
        if self._head_timer is None and self._is_idle() and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_timed_out)

    def on_message_begin(self) -> None:
        """Note the start of a head."""
        super().on_message_begin()
        self._is_in_head, self._unparsed_bytes = True, 0

    def on_body(self, body: bytes) -> None:
        """Pass on a body chunk."""
        self._unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Complete the request. The parser may have read "Connection: close" from a trailer."""
        super().on_message_complete()
        if self.cycle is not None and self.cycle.keep_alive and not self.parser.should_keep_alive():
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()

    def pause_writing(self) -> None:
        """Start the stall timer: the client reads more slowly than the response is written."""
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        """Cancel the stall timer: the client has read most of the response."""
        super().resume_writing()
        self._cancel_stall_timer()

    def on_headers_complete(self) -> None:
        """Note the end of a head."""
        self._is_in_head = False
        self._cancel_head_timer()
        super().on_headers_complete()
        # Anything parsed from here on is a trailer field; discard it (RFC 9110, section 6.5.1).
        self.headers = []

    def send_400_response(self, msg: str) -> None:
        """Refuse malformed HTTP."""
        self._refuse(400, "The request is not well-formed HTTP. Check the client or proxy that sent it.")

    def _without_upgrade(self, data: bytes) -> bytes:
        """Rename Upgrade headers in ``data``, because the gateway supports no other protocol (RFC 9110, section 7.8).

        Otherwise the parser would read the body as the other protocol. Java's built-in client offers HTTP/2 in each
        first request.
        """
        if (b"pgrade" in data or b"PGRADE" in data) and (self.cycle is None or not self.cycle.more_body):
            # Rename it in every head, because pipelined requests may arrive together. No line of a JSON body can match.
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

    def _cancel_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _is_idle(self) -> bool:
        """Return True if no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _head_timed_out(self) -> None:
        self._head_timer = None
        if self._is_in_head:
            self._refuse(408, "The request's head did not arrive in time. Send the request again.")
        else:
            self.transport.close()

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _closes_after_response(self) -> bool:
        """Close a connection with a malformed body if an error response would follow another response.

        Returns False if an error response can be sent instead.
        """
        current = self._current
        if current is None or (current is self.cycle and not current.response_started):
            return False
        self._ignores_input = True
        if current is self.cycle or current.response_complete:
            # This request already has a response, or part of one; a second one must not follow.
            self.transport.close()
        else:
            # Pipelined behind a request still being answered: finish that response, then close.
            current.keep_alive = False
        return True

    def _refuse(self, status: int, message: str) -> None:
        if self.cycle is not None and self.cycle.more_body and not self._is_in_head and self._closes_after_response():
            return
        is_pipelined = self._is_in_head or (self.cycle is not None and not self.cycle.more_body)
        self._is_in_head = False
        transport: asyncio.Transport = self.transport
        if transport.is_closing():
            return
        if is_pipelined and not self._is_idle():
            # Responses follow the order of requests (RFC 9112, section 9.3.2): send the pending ones, then close.
            self._ignores_input = True
            self.cycle.keep_alive = False
            return
        new_id = correlation_id({})
        headers = {"Connection": "close", "MS-CorrelationId": new_id, "X-Content-Type-Options": "nosniff"}
        response = error_response(BadRequest(message, status=status), new_id, headers=headers)
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
        lines += [name + b": " + value for name, value in response.raw_headers]
        transport.write(b"\r\n".join([*lines, b"", b""]) + bytes(response.body))
        transport.close()
