"""HTTP protocol with features that uvicorn lacks: limits for heads, pipelines and slow readers, and GraphQL errors.

Theory of operation: the parser gets slices of the received bytes, each of which ends with a head or a body. The next
request is parsed when the previous response is complete. Until then its bytes wait in the pipeline; when the pipeline
is full, the connection is not read. So at most one request per connection exists.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.server.body_parser import body_parser, head_for_body
from gateway.server.lingering_close import LingeringTransport
from gateway.server.message_slices import MessageSlices
from gateway.server.pipeline import HeldFlow, Pipeline
from gateway.server.reader_watch import ReaderWatchingProtocol
from gateway.server.refused_response import refused_response
from gateway.server.request_rules import (
    MAX_HEADER_LINES,
    RequestRefused,
    check_head,
    refusal_with,
    too_many_lines,
    with_path,
)
from gateway.server.response_writer import OneWrite
from gateway.server.unparsed_bytes import HEADER_LINE_BYTES, ConnectionBytes, UnparsedBytes

# The same as for a body. nginx allows a minute for each; Apache's mod_reqtimeout 20 to 40 seconds for a head.
HEAD_SECONDS = 20.0

# The time for the first byte of a new connection, which browsers open ahead (our choice). It has no request to lose.
UNUSED_SECONDS = 75.0


class BoundedHttpProtocol(ReaderWatchingProtocol):
    """HTTP protocol with GraphQL-style errors for malformed requests, and limits for heads, pipelines and slow readers.

    The size limit is the one that uvicorn applies only over h11. It covers heads and trailers. The time limit starts
    with the first byte received while no request is being answered. A connection that never sends a byte is closed
    after UNUSED_SECONDS.
    """

    head_seconds = HEAD_SECONDS
    unused_seconds = UNUSED_SECONDS
    unparsed = UnparsedBytes()
    flow: HeldFlow
    cycle: RequestResponseCycle

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._slices = MessageSlices()
        # Bytes received since a request began or a part of its body was read.
        self._unparsed_bytes = 0
        # True if the request offers an upgrade: the gateway ignores the offer, but the parser skips the body.
        self._skips_body = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._held = ConnectionBytes(self.unparsed, self._discard_unparsed)
        # Set when pipelined requests were discarded: nothing after them may be parsed.
        self._ignores_input = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        """Close a new connection if the client sends nothing."""
        super().connection_made(LingeringTransport(transport, self.loop))  # type: ignore[arg-type]  # what it uses
        self.flow = HeldFlow(self.transport)
        self._pipeline = Pipeline(self.flow)
        seconds = min(self.unused_seconds, self.timeout_keep_alive)
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the connection's timers, and notify the request that is being answered."""
        self._cancel_head_timer()
        self._unset_keepalive_if_required()
        self._pipeline.take()
        # Otherwise this object would be in a reference cycle, which the collector may find minutes later.
        self._held.end()
        super().connection_lost(exc)
        self.transport.ended()

    def resume_writing(self) -> None:
        """Continue a response: the kernel has most of it, or all if it is the connection's last."""
        super().resume_writing()
        self.transport.drained()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        wrapped: Any = OneWrite(app, cycle)
        super()._start_asgi_task(cycle, wrapped)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes, or hold them until the previous response is complete."""
        if self.transport.is_closing() or self._ignores_input:
            return
        if self._pipeline:
            self._put(data, 0)
            return
        self._unset_keepalive_if_required()
        self._parse(data, 0)

    def on_response_complete(self) -> None:
        """Continue with the next pipelined request."""
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._pipeline:
            self._unset_keepalive_if_required()
            data, position = self._pipeline.take()
            self.flow.release()
            self._parse(data, position)

    def announce_closing(self) -> None:
        """Let the response in flight close the connection, unless another request is waiting for its turn."""
        if not self._is_idle() and not self._pipeline:
            self.cycle.keep_alive = False

    def _parse(self, data: bytes, position: int) -> None:
        slices = self._slices
        position = slices.start(data, position)
        while position < len(data) and not self.transport.is_closing():
            if not self._is_idle() and not slices.in_head and not slices.in_body:
                self._put(data, position)
                return
            end = slices.end(data, position)
            self._feed(data[position:end])
            position = slices.start(data, end) if end < len(data) else end
        self._held.hold(self._unparsed_bytes + HEADER_LINE_BYTES * len(self.headers) if self._slices.in_head else 0)
        # The limit also covers line breaks before a head, and the rest of a refused body.
        if self._head_timer is None and self._is_idle() and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_timed_out)

    def _put(self, data: bytes, position: int) -> None:
        """Hold requests until their turn."""
        self._pipeline.put(data, position)
        self._held.hold(self._pipeline.held_bytes)

    def _discard_unparsed(self) -> None:
        """Refuse an unfinished head. Discard requests sent ahead, and close after the response in flight.

        Clients must be prepared for the latter (RFC 9112, section 9.3.2).
        """
        if self.transport.is_closing():
            return
        if self._pipeline:
            self._pipeline.take()
            self._ignores_input = True
            self.cycle.keep_alive = False
        else:
            self._refuse(431, "The gateway receives too many large heads at once. Retry soon, or send fewer headers.")

    def _feed(self, piece: bytes) -> None:
        limit_bytes = self.config.h11_max_incomplete_event_size or 0
        self._unparsed_bytes += len(piece)
        try:
            if self._slices.in_body or self._unparsed_bytes <= limit_bytes:
                self.parser.feed_data(piece)
            if self._unparsed_bytes > limit_bytes:
                self._refuse(431, "The request's headers are too large. Send fewer or shorter headers.")
            elif len(self.headers) > MAX_HEADER_LINES:
                # An unfinished head, or trailers.
                self._respond_and_close(too_many_lines())
            elif self._slices.is_shredded:
                self._refuse(400, "The request's body arrives in too many small chunks. Send larger ones.")
        except httptools.HttpParserUpgrade:
            self._read_body_of_upgrade()
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, RequestRefused):
                self._respond_and_close(error.__context__)
            elif self.parser.get_method() == b"PRI":
                self._refuse(505, "The gateway speaks HTTP/1.1. Send HTTP/2 to a proxy in front of it.")
            else:
                self._refuse(400, "The request is not well-formed HTTP. Check the client or proxy that sent it.")

    def on_message_begin(self) -> None:
        """Note the start of a head."""
        super().on_message_begin()
        self._slices.begin_head()

    def on_headers_complete(self) -> None:
        """Start answering a request, unless its head must be refused. Raises RequestRefused, which ends parsing."""
        parser = self.parser
        if len(self.headers) > MAX_HEADER_LINES:
            raise too_many_lines()
        framing = check_head(parser.get_http_version(), parser.get_method().decode("ascii"), self.headers)
        self._cancel_head_timer()
        self.expect_100_continue = self.expect_100_continue and parser.get_http_version() == "1.1"
        self._skips_body = parser.should_upgrade()
        self.url = with_path(self.url)
        # Raises if the target is malformed.
        super().on_headers_complete()
        self._slices.begin_body(framing)
        self._unparsed_bytes = 0
        # Close after the response: other servers would read the following bytes as the offered protocol.
        self.cycle.keep_alive = self.cycle.keep_alive and not self._skips_body
        # Anything parsed from here on is a trailer field; discard it (RFC 9110, section 6.5.1).
        self.headers = []

    def on_body(self, body: bytes) -> None:
        """Pass on a body chunk."""
        self._unparsed_bytes = 0
        self._slices.take_body(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Complete the request. The parser may have read "Connection: close" from a trailer."""
        if self._skips_body:
            return
        self._slices.end_message()
        self._unparsed_bytes = 0
        super().on_message_complete()
        if self.cycle.keep_alive and not self.parser.should_keep_alive():
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()

    def _should_upgrade(self) -> bool:
        return False

    def _read_body_of_upgrade(self) -> None:
        """Read the body of a request that offers another protocol, as if it did not (RFC 9110, section 7.8).

        Java's built-in client offers HTTP/2 in the first request of each connection. The parser has skipped the body,
        and would parse it as the next request.
        """
        self._skips_body = False
        self.parser = body_parser(self)
        self.parser.feed_data(head_for_body(self.scope["headers"]))

    def _is_idle(self) -> bool:
        """Return True if no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _head_timed_out(self) -> None:
        self._head_timer = None
        if self._slices.in_head:
            self._refuse(408, "The request's head did not arrive in time. Send the request again.")
        else:
            self.transport.close()

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int, message: str) -> None:
        self._respond_and_close(refusal_with(status, message))

    def _respond_and_close(self, refusal: RequestRefused) -> None:
        """Send an error response, unless part of a response was already sent, and close."""
        self._cancel_head_timer()
        if not self._slices.in_body:
            self.transport.write(refused_response(refusal))
        elif not self.cycle.response_started:
            self.transport.write(refused_response(refusal))
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
