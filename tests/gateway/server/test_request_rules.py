"""Headers that change how a request is read are supported, or refused with the documented status; over sockets."""

from __future__ import annotations

import json

import pytest

from gateway.server.request_rules import RequestRefused, check_head
from tests.gateway.server.raw_http import Connection, Response, post, request

Address = tuple[str, int]

BODY = b'{"query": "{ __typename }"}'
USUAL = ("Content-Type: application/json",)
SIZED = (*USUAL, f"Content-Length: {len(BODY)}")
CHUNKED = (*USUAL, "Transfer-Encoding: chunked")
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


def refused(address: Address, data: bytes) -> Response:
    """Send ``data`` and another request; return the only response, after checking that it is coded and the last."""
    with Connection(address) as connection:
        connection.send(data + post("{ __typename }"))
        response = connection.response()
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        assert response.headers["connection"] == "close"
        assert response.code == "BAD_REQUEST"
        assert connection.rest() == b""
        return response


REFUSED = {
    "no Host": (400, request(*SIZED, body=BODY)),
    "two Hosts": (400, request("Host: x", "Host: x", *SIZED, body=BODY)),
    "two Hosts in HTTP/1.0": (400, request("Host: x", "Host: y", *SIZED, body=BODY, first="POST /graphql HTTP/1.0")),
    "a list of Hosts": (400, request("Host: x, y", *SIZED, body=BODY)),
    "a Host with a user": (400, request("Host: user@x", *SIZED, body=BODY)),
    "a Host with a path": (400, request("Host: x/y", *SIZED, body=BODY)),
    "a Host with a space": (400, request("Host: x y", *SIZED, body=BODY)),
    "an unknown expectation": (417, request("Host: x", *SIZED, "Expect: tea", body=BODY)),
    "a list of expectations": (417, request("Host: x", *SIZED, "Expect: 100-continue, tea", body=BODY)),
    "a second expectation": (417, request("Host: x", *SIZED, "Expect: 100-continue", "Expect: tea", body=BODY)),
    "a parameter of an expectation": (417, request("Host: x", *SIZED, "Expect: 100-continue;q=1", body=BODY)),
    "compressed chunks": (501, request("Host: x", *USUAL, "Transfer-Encoding: gzip, chunked", body=CHUNKS)),
    "compressed, then chunked": (
        501,
        request("Host: x", *USUAL, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked", body=CHUNKS),
    ),
    "compressed": (501, request("Host: x", *USUAL, "Transfer-Encoding: gzip", body=BODY)),
    "a misspelled coding": (501, request("Host: x", *USUAL, "Transfer-Encoding: xchunked", body=CHUNKS)),
    "an identity coding": (501, request("Host: x", *USUAL, "Transfer-Encoding: identity", body=BODY)),
    "chunked twice": (400, request("Host: x", *USUAL, "Transfer-Encoding: chunked, chunked", body=CHUNKS)),
    "a coding behind chunked": (400, request("Host: x", *USUAL, "Transfer-Encoding: chunked, gzip", body=CHUNKS)),
    "an empty coding": (400, request("Host: x", *USUAL, "Transfer-Encoding:", body=CHUNKS)),
    "chunks in HTTP/1.0": (400, request("Host: x", *CHUNKED, body=CHUNKS, first="POST /graphql HTTP/1.0")),
    "length and chunks": (400, request("Host: x", *SIZED, "Transfer-Encoding: chunked", body=CHUNKS)),
    "chunks and length": (400, request("Host: x", *CHUNKED, "Content-Length: 5", body=CHUNKS)),
    "equal lengths": (400, request("Host: x", *SIZED, f"Content-Length: {len(BODY)}", body=BODY)),
    "a list of lengths": (400, request("Host: x", *USUAL, "Content-Length: 27, 27", body=BODY)),
    "an empty length": (400, request("Host: x", *USUAL, "Content-Length:", body=BODY)),
    "a signed length": (400, request("Host: x", *USUAL, "Content-Length: +27", body=BODY)),
    "a hexadecimal length": (400, request("Host: x", *USUAL, "Content-Length: 0x1b", body=BODY)),
    "an endless length": (400, request("Host: x", *USUAL, "Content-Length: 99999999999999999999", body=BODY)),
    "a compressed body": (415, request("Host: x", *SIZED, "Content-Encoding: gzip", body=BODY)),
    "a twice encoded body": (415, request("Host: x", *SIZED, "Content-Encoding: identity, br", body=BODY)),
    "two content types": (400, request("Host: x", *SIZED, "Content-Type: text/plain", body=BODY)),
    "Connection names the length": (400, request("Host: x", *SIZED, "Connection: Content-Length", body=BODY)),
    "Connection names the host": (400, request("Host: x", *SIZED, "Connection: keep-alive, host", body=BODY)),
    "Connection names the token": (
        400,
        request("Host: x", *SIZED, "Authorization: Bearer sample", "Connection: authorization", body=BODY),
    ),
    "HTTP/2.0": (505, request("Host: x", *SIZED, body=BODY, first="POST /graphql HTTP/2.0")),
    "HTTP/2 at once": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/0.9": (505, b"GET /healthz\r\n\r\n"),
    "a folded header": (400, request("Host: x", *SIZED, "X-Folded: a", " b", body=BODY)),
    "a space before the colon": (400, request("Host: x", *USUAL, "Content-Length : 27", body=BODY)),
    "only line feeds": (400, b"GET /healthz HTTP/1.1\nHost: x\n\n"),
    "a malformed target": (400, request("Host: x", *SIZED, body=BODY, first="POST http://[ HTTP/1.1")),
    "a target of other characters": (400, request("Host: x", *SIZED, body=BODY, first="POST /\xe9\xff HTTP/1.1")),
    "a null character": (400, request("Host: x", *SIZED, "X: a\0b", body=BODY)),
}


@pytest.mark.parametrize(("status", "data"), REFUSED.values(), ids=REFUSED)
def test_unsupported_requests_are_refused(address: Address, status: int, data: bytes) -> None:
    response = refused(address, data)
    assert response.status == status
    if status == 415:
        assert response.headers["accept-encoding"] == "identity"


SERVED = {
    "an empty Host": request("Host:", *SIZED, body=BODY),
    "a port": request("Host: localhost:8000", *SIZED, body=BODY),
    "IPv6": request("Host: [::1]:8000", *SIZED, body=BODY),
    "a zone": request("Host: [fe80::1%25eth0]", *SIZED, body=BODY),
    "an underscore": request("Host: my_gateway", *SIZED, body=BODY),
    "no Host in HTTP/1.0": request(*SIZED, "Connection: keep-alive", body=BODY, first="POST /graphql HTTP/1.0"),
    "CHUNKED": request("Host: x", *USUAL, "Transfer-Encoding: CHUNKED", body=CHUNKS),
    "identity": request("Host: x", *SIZED, "Content-Encoding: identity", body=BODY),
    "Connection names a private header": request("Host: x", *SIZED, "Connection: X-Hop", "X-Hop: y", body=BODY),
    "TE": request("Host: x", *SIZED, "TE: trailers", "Connection: TE", body=BODY),
    "line breaks first": b"\r\n\r\n" + request("Host: x", *SIZED, body=BODY),
    "an absolute target": request("Host: x", *SIZED, body=BODY, first="POST http://x/graphql HTTP/1.1"),
}


@pytest.mark.parametrize("data", SERVED.values(), ids=SERVED)
def test_supported_requests_are_served(address: Address, data: bytes) -> None:
    with Connection(address) as connection:
        connection.send(data)
        response = connection.response()
        assert (response.status, json.loads(response.body)) == (200, {"data": {"__typename": "Query"}})


def test_a_client_that_expects_100_continue_gets_it(address: Address) -> None:
    with Connection(address) as connection:
        connection.send(request("Host: x", *SIZED, "Expect: 100-Continue"))
        assert connection.socket.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(BODY)
        assert connection.response().status == 200


def test_a_client_of_http_1_0_gets_no_interim_response(address: Address) -> None:
    """RFC 9110, section 10.1.1: it would not understand one."""
    with Connection(address) as connection:
        connection.send(request("Host: x", *SIZED, "Expect: 100-continue", body=BODY, first="POST /graphql HTTP/1.0"))
        assert connection.rest().startswith(b"HTTP/1.1 200 ")


def test_a_body_in_too_many_small_chunks_is_refused(address: Address) -> None:
    """Parsing such a body takes more time than any other request of its size."""
    chunks = b"1\r\n \r\n" * 100_000
    response = refused(address, request("Host: x", *CHUNKED, body=chunks))
    assert response.status == 400


def test_a_body_of_line_breaks_is_read(address: Address) -> None:
    """The server looks for the end of a request in it."""
    body = BODY + b"\r\n\r\n" * 1_000
    with Connection(address) as connection:
        connection.send(request("Host: x", *CHUNKED, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)))
        assert connection.response().status == 200


def test_a_refusal_names_a_status_and_what_to_do() -> None:
    with pytest.raises(RequestRefused) as refusal:
        check_head("1.1", "CONNECT", [(b"host", b"x")])
    assert refusal.value.error.status == 405
    assert refusal.value.headers == {"Allow": "GET, HEAD, POST, OPTIONS"}


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://host", 307),
        ("HTTP://host", 307),
        ("http://host?query={healthz}", 307),
        ("http://host/healthz", 200),
        ("http://host/", 307),
    ],
)
def test_an_absolute_target_may_have_an_empty_path(address: tuple[str, int], target: str, status: int) -> None:
    """RFC 9112, section 3.2.2. A proxy's health check may send it."""
    with Connection(address) as connection:
        connection.send(request("Host: host", first=f"GET {target} HTTP/1.1"))
        assert connection.response().status == status
