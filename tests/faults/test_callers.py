"""Callers that are slow, disconnect or send invalid HTTP, over plain sockets to the production server."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from queue import SimpleQueue
from typing import Any, ClassVar

import pytest

from gateway.__main__ import build
from gateway.config.environment import read_settings
from gateway.server.http_protocol import BoundedHttpProtocol
from gateway.server.listener import KEEP_ALIVE_SECONDS, Listener
from tests.faults.harness import QUERY, Harness, address_of, production_server
from tests.faults.held_request import HeldRequest
from tests.gateway.upstream.scripted import GOOD, Step, UpstreamRequest

Address = tuple[str, int]


class ShortHeadTimeout(BoundedHttpProtocol):
    """A protocol that allows a request head a fraction of a second."""

    head_seconds = 0.3


class ShortUnusedTimeout(BoundedHttpProtocol):
    """A protocol that allows a new connection a fraction of a second for its first byte."""

    unused_seconds = 0.2


@contextmanager
def gateway_with_short_timeouts(
    keep_alive_seconds: float, protocol: type[BoundedHttpProtocol] = ShortHeadTimeout
) -> Iterator[Address]:
    """Run a gateway on the embedded sandbox with short timeouts for heads and idle connections."""
    app = build(read_settings({}))
    with production_server(app, http=protocol, timeout_keep_alive=keep_alive_seconds) as url:
        yield address_of(url)


@pytest.fixture(scope="module")
def slow_address() -> Iterator[Address]:
    with gateway_with_short_timeouts(60) as address:
        yield address


def drip(address: Address, start: bytes, more: bytes) -> bytes:
    """Send ``start``, then ``more`` byte by byte until the server closes; return what it sent."""
    received = b""
    with socket.create_connection(address, timeout=0.02) as connection, suppress(ConnectionError):
        connection.sendall(start)
        for byte in more:
            with suppress(TimeoutError):
                while part := connection.recv(65_536):
                    received += part
                return received
            connection.sendall(bytes([byte]))
        raise AssertionError("the server never closed the connection")
    return received


def check_late(response: bytes) -> None:
    """Check a 408 in GraphQL form that closes the connection."""
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 "), response
    assert b"connection: close" in head.lower()
    [error] = json.loads(body)["errors"]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert error["extensions"]["correlationId"]


@pytest.mark.parametrize(
    "start",
    [b"GET /", b"POST /graphql HTTP/1.1\r\n", b"POST /graphql HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"GET /" + b"x" * 1000],
    ids=["a few letters", "a line", "half a header", "half an address"],
)
def test_a_head_that_arrives_too_slowly_gets_408(slow_address: Address, start: bytes) -> None:
    check_late(drip(slow_address, start, b"y" * 1_000))


def test_later_heads_of_a_connection_have_the_same_time_limit(slow_address: Address) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    response = drip(slow_address, whole, b"GET / HTTP/1.1\r\nX-Slow: " + b"y" * 1_000)
    first, _, rest = response.partition(b'{"status":"ok"}')
    assert first.startswith(b"HTTP/1.1 200 OK")
    check_late(rest)


def test_a_connection_with_only_line_breaks_is_closed(slow_address: Address) -> None:
    assert drip(slow_address, b"\r\n", b"\r\n" * 500) == b""


def test_the_rest_of_a_refused_body_has_a_time_limit(slow_address: Address) -> None:
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"
    response = drip(slow_address, head, b"x" * 1_000)
    assert response.startswith(b"HTTP/1.1 413 ")
    assert response.count(b"HTTP/1.1") == 1


def test_a_slow_response_does_not_count_as_a_slow_head(slow_address: Address) -> None:
    body = json.dumps({"query": "{ licenseDeployments { totalCount } }"}).encode()
    request = (
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer sample+latency=0.8\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    with socket.create_connection(slow_address, timeout=10) as connection:
        connection.sendall(request + body)
        response = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert response.startswith(b"HTTP/1.1 200 OK"), response
    assert b'"totalCount":2' in response


def test_a_hundred_slow_callers_do_not_block_other_requests(slow_address: Address) -> None:
    slow = [socket.create_connection(slow_address, timeout=10) for _ in range(100)]
    for connection in slow:
        connection.sendall(b"POST /graphql HTTP/1.1\r\nX-Slow: ")
    with socket.create_connection(slow_address, timeout=10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")
    for connection in slow:
        check_late(b"".join(iter(lambda taken=connection: taken.recv(65_536), b"")))  # type: ignore[misc]
        connection.close()


@pytest.mark.parametrize("start", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["nothing", "one request"])
def test_a_connection_without_a_request_is_closed_silently(start: bytes) -> None:
    with gateway_with_short_timeouts(0.3) as address, socket.create_connection(address, timeout=10) as connection:
        connection.sendall(start)
        response = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert response.count(b"HTTP/1.1 200 OK") == (1 if start else 0)
    assert b"408" not in response


def test_the_production_server_limits_heads_and_idle_connections() -> None:
    config = Listener("127.0.0.1", 0).config(build(read_settings({})))
    assert config.http is BoundedHttpProtocol
    assert BoundedHttpProtocol.head_seconds == 20
    assert config.timeout_keep_alive == KEEP_ALIVE_SECONDS


@pytest.mark.parametrize(
    ("proxy", "idle_seconds"),
    [("nginx", 60), ("AWS", 60), ("Traefik", 90), ("Caddy", 120), ("Azure", 120), ("Google Cloud", 600)],
)
def test_proxies_close_idle_connections_first(proxy: str, idle_seconds: int) -> None:
    """Their documented defaults. A POST that crosses the gateway's close would get a 502 from the proxy."""
    assert idle_seconds + 10 <= KEEP_ALIVE_SECONDS


