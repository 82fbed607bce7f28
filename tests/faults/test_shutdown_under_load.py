"""SIGTERM under load: connections are not reset, and clients that do not read do not delay the end."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx
import pytest

from tests.faults.harness import address_of
from tests.gateway.running import END_SECONDS, QUIET, Running, kill
from tests.gateway.server.raw_http import Connection, post, request

CLIENTS = 16
GRACE_SECONDS = 3

QUERY = json.dumps({"query": "{ licenseDeployments(first: 5) { totalCount } }"})
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer sample"}
LARGE = "{ licenseDeployments(first: 10000) { nodes { customerName productName serviceName productId } } }"


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def gateway(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A gateway with the embedded sandbox."""
    running = Running(
        ("--port", "0", "--workers", str(request.param)),
        {"GATEWAY_SHUTDOWN_GRACE_SECONDS": str(GRACE_SECONDS), **QUIET},
    )
    try:
        assert httpx.get(f"{running.url}/healthz", trust_env=False).status_code == 200
        yield running
    finally:
        kill(running.process)


@dataclass
class Outcomes:
    """The outcomes of requests over connections that were reused, and over new connections."""

    reused: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def send_repeatedly(address: tuple[str, int], outcomes: Outcomes) -> None:
    """Send requests over one connection until the gateway is gone, and record each outcome."""
    connection = http.client.HTTPConnection(*address, timeout=20)
    while True:
        recorded = outcomes.new if connection.sock is None else outcomes.reused
        try:
            connection.request("POST", "/graphql", QUERY, HEADERS)
            response = connection.getresponse()
            response.read()
            recorded.append(str(response.status))
        except ConnectionRefusedError:
            return
        except (OSError, http.client.HTTPException) as error:
            recorded.append(type(error).__name__)
            connection.close()


def test_sigterm_under_load_resets_no_connection(gateway: Running) -> None:
    """Each request over a reused connection gets a response, perhaps the error that the gateway is shutting down.

    A new connection may be reset while the kernel closes the listening socket; later ones are refused.
    """
    outcomes = Outcomes()
    arguments = (address_of(gateway.url), outcomes)
    clients = [threading.Thread(target=send_repeatedly, args=arguments) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    while len(outcomes.reused) < 200:
        time.sleep(0.01)
    status, output, _ = gateway.end(signal.SIGTERM)
    for client in clients:
        client.join()
    assert (status, "Traceback" in output) == (0, False), output
    assert set(outcomes.reused) <= {"200", "503"}, Counter(outcomes.reused)
    assert Counter(outcomes.new)["ConnectionResetError"] <= 2, Counter(outcomes.new)


def test_idle_connections_are_closed_without_a_reset(gateway: Running) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(Connection(address_of(gateway.url))) for _ in range(4)]
        for connection in idle[:2]:
            connection.send(request("Host: x", first="GET /healthz HTTP/1.1"))
            assert connection.response().status == 200
        status, _, seconds = gateway.end(signal.SIGTERM)
        assert [connection.rest() for connection in idle] == [b""] * 4
    assert status == 0
    assert seconds < GRACE_SECONDS + END_SECONDS


def test_pipelined_requests_are_answered_after_sigterm(gateway: Running) -> None:
    """The request in flight is completed. The next one gets an error, which closes the connection."""
    slow = post("{ licenseDeployments { totalCount } }", "Authorization: Bearer sample+latency=1.5")
    with Connection(address_of(gateway.url)) as connection:
        connection.send(slow + post("{ __typename }"))
        time.sleep(0.5)
        gateway.process.send_signal(signal.SIGTERM)
        assert connection.response().status == 200
        last = connection.response()
        assert (last.status, last.code, last.headers["connection"]) == (503, "SERVICE_UNAVAILABLE", "close")
        assert connection.rest() == b""


def test_a_client_that_does_not_read_delays_the_end_no_longer_than_the_grace_time(gateway: Running) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(address_of(gateway.url))
        client.sendall(post(LARGE, "Authorization: Bearer contoso"))
        assert client.recv(1)
        status, output, seconds = gateway.end(signal.SIGTERM)
    assert (status, "Traceback" in output) == (0, False), output
    assert seconds < GRACE_SECONDS + END_SECONDS
