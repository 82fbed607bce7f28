"""The last response of a connection arrives, although its client has sent more than the server has read."""

from __future__ import annotations

import time

import pytest

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
