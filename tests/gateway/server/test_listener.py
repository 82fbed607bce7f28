"""Addresses to listen on."""

from __future__ import annotations

import socket

import pytest

from gateway.server.listener import Listener, url_of
from tests.gateway.server.raw_http import Connection, request

needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


@needs_ipv6
@pytest.mark.parametrize("host", ["::", "[::]", "::0"])
def test_the_unspecified_address_of_ipv6_includes_ipv4(host: str) -> None:
    with Listener(host, 0).bind() as bound:
        port = bound.getsockname()[1]
        assert url_of(bound) == f"http://localhost:{port}"
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, port), timeout=5):
                pass


@needs_ipv6
def test_another_ipv6_address_is_only_itself() -> None:
    with Listener("::1", 0).bind() as bound:
        port = bound.getsockname()[1]
        assert url_of(bound) == f"http://[::1]:{port}"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_client_of_a_proxys_protocol_gets_no_websocket(address: tuple[str, int]) -> None:
    """Even if a WebSocket library is installed, which uvicorn would find."""
    lines = ("Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==")
    with Connection(address) as connection:
        connection.send(request(*lines, "Sec-WebSocket-Version: 13", first="GET /graphql HTTP/1.1"))
        assert connection.response().status != 101


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no such option")
def test_the_kernel_limits_how_long_its_buffers_stay_unread() -> None:
    with (
        Listener("127.0.0.1", 0).bind() as bound,
        socket.create_connection(bound.getsockname()),
        bound.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 50_000
