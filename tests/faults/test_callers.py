"""Callers that are slow, hang up, or say what is no request; over bare sockets, with the server as it is run."""

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
from gateway.config.settings import read_settings
from gateway.server.http_protocol import BoundedHttpProtocol
from gateway.server.listener import KEEP_ALIVE_SECONDS, Listener
from tests.faults.bench import QUERY, Bench, address_of, served_as_run
from tests.faults.held import Held
from tests.gateway.upstream.scripted import GOOD, Asked, Step

Address = tuple[str, int]


class Impatient(BoundedHttpProtocol):
    """Gives a head a fraction of a second."""

    head_seconds = 0.3


@contextmanager
def impatient(keep_alive_seconds: float) -> Iterator[Address]:
    """A gateway on the embedded sandbox that waits for no head, and keeps no idle connection for long."""
    app = build(read_settings({}))
    with served_as_run(app, http=Impatient, timeout_keep_alive=keep_alive_seconds) as url:
        yield address_of(url)


@pytest.fixture(scope="module")
def slow_address() -> Iterator[Address]:
    with impatient(60) as address:
        yield address


def drip(address: Address, start: bytes, more: bytes) -> bytes:
    """Send ``start``, then ``more`` byte by byte until the server has said its word and closed: the word."""
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


def check_late(reply: bytes) -> None:
    """A refusal in GraphQL form, 408, that ends the connection."""
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 "), reply
    assert b"connection: close" in head.lower()
    [error] = json.loads(body)["errors"]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert error["extensions"]["correlationId"]


