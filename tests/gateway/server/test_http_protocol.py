"""Malformed or oversized HTTP is refused with GraphQL-style errors; tested over sockets with the real server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from gateway.__main__ import build
from gateway.config.environment import read_settings
from gateway.server.listener import Listener
from gateway.server.request_rules import MAX_HEADER_LINES


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    listener = Listener("127.0.0.1", 0, 1)
    bound = listener.bind()
    server = uvicorn.Server(listener.config(build(read_settings({}))))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    yield bound.getsockname()[:2]
    server.should_exit = True
    thread.join()


def exchange(address: tuple[str, int], *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send ``pieces``, read until the server closes, and return status, headers and body."""
    with socket.create_connection(address, timeout=10) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except OSError:
            pass
        received = b""
        try:
            while more := connection.recv(65_536):
                received += more
        except OSError:
            pass
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def refused(address: tuple[str, int], *pieces: bytes) -> int:
    """Return the status of an error response, after checking that it has GraphQL form and closes the connection."""
    status, headers, body = exchange(address, *pieces)
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["connection"] == "close"
    [error] = json.loads(body)["errors"]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert error["extensions"]["correlationId"] == headers["ms-correlationid"]
    return status


@pytest.mark.parametrize(
    "request_",
    [
        b"FOO /graphql HTTP/1.1\r\n\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
    ],
    ids=["method", "negative length", "two lengths", "length and chunks", "TLS", "no HTTP"],
)
def test_malformed_http_gets_a_json_error(address: tuple[str, int], request_: bytes) -> None:
    assert refused(address, request_) == 400


def test_an_endless_head_is_refused(address: tuple[str, int]) -> None:
    start = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Endless: "
    assert refused(address, start, *[b"y" * 16_384] * 100) == 431


