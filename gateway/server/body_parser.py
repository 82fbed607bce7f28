"""A parser of the body alone, for a request whose head another parser has read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import httptools

_FRAMING = (b"content-length", b"transfer-encoding")


class BodyReader(Protocol):
    """A receiver of the parts of a body."""

    def on_body(self, body: bytes) -> None: ...

    def on_message_complete(self) -> None: ...


class _Callbacks:
    def __init__(self, reader: BodyReader) -> None:
        self.on_body = reader.on_body
        self.on_message_complete = reader.on_message_complete


def body_parser(reader: BodyReader) -> httptools.HttpRequestParser:
    """Return a parser that passes the body to ``reader``. Feed it with ``head_for_body`` first."""
    return httptools.HttpRequestParser(_Callbacks(reader))


def head_for_body(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a head with those of ``headers``, named in lower case, that say how the body is framed."""
    framing = [b"%b: %b\r\n" % pair for pair in headers if pair[0] in _FRAMING]
    return b"".join((b"POST / HTTP/1.1\r\n", *framing, b"\r\n"))
