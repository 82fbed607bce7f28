"""Requests that offer another protocol get one response, and their bodies are never read as requests."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.gateway.server.raw_http import Connection, post, request

Address = tuple[str, int]

# A body that would be answered by 404 if the server took it for a request.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

TYPENAME = {"data": {"__typename": "Query"}}

H2C = (
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
)
OFFERS = {
    "h2c": H2C,
    "websocket": ("Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13"),
    "mixed case": ("Connection: uPgRaDe", "uPgRaDe: fOO"),
    "Upgrade first": ("Upgrade: TLS/1.0", "Connection: keep-alive, Upgrade"),
}


def smuggling(*lines: str, first: str = "POST /graphql HTTP/1.1") -> bytes:
    """Return a request whose body looks like a request."""
    usual = ("Host: x", "Content-Type: application/json", f"Content-Length: {len(SMUGGLED)}")
    return request(*usual, *lines, body=SMUGGLED, first=first)


def chunked_smuggling(*lines: str) -> bytes:
    """Return the same request with a chunked body."""
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    return request("Host: x", "Content-Type: application/json", "Transfer-Encoding: chunked", *lines, body=body)


def everything(address: Address, *pieces: bytes) -> bytes:
    """Send ``pieces`` as separate segments, and read until the server closes."""
    with Connection(address) as connection:
        for piece in pieces:
            connection.send(piece)
            time.sleep(0.002)
        return connection.rest()


def every_split(address: Address, data: bytes, prefix: bytes = b"") -> list[bytes]:
    """Return what the server sends for each way of splitting ``data`` in two."""
    with ThreadPoolExecutor(16) as pool:
        halves = [(prefix + data[:cut], data[cut:]) for cut in range(1, len(data))]
        return list(pool.map(lambda pieces: everything(address, *pieces), halves))


@pytest.mark.parametrize("lines", OFFERS.values(), ids=OFFERS)
def test_a_body_after_an_upgrade_offer_is_never_read_as_a_request(address: Address, lines: tuple[str, ...]) -> None:
    for received in every_split(address, smuggling(*lines)):
        assert received.count(b"HTTP/1.1 ") == 1
        assert received.startswith(b"HTTP/1.1 400 ")
        assert b"BAD_REQUEST" in received
        assert b"\r\nconnection: close\r\n" in received.lower()


def test_a_chunked_body_after_an_upgrade_offer_is_never_read_as_a_request(address: Address) -> None:
    for received in every_split(address, chunked_smuggling(*H2C)):
        assert received.count(b"HTTP/1.1 ") == 1
        assert received.startswith(b"HTTP/1.1 400 ")


def test_connect_is_refused_and_nothing_after_it_is_read(address: Address) -> None:
    for received in every_split(address, smuggling(first="CONNECT example.org:443 HTTP/1.1")):
        assert received.count(b"HTTP/1.1 ") == 1
        assert received.startswith(b"HTTP/1.1 405 ")
        assert b"BAD_REQUEST" in received


def test_an_upgrade_offer_after_another_body_is_answered_once(address: Address) -> None:
    """The first request's body arrives in one piece with the second one's head."""
    first = post("{ __typename }")
    for received in every_split(address, first[-10:] + smuggling(*H2C), first[:-10]):
        assert received.count(b"HTTP/1.1 ") == 2
        assert received.startswith(b"HTTP/1.1 200 ")
        assert received.count(b"HTTP/1.1 400 ") == 1


@pytest.mark.parametrize("lines", OFFERS.values(), ids=OFFERS)
def test_a_request_with_an_upgrade_offer_is_answered_as_without_it(address: Address, lines: tuple[str, ...]) -> None:
    """Java's built-in client offers HTTP/2 in each first request. Its connection then closes."""
    with Connection(address) as connection:
        connection.send(post("{ __typename }", *lines) + post("{ __typename }"))
        response = connection.response()
        assert (response.status, json.loads(response.body)) == (200, TYPENAME)
        assert response.headers["connection"] == "close"
        assert connection.rest() == b""


def test_a_chunked_request_with_an_upgrade_offer_is_answered_as_without_it(address: Address) -> None:
    body = json.dumps({"query": "{ __typename }"}).encode()
    chunks = b"5\r\n" + body[:5] + b"\r\n%x\r\n" % (len(body) - 5) + body[5:] + b"\r\n0\r\nX-Trailer: y\r\n\r\n"
    lines = ("Host: x", "Content-Type: application/json", "Transfer-Encoding: chunked", *H2C)
    for received in every_split(address, request(*lines, body=chunks)):
        assert received.count(b"HTTP/1.1 ") == 1
        assert received.endswith(b'{"data":{"__typename":"Query"}}')


def test_an_upgrade_offer_without_a_body_is_answered(address: Address) -> None:
    received = everything(address, request("Host: x", *H2C, first="GET /healthz HTTP/1.1") + SMUGGLED)
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.startswith(b"HTTP/1.1 200 ")


def test_an_upgrade_offer_during_a_pending_response_waits_for_its_turn(address: Address) -> None:
    slow = post("{ licenseDeployments { totalCount } }", "Authorization: Bearer sample+latency=0.3")
    with Connection(address) as connection:
        connection.send(slow + post("{ __typename }", *H2C) + SMUGGLED)
        assert json.loads(connection.response().body) == {"data": {"licenseDeployments": {"totalCount": 2}}}
        assert json.loads(connection.response().body) == TYPENAME
        assert connection.rest() == b""


def test_a_large_body_after_an_upgrade_offer_is_read(address: Address) -> None:
    """The body arrives in many pieces."""
    large = post("{ __typename }" + " " * 500_000, *H2C)
    with Connection(address) as connection:
        sender = threading.Thread(target=connection.send, args=(large,))
        sender.start()
        assert json.loads(connection.response().body) == TYPENAME
        sender.join()
