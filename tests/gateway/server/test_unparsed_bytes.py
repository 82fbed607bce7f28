"""Unfinished heads and pipelined requests of many connections hold a bounded number of bytes together."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from gateway.__main__ import build
from gateway.config.environment import read_settings
from gateway.server.http_protocol import BoundedHttpProtocol
from gateway.server.unparsed_bytes import FREE_BYTES, HEADER_LINE_BYTES, ConnectionBytes, UnparsedBytes
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


def holds_more_than(size_bytes: int) -> bool:
    return Bounded.unparsed.held_bytes > size_bytes


def test_the_oldest_unfinished_head_beyond_the_bound_is_refused(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        first, second, third = (stack.enter_context(Connection(address)) for _ in range(3))
        for connection in (first, second):
            connection.send(HEAD)
            eventually(lambda: Bounded.unparsed.held_bytes >= len(HEAD))
        third.send(HEAD)
        assert first.response().status == 431
        # Whole heads and small unfinished ones are served.
        for pieces in ((HEAD + b"\r\n\r\n",), (HEAD[:1_000], b"\r\n\r\n")):
            other = stack.enter_context(Connection(address))
            other.send(*pieces)
            assert other.response().status == 200
        second.send(b"\r\n\r\n")
        assert second.response().status == 200
        eventually(lambda: Bounded.unparsed.held_bytes < 2 * len(HEAD))
        third.send(b"\r\n\r\n")
        assert third.response().status == 200
        eventually(lambda: Bounded.unparsed.held_bytes == 0)


def test_many_short_header_lines_count_as_what_they_take(address: tuple[str, int]) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-A: 1\r\n" * 150
    assert len(head) < FREE_BYTES
    with Connection(address) as connection:
        connection.send(head)
        eventually(lambda: Bounded.unparsed.held_bytes >= 150 * HEADER_LINE_BYTES)
        connection.send(b"\r\n")
        assert connection.response().status == 200


def test_the_oldest_pipelined_requests_beyond_the_bound_are_not_answered(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(Connection(address)) for _ in range(2)]
        for number, client in enumerate(clients, 1):
            client.send(SLOW, AHEAD)
            eventually(partial(holds_more_than, number * 40_000))
        newest = stack.enter_context(Connection(address))
        newest.send(SLOW, AHEAD)
        assert clients[0].response().status == 200
        assert clients[0].rest() == b""
        for client in (clients[1], newest):
            assert [client.response().status for _ in range(2)] == [200, 200]


def test_the_connections_that_held_bytes_the_longest_give_up() -> None:
    everything, given_up = UnparsedBytes(3 * FREE_BYTES + 3), list[str]()
    first, second, third = (
        ConnectionBytes(everything, partial(given_up.append, name)) for name in ("first", "second", "third")
    )
    first.hold(FREE_BYTES + 1)
    second.hold(FREE_BYTES + 1)
    second.hold(FREE_BYTES + 2)
    third.hold(FREE_BYTES)
    assert (everything.held_bytes, given_up) == (2 * FREE_BYTES + 3, [])
    third.hold(FREE_BYTES + 1)
    assert (everything.held_bytes, given_up) == (2 * FREE_BYTES + 3, ["first"])
    second.hold(0)
    third.hold(4 * FREE_BYTES)
    assert (everything.held_bytes, given_up) == (0, ["first", "third"])


def protocols() -> int:
    """Return the number of this file's connections that are in memory."""
    return sum(type(each) is Bounded for each in gc.get_objects())


@pytest.mark.parametrize("ending", [b"", b"\r\n"], ids=["an unfinished head", "a request"])
def test_closed_connections_are_freed_at_once(address: tuple[str, int], ending: bytes) -> None:
    """Without the garbage collector, which runs too seldom for clients that open and close many."""
    lines = b"".join(b"X-Filler-%d: %d\r\n" % (number, number) for number in range(100))
    gc.collect()
    gc.disable()
    try:
        with ExitStack() as stack:
            for _ in range(10):
                stack.enter_context(Connection(address)).send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n", lines, ending)
            eventually(lambda: protocols() == 10)
        eventually(lambda: protocols() == 0)
    finally:
        gc.enable()
