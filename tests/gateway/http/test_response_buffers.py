"""The responses that clients have not read yet are bounded: real sockets of clients that do not read."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.errors import PayloadTooLarge, ServiceUnavailable
from gateway.http.response_buffers import ResponseBuffers
from tests.conftest import Gateway, StartGateway
from tests.gateway.running import Running, eventually, kill

FIELDS = (
    "serviceCode serviceName channel customerTenantId customerName productId productName licensesDeployed licensesSold"
    " processedDateTime"
)
# Bytes beyond the buffer: the process itself, a response while it is encoded, and the page cache.
CONSTANT_BYTES = 120_000_000
SMALLEST_BUFFER_BYTES = 1_048_576


def pages(count: int, first: int = 10_000) -> str:
    """Return an operation with ``count`` pages of all fields, 4.3 MB for each 10,000 rows."""
    page = f"licenseDeployments(first: {first}) {{ edges {{ cursor node {{ {FIELDS} }} }} }}"
    return "{ " + " ".join(f"r{number}: {page}" for number in range(count)) + " }"


@contextmanager
def unread(url: str, query: str, count: int, coding: str = "identity") -> Iterator[list[bytes]]:
    """Send ``query`` on ``count`` connections and read only the beginning of each response; yield these."""
    body = json.dumps({"query": query}).encode()
    head = (
        "POST /graphql HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer contoso\r\nContent-Type: application/json\r\n"
        f"Accept-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    address = (urlsplit(url).hostname, urlsplit(url).port)
    with ExitStack() as stack:
        connections = []
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            # A small window, so that the response stays in the gateway and not in the kernel.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.settimeout(60)
            connection.connect(address)
            connection.sendall(head.encode() + body)
            connections.append(connection)
        yield [connection.recv(600) for connection in connections]


def is_refused(response: bytes) -> bool:
    return response.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: 5\r\n" in response


def resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1_024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_unread_responses_of_35_megabytes_do_not_fill_the_memory(coding: str) -> None:
    """24 such responses would take 840 MB. Beyond 256 MB they are refused until the clients disconnect."""
    server = Running(("--port", "0"), {})
    try:
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
            gateway = Gateway(server.url, client)
            assert gateway.post(pages(8)).status_code == 200
            assert gateway.post(pages(8)).status_code == 200
            at_rest_bytes = resident_bytes(server.process.pid)
            with unread(server.url, pages(8), 24, coding) as responses:
                refused = list(filter(is_refused, responses))
                assert 0 < len(refused) < 24
                assert len(refused) + sum(text.startswith(b"HTTP/1.1 200 ") for text in responses) == 24
                assert resident_bytes(server.process.pid) < at_rest_bytes + 268_435_456 + CONSTANT_BYTES
                assert gateway.post("{ licenseDeployments { totalCount } }").status_code == 200
            eventually(lambda: gateway.post(pages(8)).status_code == 200)
            assert resident_bytes(server.process.pid) < at_rest_bytes + CONSTANT_BYTES
    finally:
        kill(server.process)


def test_small_responses_pages_and_exports_pass_while_the_buffer_is_full(start_gateway: StartGateway) -> None:
    gateway = start_gateway(max_response_buffer_bytes=12_000_000)
    with unread(gateway.url, pages(2), 1) as (first,), unread(gateway.url, pages(2), 2) as others:
        assert not is_refused(first)
        assert all(map(is_refused, others))
        assert gateway.post(pages(1)).json()["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"
        assert gateway.connection("first: 100", fields=f"nodes {{ {FIELDS} }}")["nodes"]
        assert gateway.client.get("/graphql", headers={"Accept": "text/html"}).status_code == 200
        headers = {"Authorization": "Bearer contoso", "Accept-Encoding": "identity"}
        assert len(gateway.client.get("/export/licenseDeployments.csv", headers=headers).content) > 1_000_000
    eventually(lambda: gateway.post(pages(1)).status_code == 200)


@pytest.mark.parametrize("fast_path", [True, False])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_response_larger_than_the_whole_buffer_is_too_large(
    start_gateway: StartGateway, method: str, fast_path: bool
) -> None:
    """Retrying cannot help; requesting less does. The refusal takes no space in the buffer."""
    gateway = start_gateway(max_response_buffer_bytes=SMALLEST_BUFFER_BYTES, fast_path=fast_path)
    headers = {"Authorization": "Bearer contoso"}
    for _ in range(3):
        response = (
            gateway.post(pages(1, 5_000))
            if method == "POST"
            else gateway.client.get("/graphql", params={"query": pages(1, 5_000)}, headers=headers)
        )
        error = response.json()["errors"][0]
        assert (response.status_code, error["extensions"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert "GATEWAY_MAX_RESPONSE_BUFFER_BYTES" in error["message"]
        assert "retry-after" not in response.headers
        assert gateway.post(pages(1, 2_000)).status_code == 200


def test_introspection_without_a_token_cannot_fill_the_buffer(start_gateway: StartGateway) -> None:
    """Its own limit is far below the smallest buffer."""
    gateway = start_gateway(max_query_aliases=1_000, max_query_tokens=10_000)
    sizes_bytes, codes = [], []
    for count in range(1, 130, 8):
        types = "types { name fields { name description args { name description } } }"
        query = "{ __schema { " + " ".join(f"a{number}: {types}" for number in range(count)) + " } }"
        response = gateway.post(query, token=None)
        sizes_bytes.append(len(response.content))
        codes += [error["extensions"]["code"] for error in response.json().get("errors", [])]
    assert max(sizes_bytes) < SMALLEST_BUFFER_BYTES
    assert set(codes) == {"QUERY_TOO_COMPLEX"}


def test_a_buffer_counts_what_it_holds() -> None:
    buffers = ResponseBuffers(1_000_000)
    first, second = buffers.open(b"one"), buffers.open(b"two")
    assert first.take(600_000)
    assert not second.take(600_000)
    assert isinstance(second.refusal, ServiceUnavailable)
    first.hold(50_000)
    assert (buffers.used_bytes, first.held_bytes) == (50_000, 50_000)
    first.close()
    second.close()
    assert buffers.used_bytes == 0
    assert second.take(600_000)
    assert not second.take(600_000)
    assert isinstance(second.refusal, PayloadTooLarge)


def test_several_responses_of_one_token_leave_half_of_the_buffer_to_others() -> None:
    buffers = ResponseBuffers(10_000_000)
    first, second, third, other = (buffers.open(owner) for owner in (b"one", b"one", b"one", b"two"))
    assert first.take(4_000_000)
    assert not second.take(2_000_000)
    assert isinstance(second.refusal, ServiceUnavailable)
    assert third.take(1_000_000)
    assert other.take(5_000_000)
    for buffer in (first, second, third, other):
        buffer.close()
    assert (buffers.used_bytes, buffers.held_by(b"one"), buffers.held_by(b"two")) == (0, 0, 0)


def test_the_only_response_of_a_token_may_take_the_whole_buffer() -> None:
    buffers = ResponseBuffers(10_000_000)
    only, later = buffers.open(b"one"), buffers.open(b"one")
    assert only.take(6_000_000)
    assert only.take(4_000_000)
    assert not later.take(100_000)
    assert later.take(0) is False
    only.close()
    later.close()
    assert later.take(100_000)
