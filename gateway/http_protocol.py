"""What uvicorn leaves open in reading HTTP: how long a head may be, and how malformed requests are answered."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import BadRequest
from gateway.http_errors import error_response
from gateway.one_write import OneWrite
from gateway.request_log import correlation_id


class BoundedHttpProtocol(HttpToolsProtocol):
    """HTTP with errors in GraphQL form for what is none, and with a bound for a request's head.

    The bound is the one that uvicorn by itself keeps to over h11 alone.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_bytes = 0
        self._is_in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """A client is there."""
        super().connection_made(cast(asyncio.Transport, OneWrite(transport, self.loop)))

    def data_received(self, data: bytes) -> None:
        """Read on. A head that is still unfinished beyond the bound ends the connection."""
        super().data_received(data)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > (self.config.h11_max_incomplete_event_size or 0):
                self._refuse(431, "The request's headers are too large. Send less in them.")

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._is_in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, "The request is not well-formed HTTP.")

    def _refuse(self, status: int, message: str) -> None:
        self._is_in_head = False
        transport: asyncio.Transport = self.transport
        if transport.is_closing():
            return
        response = error_response(
            BadRequest(message, status=status), correlation_id({}), headers={"Connection": "close"}
        )
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
        lines += [name + b": " + value for name, value in response.raw_headers]
        transport.write(b"\r\n".join([*lines, b"", b""]) + bytes(response.body))
        transport.close()
