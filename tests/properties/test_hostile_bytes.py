"""Arbitrary bytes never make the server fail; every error body is JSON in GraphQL form."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
import structlog.testing
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.__main__ import build
from gateway.config.environment import read_settings
from tests.faults.harness import address_of, production_server

Address = tuple[str, int]

OPTIONS = settings(
    max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

CODES = {
    "BAD_REQUEST",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "BAD_USER_INPUT",
    "INVALID_CURSOR",
    "QUERY_TOO_COMPLEX",
    "PAYLOAD_TOO_LARGE",
    "PERSISTED_QUERY_NOT_FOUND",
    "UNAUTHENTICATED",
}


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    """Serve a gateway on the embedded sandbox in a production server; it must not log any error."""
    with structlog.testing.capture_logs() as lines, production_server(build(read_settings({}))) as url:
        yield address_of(url)
    assert [line for line in lines if line["log_level"] in ("error", "critical") or "exc_info" in line] == []
    assert len(lines) > 100, "requests are logged, so errors would be logged too"


def exchange(address: Address, data: bytes, *, close_write: bool = True) -> bytes:
    """Send ``data``, close the sending side if ``close_write``, and read until the server closes."""
    received = b""
    with socket.create_connection(address, timeout=10) as connection, suppress(ConnectionError):
        connection.sendall(data)
        if close_write:
            connection.shutdown(socket.SHUT_WR)
        while more := connection.recv(65_536):
            received += more
    return received


def post(*headers: bytes, body: bytes = b"") -> bytes:
    """Build a POST to the endpoint with ``Connection: close``."""
    lines = [b"POST /graphql HTTP/1.1", b"Host: x", b"Connection: close", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


def check(response: bytes) -> None:
    """Check that a response is a success, or a refusal in GraphQL form."""
    if not response:
        return
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, *_ = first.split(" ")
    assert version == "HTTP/1.1"
    # 501 and 505 name what the gateway does not implement: a transfer coding, a version of HTTP (RFC 9110, 15.6).
    assert 200 <= int(status) < 500 or int(status) in (501, 505), response
    headers = dict(line.lower().split(": ", 1) for line in lines)
    if not body or "json" not in headers.get("content-type", "") or "content-encoding" in headers:
        assert int(status) < 400, "an error response has a GraphQL body"
        return
    result = json.loads(body[: int(headers["content-length"])])
    # A batch gets one result for each operation.
    for one in result if isinstance(result, list) else [result]:
        for error in one.get("errors", []):
            assert error["message"]
            assert error["extensions"]["code"] in CODES
        assert int(status) < 400 or one["errors"]


# Parts of requests, so that the bytes get past the first line.
WORDS = st.sampled_from(
    [
        *(b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"PRI", b"*", b"/graphql", b"?query=", b"/"),
        *(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b": ", b"\x00", b"\xff"),
        *(b"Host: x", b"Content-Length: 2", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"0\r\n\r\n"),
        *(b"Connection: close", b"Connection: Upgrade", b"Upgrade: websocket", b"Expect: 100-continue"),
        *(b"Content-Type: application/json", b"{}", b'{"query":"{__typename}"}', b"5\r\n{", b"\x16\x03\x01"),
    ]
)


@OPTIONS
@given(st.lists(WORDS | st.binary(max_size=12), max_size=14).map(b"".join))
@example(b"GET /graphql?query={__typename} HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
@example(b"POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}")
@example(b"\x00" * 100_000)
def test_any_bytes_are_a_request_or_are_refused(address: Address, data: bytes) -> None:
    check(exchange(address, data))


NAMES = st.sampled_from(
    b"Accept Accept-Encoding Authorization Content-Type Content-Encoding Origin X-Locale MS-CorrelationId Cookie"
    b" If-None-Match Sec-Fetch-Site Sec-Fetch-Mode Access-Control-Request-Method Range TE X-Forwarded-For".split()
)
VALUES = st.binary(max_size=40).map(lambda value: value.translate(None, b"\r\n\x00"))
USUAL = b"Content-Type: application/json"
TYPENAME = b'{"query": "{ __typename }"}'


@OPTIONS
@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_any_headers_get_a_coded_response(address: Address, headers: list[tuple[bytes, bytes]]) -> None:
    lines = [name + b": " + value for name, value in headers]
    response = exchange(address, post(USUAL, *lines, body=TYPENAME), close_write=False)
    assert response
    check(response)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.fixed_dictionaries(
    {"query": st.sampled_from(["{ __typename }", "query($a: Int) { licenseDeployments(first: $a) { totalCount } }"])},
    optional={"variables": JSON, "operationName": JSON, "extensions": JSON},
).map(lambda members: json.dumps(members).encode())


@OPTIONS
@given(st.binary(max_size=200) | MEMBERS | MEMBERS.map(lambda body: body[:-3]) | JSON.map(json.dumps).map(str.encode))
@example(b"[" * 100_000)
@example(b'{"query": ' + b"9" * 5_000 + b"}")
@example(b'{"query": "\\ud800"}')
def test_any_body_gets_a_coded_response(address: Address, body: bytes) -> None:
    response = exchange(address, post(USUAL, body=body), close_write=False)
    assert response
    check(response)
