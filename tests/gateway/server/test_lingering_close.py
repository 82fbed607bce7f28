"""The last response of a connection arrives, although its client has sent more than the server has read.

An unfinished response never ends normally.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.server.lingering_close import LingeringTransport
from tests.gateway.server.raw_http import Connection, post, request

Address = tuple[str, int]

# More than the server's socket buffers.
MUCH = b"x" * 20_000_000

USUAL = ("Host: x", "Content-Type: application/json")
LAST = {
    "too large a body": (413, request(*USUAL, "Connection: close", f"Content-Length: {len(MUCH)}", body=MUCH)),
    "too large a head": (431, request(*USUAL, "X: ", first="GET / HTTP/1.1")[:-4] + MUCH),
    "malformed HTTP": (400, b"GARBAGE\r\n\r\n" + MUCH),
    "no Host": (400, request(f"Content-Length: {len(MUCH)}", body=MUCH)),
    "a tunnel": (405, request("Host: x", first="CONNECT x:443 HTTP/1.1") + MUCH),
    "the last request": (200, post("{ __typename }", "Connection: close") + MUCH),
}


@pytest.mark.parametrize(("status", "data"), LAST.values(), ids=LAST)
def test_the_last_response_is_not_lost_by_a_reset(address: Address, status: int, data: bytes) -> None:
    """A client that reads only after it has sent everything still gets the response."""
    with Connection(address) as connection:
        connection.send(data[:1_000_000])
        time.sleep(0.2)
        assert connection.response().status == status
        assert connection.rest() == b""


def test_a_client_that_neither_reads_nor_closes_is_disconnected(address: Address) -> None:
    with Connection(address) as connection:
        connection.send(post("{ __typename }", "Connection: close"))
        assert connection.response().status == 200
        assert connection.rest() == b""
        # The server has closed its sending side, and soon closes the connection.
        with pytest.raises(OSError):  # noqa: PT012  # it fails at the second attempt or later
            for _ in range(100):
                connection.socket.sendall(b"x")
                time.sleep(0.1)


# Unfinished responses


class Buffered:
    """A transport that holds ``waiting_bytes``, on a real socket."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.waiting_bytes = 10
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: self.calls.append(name)

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return self.waiting_bytes

    def get_extra_info(self, name: str) -> Any:
        return getattr(self, name)

    @property
    def resets(self) -> bool:
        """Return whether the kernel resets the connection when the process ends."""
        is_on, seconds = struct.unpack("ii", self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
        return bool(is_on) and seconds == 0


@pytest.fixture
def buffered() -> Iterator[Buffered]:
    transport = Buffered()
    with transport.socket:
        yield transport


async def test_an_unfinished_response_is_reset(buffered: Buffered) -> None:
    transport = LingeringTransport(buffered, asyncio.get_running_loop())  # type: ignore[arg-type]  # what it uses
    assert not buffered.resets
    transport.reset_unless(lambda: False)
    assert buffered.resets
    buffered.waiting_bytes = 0
    transport.drained()
    transport.close()
    assert buffered.resets
    assert "abort" in buffered.calls
    assert "write_eof" not in buffered.calls


async def test_a_whole_response_ends_normally_once_the_kernel_has_it(buffered: Buffered) -> None:
    """Until then the end of the process would lose the rest."""
    transport = LingeringTransport(buffered, asyncio.get_running_loop())  # type: ignore[arg-type]  # what it uses
    transport.reset_unless(lambda: True)
    transport.close()
    assert "write_eof" in buffered.calls
    assert buffered.resets
    buffered.waiting_bytes = 0
    transport.drained()
    assert not buffered.resets
    assert "abort" not in buffered.calls
    transport.ended()
