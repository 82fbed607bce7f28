"""Clients that do not read their responses are disconnected, and the memory of the responses is freed."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Iterator
from queue import SimpleQueue
from typing import ClassVar

import pytest

from gateway.__main__ import build
from gateway.config.environment import read_settings
from gateway.server.http_protocol import BoundedHttpProtocol
from tests.faults.harness import address_of, production_server
from tests.gateway.running import eventually
from tests.gateway.server.raw_http import post, request

TOKEN = "Authorization: Bearer contoso"
FIELDS = "customerTenantId customerName productId productName serviceName serviceCode channel"
LARGE = post(f"{{ licenseDeployments(first: 10000) {{ nodes {{ {FIELDS} }} }} }}", TOKEN)
SMALL = post(f"{{ licenseDeployments(first: 100) {{ nodes {{ {FIELDS} }} }} }}", TOKEN)

# Longer than the protocol below waits, twice, on a busy machine.
WAIT_SECONDS = 30


class Impatient(BoundedHttpProtocol):
    """A protocol that waits for half a second, and reports each end of a connection. The kernel takes little."""

    stall_seconds = 0.5
    option = (socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    ended: ClassVar[SimpleQueue[None]]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        """Set the option."""
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(*self.option)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report it."""
        super().connection_lost(exc)
        self.ended.put(None)


class KernelTimed(Impatient):
    """A protocol that leaves everything to the kernel, which waits for a second."""

    stall_seconds = 3_600
    option = (socket.IPPROTO_TCP, getattr(socket, "TCP_USER_TIMEOUT", 0), 1_000)


def serving(protocol: type[Impatient]) -> Iterator[tuple[str, int]]:
    """Run a gateway with ``protocol``; yield its address."""
    Impatient.ended = SimpleQueue()
    with production_server(build(read_settings({})), http=protocol) as url:
        yield address_of(url)


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    """The address of a gateway with an impatient protocol."""
    yield from serving(Impatient)


@pytest.fixture
def kernel_timed() -> Iterator[tuple[str, int]]:
    """The address of a gateway that leaves the time to the kernel."""
    yield from serving(KernelTimed)


def unreading(address: tuple[str, int], data: bytes) -> socket.socket:
    """Send ``data`` over a connection that takes little at once."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.settimeout(5)
    client.connect(address)
    client.sendall(data)
    return client


UNREAD = {
    "a large response": LARGE,
    "the last response": LARGE.replace(b"Host: x", b"Host: x\r\nConnection: close"),
    "many small responses": SMALL * 2_000,
    "an export": request("Host: x", TOKEN, first="GET /export/licenseDeployments.csv HTTP/1.1") * 3,
    "a response in HTTP/1.0": LARGE.replace(b"HTTP/1.1", b"HTTP/1.0"),
}


def read_all(client: socket.socket) -> None:
    """Read until the server closes. Raises ConnectionResetError if it resets the connection."""
    while client.recv(65_536):
        pass


@pytest.mark.parametrize("data", UNREAD.values(), ids=UNREAD)
def test_a_client_that_does_not_read_is_disconnected(address: tuple[str, int], data: bytes) -> None:
    with unreading(address, data) as client:
        Impatient.ended.get(timeout=WAIT_SECONDS)
        with pytest.raises(ConnectionResetError):
            read_all(client)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no such option")
def test_an_unread_response_in_the_kernels_buffer_is_discarded(kernel_timed: tuple[str, int]) -> None:
    with unreading(kernel_timed, SMALL * 5) as client:
        Impatient.ended.get(timeout=WAIT_SECONDS)
        with pytest.raises(ConnectionError):
            read_all(client)


def test_connections_of_clients_that_did_not_read_are_freed(address: tuple[str, int]) -> None:
    clients = [unreading(address, LARGE) for _ in range(10)]
    for client in clients:
        Impatient.ended.get(timeout=WAIT_SECONDS)
        client.close()
    eventually(lambda: not protocols())


def protocols() -> list[object]:
    """Return the protocols of connections that still exist."""
    gc.collect()
    return [candidate for candidate in gc.get_objects() if isinstance(candidate, Impatient)]
