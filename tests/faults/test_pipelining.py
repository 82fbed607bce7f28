"""Clients that send requests without reading the responses, or without waiting for them, do not harm others."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.faults.harness import address_of
from tests.gateway.running import QUIET, Running, kill
from tests.gateway.server.raw_http import Connection, post, request

# The attack that once took a process from 73 MB to 1.4 GB in ten seconds.
ATTACKERS = 4
ATTACK_SECONDS = 4

# Each attacker's unparsed bytes, and the allocator's reserves. One second of the old behavior exceeded it.
GROWTH_BYTES = 16 * 1024 * 1024

# Requests in one piece; a quarter of their responses, of 800 kB each, exceeds what the kernel buffers.
PIPELINED = 60

GET = request("Host: x", first="GET / HTTP/1.1")
LARGE = post(
    "{ licenseDeployments(first: 10000) { nodes { customerName productName serviceName } } }",
    "Authorization: Bearer contoso",
)


@pytest.fixture
def gateway() -> Iterator[Running]:
    """A gateway process with the embedded sandbox."""
    running = Running(("--port", "0"), QUIET)
    try:
        assert httpx.get(f"{running.url}/healthz", trust_env=False).status_code == 200
        yield running
    finally:
        kill(running.process)


def resident_bytes(running: Running) -> int:
    """Return the memory of the process."""
    status = Path(f"/proc/{running.process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1_024


def endlessly(address: tuple[str, int], data: bytes, end: threading.Event) -> None:
    """Send ``data`` repeatedly without reading; reconnect when the server closes."""
    while not end.is_set():
        with suppress(OSError), socket.create_connection(address, timeout=0.5) as connection:
            while not end.is_set():
                connection.sendall(data)


@contextmanager
def under_attack(running: Running, data: bytes) -> Iterator[None]:
    """Attack until the context ends."""
    end = threading.Event()
    arguments = (address_of(running.url), data, end)
    attackers = [threading.Thread(target=endlessly, args=arguments) for _ in range(ATTACKERS)]
    for attacker in attackers:
        attacker.start()
    try:
        yield
    finally:
        end.set()
        for attacker in attackers:
            attacker.join()


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n" * 3_000, GET * 2_000, post("{ __typename }") * 400, b"\r\n" * 30_000],
    ids=["GET without Host", "GET", "POST", "line breaks"],
)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from /proc")
def test_endless_pipelined_requests_neither_take_memory_nor_delay_others(gateway: Running, data: bytes) -> None:
    before_bytes = resident_bytes(gateway)
    with under_attack(gateway, data), httpx.Client(base_url=gateway.url, trust_env=False, timeout=30) as client:
        end_seconds = time.monotonic() + ATTACK_SECONDS
        answered = 0
        while time.monotonic() < end_seconds:
            assert client.get("/healthz").status_code == 200
            answered += 1
            assert resident_bytes(gateway) < before_bytes + GROWTH_BYTES
    # A request takes milliseconds on an idle machine; the bound is for a busy one.
    assert answered >= ATTACK_SECONDS


def test_unread_responses_stop_further_requests(gateway: Running) -> None:
    """The server computes the next response only when the kernel has accepted the previous one."""
    with ExitStack() as stack:
        for _ in range(ATTACKERS):
            connection = stack.enter_context(Connection(address_of(gateway.url)))
            connection.send(LARGE * PIPELINED)
        time.sleep(1)
        with httpx.Client(base_url=gateway.url, trust_env=False, timeout=30) as client:
            lines = client.get("/metrics").text.splitlines()
    counts = [line for line in lines if line.startswith("gateway_requests_total") and "graphql" in line]
    assert sum(int(float(line.split()[-1])) for line in counts) < ATTACKERS * PIPELINED / 4


def test_pipelined_requests_are_answered_in_order(gateway: Running) -> None:
    """A thousand requests arrive in two pieces, the first of which ends in the middle of a request."""
    requests = b"".join(post(f"{{ a{number}: __typename }}") for number in range(1_000))
    with Connection(address_of(gateway.url)) as connection:
        sender = threading.Thread(target=connection.send, args=(requests[:70_001], requests[70_001:]))
        sender.start()
        for number in range(1_000):
            response = connection.response()
            assert response.body == b'{"data":{"a%d":"Query"}}' % number
        sender.join()