def test_only_a_connection_that_had_a_request_is_kept_that_long() -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with (
        gateway_with_short_timeouts(60, ShortUnusedTimeout) as address,
        socket.create_connection(address, timeout=10) as unused,
        socket.create_connection(address, timeout=10) as used,
    ):
        used.sendall(request)
        assert used.recv(65_536).startswith(b"HTTP/1.1 200")
        assert unused.recv(1) == b""
        used.sendall(request)
        assert used.recv(65_536).startswith(b"HTTP/1.1 200")


# Hanging up


def raw_request(token: str) -> bytes:
    body = json.dumps({"query": QUERY}).encode()
    return (
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (token.encode(), len(body))
    ) + body


def sending(harness: Harness, token: str) -> socket.socket:
    connection = socket.create_connection(address_of(harness.gateway.url), timeout=10)
    connection.sendall(raw_request(token))
    return connection


def test_a_caller_that_hangs_up_cancels_its_upstream_call(patient_harness: Harness) -> None:
    held_request = HeldRequest()
    token = patient_harness.token(held_request.step, GOOD)
    connection = sending(patient_harness, token)
    assert held_request.started.wait(10)
    connection.close()
    assert held_request.disconnected.wait(10), "the upstream connection was not closed"
    assert patient_harness.sold(token) == [1, 2]
    assert patient_harness.calls(token) == 2


def test_a_disconnect_does_not_affect_others_that_share_the_call(patient_harness: Harness) -> None:
    held_request = HeldRequest()
    token = patient_harness.token(held_request.step)
    first = sending(patient_harness, token)
    assert held_request.started.wait(10)
    with ThreadPoolExecutor(3) as pool:
        others = [pool.submit(patient_harness.sold, token) for _ in range(3)]
        await_in_flight(patient_harness, lambda number: number >= 4)
        first.close()
        await_in_flight(patient_harness, lambda number: number <= 3)
        assert not held_request.disconnected.is_set()
        held_request.release()
        assert [other.result() for other in others] == [[1, 2]] * 3
    assert patient_harness.calls(token) == 1
    assert not held_request.disconnected.is_set()


def test_a_shared_call_is_canceled_when_its_last_caller_disconnects(patient_harness: Harness) -> None:
    held_request = HeldRequest()
    token = patient_harness.token(held_request.step)
    callers = [sending(patient_harness, token) for _ in range(5)]
    await_in_flight(patient_harness, lambda number: number >= 5)
    for caller in callers[1:]:
        caller.close()
    await_in_flight(patient_harness, lambda number: number <= 1)
    assert not held_request.disconnected.is_set()
    callers[0].close()
    assert held_request.disconnected.wait(10)
    assert patient_harness.calls(token) == 1


def test_concurrent_requests_make_one_upstream_call_per_token(patient_harness: Harness) -> None:
    tokens = [patient_harness.token(slowly(0.3)) for _ in range(10)]
    with ThreadPoolExecutor(40) as pool:
        counts = list(pool.map(patient_harness.sold, tokens * 4))
    assert counts == [[1, 2]] * 40
    assert [patient_harness.calls(token) for token in tokens] == [1] * 10