@pytest.mark.parametrize(
    "start",
    [b"GET /", b"POST /graphql HTTP/1.1\r\n", b"POST /graphql HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"GET /" + b"x" * 1000],
    ids=["a few letters", "a line", "half a header", "half an address"],
)
def test_a_head_that_comes_byte_by_byte_is_408(slow_address: Address, start: bytes) -> None:
    check_late(drip(slow_address, start, b"y" * 1_000))


def test_the_next_head_of_a_connection_has_as_little_time(slow_address: Address) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    reply = drip(slow_address, whole, b"GET / HTTP/1.1\r\nX-Slow: " + b"y" * 1_000)
    first, _, rest = reply.partition(b'{"status":"ok"}')
    assert first.startswith(b"HTTP/1.1 200 OK")
    check_late(rest)


def test_line_breaks_instead_of_a_head_end_the_connection(slow_address: Address) -> None:
    assert drip(slow_address, b"\r\n", b"\r\n" * 500) == b""


def test_the_rest_of_a_refused_body_must_come_to_an_end(slow_address: Address) -> None:
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"
    reply = drip(slow_address, head, b"x" * 1_000)
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert reply.count(b"HTTP/1.1") == 1


def test_a_request_that_takes_long_to_answer_is_no_slow_head(slow_address: Address) -> None:
    body = json.dumps({"query": "{ licenseDeployments { totalCount } }"}).encode()
    request = (
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer sample+latency=0.8\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    with socket.create_connection(slow_address, timeout=10) as connection:
        connection.sendall(request + body)
        reply = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert reply.startswith(b"HTTP/1.1 200 OK"), reply
    assert b'"totalCount":2' in reply


def test_a_hundred_slow_callers_keep_nobody_from_being_answered(slow_address: Address) -> None:
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
def test_a_connection_that_sends_no_request_ends_without_a_word(start: bytes) -> None:
    with impatient(0.3) as address, socket.create_connection(address, timeout=10) as connection:
        connection.sendall(start)
        reply = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert reply.count(b"HTTP/1.1 200 OK") == (1 if start else 0)
    assert b"408" not in reply


def test_the_server_as_it_is_run_bounds_heads_and_idle_connections() -> None:
    config = Listener("127.0.0.1", 0).config(build(read_settings({})))
    assert config.http is BoundedHttpProtocol
    assert BoundedHttpProtocol.head_seconds == 20
    assert config.timeout_keep_alive == KEEP_ALIVE_SECONDS


# Hanging up


def raw_request(token: str) -> bytes:
    body = json.dumps({"query": QUERY}).encode()
    return (
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (token.encode(), len(body))
    ) + body


def sending(bench: Bench, token: str) -> socket.socket:
    connection = socket.create_connection(address_of(bench.gateway.url), timeout=10)
    connection.sendall(raw_request(token))
    return connection


def test_a_caller_that_hangs_up_cancels_its_upstream_call(patient_bench: Bench) -> None:
    held = Held()
    token = patient_bench.token(held.step, GOOD)
    connection = sending(patient_bench, token)
    assert held.begun.wait(10)
    connection.close()
    assert held.hung_up.wait(10), "the upstream sees its connection closed"
    assert patient_bench.sold(token) == [1, 2]
    assert patient_bench.calls(token) == 2


def test_a_caller_that_hangs_up_harms_none_that_share_its_call(patient_bench: Bench) -> None:
    held = Held()
    token = patient_bench.token(held.step)
    first = sending(patient_bench, token)
    assert held.begun.wait(10)
    with ThreadPoolExecutor(3) as pool:
        others = [pool.submit(patient_bench.sold, token) for _ in range(3)]
        in_flight(patient_bench, lambda number: number >= 4)
        first.close()
        in_flight(patient_bench, lambda number: number <= 3)
        assert not held.hung_up.is_set()
        held.release()
        assert [other.result() for other in others] == [[1, 2]] * 3
    assert patient_bench.calls(token) == 1
    assert not held.hung_up.is_set()


def test_the_last_of_those_that_share_a_call_ends_it(patient_bench: Bench) -> None:
    held = Held()
    token = patient_bench.token(held.step)
    callers = [sending(patient_bench, token) for _ in range(5)]
    in_flight(patient_bench, lambda number: number >= 5)
    for caller in callers[1:]:
        caller.close()
    in_flight(patient_bench, lambda number: number <= 1)
    assert not held.hung_up.is_set()
    callers[0].close()
    assert held.hung_up.wait(10)
    assert patient_bench.calls(token) == 1


def test_a_stampede_of_one_token_makes_one_call_and_of_many_one_each(patient_bench: Bench) -> None:
    tokens = [patient_bench.token(slowly(0.3)) for _ in range(10)]
    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(patient_bench.sold, tokens * 4))
    assert found == [[1, 2]] * 40
    assert [patient_bench.calls(token) for token in tokens] == [1] * 10


def slowly(seconds: float) -> Step:
    """A good reply that takes its time."""

    async def step(asked: Asked, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(seconds)
        return await GOOD(asked, writer)

    return step


def in_flight(bench: Bench, holds: Callable[[int], Any]) -> None:
    """Wait until so many requests are being answered, not counting the one that asks."""
    for _ in range(2_000):
        text = bench.gateway.client.get("/metrics").text
        [line] = [line for line in text.splitlines() if line.startswith("gateway_requests_in_flight ")]
        if holds(int(float(line.split()[1])) - 1):
            return
    raise AssertionError(line)


class HandTimed(BoundedHttpProtocol):
    """A protocol whose stall timer fires when the test says so, not when time has passed."""

    stall_seconds = 3_600
    paused: ClassVar[SimpleQueue[tuple[HandTimed, int]]]

    def _await_reading(self) -> None:
        super()._await_reading()
        self.paused.put((self, self.unread_bytes))

    @property
    def unread_bytes(self) -> int:
        """Bytes of responses that this process still holds for the client."""
        return self.transport.get_write_buffer_size()

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
    """Clients that were sent more than the system holds for a connection, with protocol and unread bytes of each."""
    rows = "edges { cursor node { customerTenantId customerName productId productName serviceName } }"
    fields = " ".join(f"a{number}: licenseDeployments(first: 10000) {{ {rows} }}" for number in range(5))
    body = json.dumps({"query": f"{{ {fields} }}"}).encode()
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer contoso\r\n"
    request = head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    HandTimed.paused = SimpleQueue()
    with served_as_run(build(read_settings({})), http=HandTimed) as url, ExitStack() as stack:

        def connect() -> tuple[socket.socket, HandTimed, int]:
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.settimeout(60)
            client.connect(address_of(url))
            client.sendall(request)
            return client, *HandTimed.paused.get(timeout=60)

        yield connect


def everything_from(client: socket.socket) -> bytes:
    """What still comes until the connection ends, by whichever side."""
    received = bytearray()
    with suppress(ConnectionError):
        while more := client.recv(65_536):
            received += more
    return bytes(received)


def is_whole(response: bytes) -> bool:
    """Whether the body has as many bytes as its head says."""
    head, _, body = response.partition(b"\r\n\r\n")
    return len(body) == int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])


def test_a_client_that_does_not_read_is_let_go(hand_timed: Callable[[], tuple[socket.socket, HandTimed, int]]) -> None:
    client, protocol, unread_bytes = hand_timed()
    # The system may take a few more bytes after the pause, which count as read.
    for _ in range(1_000):
        if not protocol.let_time_pass(unread_bytes):
            break
        _, unread_bytes = HandTimed.paused.get(timeout=60)
    else:
        pytest.fail("the client was never let go")
    assert not is_whole(everything_from(client))


def test_a_client_that_reads_slowly_is_not_let_go(
    hand_timed: Callable[[], tuple[socket.socket, HandTimed, int]],
) -> None:
    """However often the time passes, as long as some of the response was read meanwhile."""
    client, protocol, unread_bytes = hand_timed()
    received = b""
    for _ in range(3):
        while protocol.unread_bytes >= unread_bytes:
            received += client.recv(65_536)
        assert protocol.let_time_pass(unread_bytes)
        same, unread_bytes = HandTimed.paused.get(timeout=60)
        assert same is protocol
    assert is_whole(received + everything_from(client))


def test_a_reply_may_go_unread_for_a_minute() -> None:
    assert BoundedHttpProtocol.stall_seconds == 60