def test_the_size_limit_covers_all_headers_together(address: tuple[str, int]) -> None:
    assert refused(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\n", *[b"X-Many: y\r\n" * 1_000] * 100) == 431


@pytest.mark.parametrize("line", [b"a:\r\n", b"X-Many: y\r\n"])
def test_the_number_of_header_lines_is_limited_however_short_they_are(address: tuple[str, int], line: bytes) -> None:
    start = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    assert exchange(address, start + line * (MAX_HEADER_LINES - 2) + b"\r\n")[0] == 200
    assert refused(address, start + line * (MAX_HEADER_LINES - 1) + b"\r\n") == 431


def test_the_number_of_trailer_lines_is_limited(address: tuple[str, int]) -> None:
    start = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert refused(address, start + b"1\r\n{\r\n0\r\n" + b"a:\r\n" * (MAX_HEADER_LINES + 1) + b"\r\n") == 431


def test_a_large_body_does_not_count_toward_the_head_limit(address: tuple[str, int]) -> None:
    body = b'{"query": "{ __typename }", "extensions": {"pad": "%s"}}' % (b"x" * 500_000)
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    status, _, answer = exchange(address, head + b"Content-Length: %d\r\n\r\n" % len(body), body)
    assert status == 200
    assert json.loads(answer) == {"data": {"__typename": "Query"}}


def test_the_head_limit_applies_to_each_request_of_a_connection(address: tuple[str, int]) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Pad: " + b"y" * 30_000 + b"\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    status, _, rest = exchange(address, one, one, one, last)
    assert status == 200
    assert rest.count(b"HTTP/1.1 200 OK") == 3


def test_one_clients_encoding_does_not_affect_the_next(address: tuple[str, int]) -> None:
    """The schema was once sent to every client in the first client's encoding."""
    packed = b"GET /schema.graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n"
    plain = b"GET /schema.graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert exchange(address, packed)[1]["content-encoding"] == "gzip"
    _, headers, body = exchange(address, plain)
    assert "content-encoding" not in headers
    assert b"type Query" in body


def test_a_response_that_the_embedded_sandbox_truncates_is_a_bad_response(address: tuple[str, int]) -> None:
    body = b'{"query": "{ licenseDeployments { totalCount } }"}'
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    token = b"Authorization: Bearer sample+truncate\r\n"
    _, _, answer = exchange(address, head + token + b"Content-Length: %d\r\n\r\n" % len(body), body)
    assert json.loads(answer)["errors"][0]["extensions"]["code"] == "UPSTREAM_BAD_RESPONSE"


def post(query: str, *headers: str) -> bytes:
    """Return a complete request."""
    body = json.dumps({"query": query}).encode()
    lines = ["POST /graphql HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def chunked(*trailers: bytes, headers: str = "") -> bytes:
    """Return a complete request with one body chunk, followed by ``trailers``."""
    head = f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}Connection: close\r\n"
    body = b'{"query": "{ licenseDeployments { totalCount } }"}'
    start = head.encode() + b"Transfer-Encoding: chunked\r\n\r\n"
    return start + b"%x\r\n%b\r\n0\r\n" % (len(body), body) + b"".join(trailers) + b"\r\n"


def test_a_trailer_is_not_read_as_a_header(address: tuple[str, int]) -> None:
    """However the bytes are split: a token in a trailer is ignored, with or without a real one in the head."""
    assert exchange(address, chunked(b"Authorization: Bearer sample\r\n"))[0] == 401
    token = "Authorization: Bearer sample\r\n"
    status, _, body = exchange(address, chunked(b"Authorization: Bearer tailspin\r\n", headers=token))
    assert (status, json.loads(body)) == (200, {"data": {"licenseDeployments": {"totalCount": 2}}})


@pytest.mark.parametrize("piece", [b"x" * 16_384, b"X-Many: " + b"y" * 1_000 + b"\r\n"], ids=["one long", "many"])
def test_endless_trailers_are_refused(address: tuple[str, int], piece: bytes) -> None:
    start = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert refused(address, start + b"1\r\n{\r\n0\r\nX: ", *[piece] * 1_000) == 431


def test_an_earlier_large_body_does_not_count_toward_the_head_limit(address: tuple[str, int]) -> None:
    first = post("{ __typename }" + " " * 100_000)
    last = post("{ __typename }", "Connection: close")
    status, _, rest = exchange(address, first + last[:20], last[20:])
    assert status == 200
    assert rest.count(b"HTTP/1.1 200 OK") == 1


def test_a_pending_response_is_sent_before_a_malformed_request_is_refused(address: tuple[str, int]) -> None:
    """The refusal follows in its turn, so that it is not taken for the first request's response."""
    chunk = b"POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n"
    malformed = ((b"GARBAGE\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000, 431), (chunk, 400))
    for number, (wrong, refused_status) in enumerate(malformed):
        # A token for each: a response from the cache could come before the rest arrives.
        token = f"sample+latency=0.8{number}"
        first = post("{ licenseDeployments { totalCount } }", f"Authorization: Bearer {token}")
        status, headers, rest = exchange(address, first + wrong)
        length = int(headers["content-length"])
        assert status == 200
        assert json.loads(rest[:length]) == {"data": {"licenseDeployments": {"totalCount": 2}}}
        assert rest[length:].startswith(b"HTTP/1.1 %d " % refused_status)
        assert rest.count(b"HTTP/1.1 ") == 1


def test_an_answered_request_gets_no_second_response_for_the_rest_of_its_body(address: tuple[str, int]) -> None:
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head + b"5\r\nhello\r\n")
        received = connection.recv(65_536)
        assert received.startswith(b"HTTP/1.1 415 ")
        connection.sendall(b"no chunk\r\n")
        assert connection.recv(65_536) == b""


def test_a_trailer_that_closes_the_connection_closes_it_after_the_response(address: tuple[str, int]) -> None:
    """The parser reads it as a header, and would leave later requests without a response on an open connection."""
    first = chunked(b"Connection: close\r\n").replace(b"Connection: close\r\nTransfer", b"Transfer")
    assert first.count(b"Connection: close") == 1
    status, _, rest = exchange(address, first + post("{ __typename }") * 3)
    assert status == 401
    assert rest.count(b"HTTP/1.1") == 0


def test_every_pending_response_is_sent_before_the_connection_closes(address: tuple[str, int]) -> None:
    """Including the response to a complete pipelined request."""
    slow = post("{ licenseDeployments { totalCount } }", "Authorization: Bearer sample+latency=0.2")
    status, _, rest = exchange(address, slow + post("{ __typename }") + b"GARBAGE\r\n\r\n")
    assert status == 200
    assert rest.count(b'{"data":{"__typename":"Query"}}') == 1