def slowly(seconds: float) -> Step:
    """Return a step that sends a good response after a delay."""

    async def step(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(seconds)
        return await GOOD(request, writer)

    return step


def await_in_flight(harness: Harness, holds: Callable[[int], Any]) -> None:
    """Wait until ``holds`` accepts the number of requests in flight, without the metrics request itself."""
    for _ in range(2_000):
        text = harness.gateway.client.get("/metrics").text
        [line] = [line for line in text.splitlines() if line.startswith("gateway_requests_in_flight ")]
        if holds(int(float(line.split()[1])) - 1):
            return
    raise AssertionError(line)


class HandTimed(BoundedHttpProtocol):
    """A protocol whose stall timer is fired by the test, not by the passing of time."""

    stall_seconds = 3_600
    paused: ClassVar[SimpleQueue[tuple[HandTimed, int]]]

    def _await_reading(self) -> None:
        super()._await_reading()
        self.paused.put((self, self.unread_bytes))

    def let_time_pass(self, unread_bytes: int) -> bool:
        """Fire the timer that began when ``unread_bytes`` were unread; True if the client gets more time."""
        gets_more_time: Future[bool] = Future()

        def fire() -> None:
            timer = self._stall_timer
            self._reading_is_due(unread_bytes)
            gets_more_time.set_result(self._stall_timer is not timer)

        self.loop.call_soon_threadsafe(fire)
        return gets_more_time.result(60)


@pytest.fixture
def hand_timed() -> Iterator[Callable[[], tuple[socket.socket, HandTimed, int]]]:
    """Connect clients whose response exceeds the system's buffers; each with its protocol and unread bytes."""
    rows = "edges { cursor node { customerTenantId customerName productId productName serviceName } }"
    fields = " ".join(f"a{number}: licenseDeployments(first: 10000) {{ {rows} }}" for number in range(5))
    body = json.dumps({"query": f"{{ {fields} }}"}).encode()
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer contoso\r\n"
    request = head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    HandTimed.paused = SimpleQueue()
    with production_server(build(read_settings({})), http=HandTimed) as url, ExitStack() as stack:

        def connect() -> tuple[socket.socket, HandTimed, int]:
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.settimeout(60)
            client.connect(address_of(url))
            client.sendall(request)
            return client, *HandTimed.paused.get(timeout=60)

        yield connect


def everything_from(client: socket.socket) -> bytes:
    """Read until either side closes the connection."""
    received = bytearray()
    with suppress(ConnectionError):
        while more := client.recv(65_536):
            received += more
    return bytes(received)


def is_whole(response: bytes) -> bool:
    """Return whether the body is as long as its Content-Length."""
    head, _, body = response.partition(b"\r\n\r\n")
    return len(body) == int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])


def test_a_client_that_does_not_read_is_disconnected(
    hand_timed: Callable[[], tuple[socket.socket, HandTimed, int]],
) -> None:
    client, protocol, unread_bytes = hand_timed()
    # The system may take a few more bytes after the pause, which count as read.
    for _ in range(1_000):
        if not protocol.let_time_pass(unread_bytes):
            break
        _, unread_bytes = HandTimed.paused.get(timeout=60)
    else:
        pytest.fail("the client was never disconnected")
    assert not is_whole(everything_from(client))


def test_a_client_that_reads_slowly_stays_connected(
    hand_timed: Callable[[], tuple[socket.socket, HandTimed, int]],
) -> None:
    """Each piece that it reads starts the timer again; and when the timer fires, part of a piece is enough."""
    client, protocol, _ = hand_timed()
    received = b""
    for _ in range(3):
        while HandTimed.paused.empty():
            received += client.recv(65_536)
        while not HandTimed.paused.empty():
            same, _ = HandTimed.paused.get()
            assert same is protocol
        assert protocol.let_time_pass(protocol.unread_bytes + 1)
        assert HandTimed.paused.get(timeout=60)[0] is protocol
    assert is_whole(received + everything_from(client))


def test_a_client_that_stops_reading_is_noticed_within_a_minute() -> None:
    """However soon after one look it stops: two intervals are the longest time."""
    assert BoundedHttpProtocol.stall_seconds * 2 == 60
