"""Responses are byte-identical to plain uvicorn's, and complete ones leave in one write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.http.response_buffers import PIECE_BYTES
from gateway.server.response_writer import OneWrite

TEXT = (b"content-type", b"text/plain")
DATE = (b"date", b"Wed, 25 Nov 2026 12:00:00 GMT")


class Wire:
    """A transport that records its calls."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.writes.append(b"".join(pieces))

    def close(self) -> None:
        self.is_closed = True

    def set_write_buffer_limits(self, *, high: int) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@dataclass
class Case:
    """A response and its request; ``writes`` is the expected number of writes."""

    messages: list[Message]
    writes: int = 1
    method: str = "POST"
    keep_alive: bool = True
    expects_continue: bool = False
    is_read: bool = False
    ends: list[int] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.is_read:
            await receive()
        for message in self.messages:
            await send(dict(message))

    async def run(self, *, whole: bool, is_gone: bool = False) -> tuple[list[bytes], Wire]:
        """Return what is written, with OneWrite if ``whole``."""
        wire = Wire()
        event = asyncio.Event()
        event.set()
        cycle = RequestResponseCycle(
            scope={"type": "http", "method": self.method, "http_version": "1.1"},  # type: ignore[typeddict-item]  # what it reads
            transport=wire,  # type: ignore[arg-type]  # what it uses
            flow=FlowControl(wire),  # type: ignore[arg-type]  # the same
            logger=logging.getLogger("tests"),
            access_logger=logging.getLogger("tests"),
            access_log=False,
            default_headers=[DATE],
            message_event=event,
            expect_100_continue=self.expects_continue,
            keep_alive=self.keep_alive,
            on_response=lambda: self.ends.append(1),
        )
        cycle.disconnected = is_gone
        app: Any = OneWrite(self, cycle) if whole else self
        await cycle.run_asgi(app)
        return wire.writes, wire


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [TEXT, *headers]}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def length(number: int) -> tuple[bytes, bytes]:
    return b"content-length", str(number).encode()


CASES = {
    "whole": Case([start(length(5)), body(b"hello")]),
    "whole and empty": Case([start(length(0)), body(b"")]),
    "whole and large": Case([start(length(PIECE_BYTES + 1)), body(b"x" * (PIECE_BYTES + 1))], writes=2),
    "another status": Case([start(length(5), status=503), body(b"sorry")]),
    "a body without the word more": Case([start(length(2)), {"type": "http.response.body", "body": b"ok"}]),
    "read before": Case([start(length(2)), body(b"ok")], is_read=True),
    "100 Continue": Case([start(length(2)), body(b"ok")], writes=2, expects_continue=True, is_read=True),
    "to be continued in vain": Case([start(length(2)), body(b"ok")], expects_continue=True),
    "no length": Case([start(), body(b"hello")], writes=2),
    "no length, in pieces": Case([start(), body(b"he", more=True), body(b"llo", more=True), body(b"")], writes=4),
    "in pieces": Case([start(length(5)), body(b"he", more=True), body(b"llo")], writes=3),
    "not modified": Case([start(status=304), body(b"")]),
    "HEAD": Case([start(length(5)), body(b"")], method="HEAD"),
    "the last of its connection": Case([start(length(5)), body(b"hello")], writes=2, keep_alive=False),
    "close": Case([start(length(5), (b"connection", b"close")), body(b"hello")], writes=2),
}

# Mistakes of an application, which uvicorn turns into an error response or a closed connection.
MISTAKES = {
    "too short": Case([start(length(6)), body(b"hello")]),
    "too long": Case([start(length(4)), body(b"hello")]),
    "a line break in a header": Case([start(length(5), (b"x", b"1\r\nset-cookie: a=b")), body(b"hello")]),
    "half a line break": Case([start(length(5), (b"x", b"1\nset-cookie: a=b")), body(b"hello")]),
    "a null character": Case([start(length(5), (b"x", b"\0")), body(b"hello")]),
    "no body": Case([start(length(5))]),
    "nothing": Case([]),
    "no start": Case([body(b"hello")]),
    "too much": Case([start(length(5)), body(b"hello"), body(b"hello")]),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_response_has_the_same_bytes_as_with_plain_uvicorn(case: Case) -> None:
    pieces, wire = await case.run(whole=True)
    wanted, other = await case.run(whole=False)
    assert b"".join(pieces) == b"".join(wanted)
    assert b"\r\n" + b": ".join(DATE) in b"".join(pieces)
    assert wire.is_closed is other.is_closed
    assert case.ends == [1, 1]
    assert len([piece for piece in pieces if piece]) == case.writes


@pytest.mark.parametrize("case", MISTAKES.values(), ids=MISTAKES)
async def test_an_application_error_never_looks_like_a_complete_response(case: Case) -> None:
    pieces, wire = await case.run(whole=True)
    wanted, _ = await case.run(whole=False)
    assert wire.is_closed
    assert b"set-cookie" not in b"".join(pieces)
    assert b"".join(pieces) == b"".join(wanted) or pieces[0].startswith(b"HTTP/1.1 500")


async def test_nothing_is_written_to_a_disconnected_client() -> None:
    pieces, _ = await CASES["whole"].run(whole=True, is_gone=True)
    assert pieces == []
