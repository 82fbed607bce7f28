"""Unfinished heads and pipelined requests of many connections hold a bounded number of bytes together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gateway.__main__ import build
from gateway.config.settings import read_settings
from gateway.server.http_protocol import BoundedHttpProtocol
from gateway.server.unparsed_bytes import FREE_BYTES, ConnectionBytes, UnparsedBytes
from tests.faults.harness import address_of, production_server
from tests.gateway.running import eventually
from tests.gateway.server.raw_http import Connection, post, request

HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Filler: " + b"x" * 40_000
SLOW = post("{ licenseDeployments(first: 1) { totalCount } }", "Authorization: Bearer contoso+latency=1")
AHEAD = request("Host: x", "X-Filler: " + "x" * 40_000, first="GET /healthz HTTP/1.1")


class Bounded(BoundedHttpProtocol):
    """A protocol whose connections hold less together."""

    unparsed = UnparsedBytes(100_000)


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    """The address of a gateway."""
    with production_server(build(read_settings({})), http=Bounded) as url:
        yield address_of(url)
    assert Bounded.unparsed.held_bytes == 0


def test_unfinished_heads_beyond_the_bound_are_refused(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(Connection(address)) for _ in range(2)]
        for connection in slow:
            connection.send(HEAD)
        eventually(lambda: Bounded.unparsed.held_bytes == 2 * len(HEAD))
        refused = stack.enter_context(Connection(address))
        refused.send(HEAD)
        assert refused.response().status == 431
        # A whole head and a small unfinished one are served.
        for pieces in ((HEAD + b"\r\n\r\n",), (HEAD[:1_000], b"\r\n\r\n")):
            other = stack.enter_context(Connection(address))
            other.send(*pieces)
            assert other.response().status == 200
        slow[0].send(b"\r\n\r\n")
        assert slow[0].response().status == 200
        eventually(lambda: Bounded.unparsed.held_bytes == len(HEAD))


def test_pipelined_requests_beyond_the_bound_are_not_answered(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(Connection(address)) for _ in range(2)]
        for client in clients:
            client.send(SLOW, AHEAD)
        eventually(lambda: Bounded.unparsed.held_bytes > 80_000)
        discarded = stack.enter_context(Connection(address))
        discarded.send(SLOW, AHEAD, AHEAD)
        for client in clients:
            assert [client.response().status for _ in range(2)] == [200, 200]
        assert discarded.response().status == 200
        assert discarded.rest() == b""


def test_few_bytes_never_count() -> None:
    everything = UnparsedBytes(FREE_BYTES + 1)
    large, small = ConnectionBytes(everything), ConnectionBytes(everything)
    assert large.hold(FREE_BYTES + 1)
    assert small.hold(FREE_BYTES)
    assert not small.hold(FREE_BYTES + 1)
    assert small.hold(0)
    assert everything.held_bytes == FREE_BYTES + 1
