"""Checks of every error response, and requests over a bare socket."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

# No message may contain addresses, code, or names of libraries.
_FORBIDDEN = re.compile(
    r"https?://|127\.0\.0\.1|localhost|Traceback|File \"|\.py\b|line \d+, in |Bearer [^<'a ]|"
    r"(?i:httpx|httpcore|graphql-core|strawberry|starlette|msgspec|uvicorn|aiocache|python|sys\.)"
)


def check_error(
    response: httpx.Response, code: str, status: int = 200, *, path: list[str | int] | None = None
) -> dict[str, Any]:
    """Check an error response; return the extensions of its first error."""
    assert response.status_code == status, response.text
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"].partition(";")[0] in (
        "application/json",
        "application/graphql-response+json",
    )
    errors = response.json()["errors"]
    for error in errors:
        assert not _FORBIDDEN.search(error["message"]), error["message"]
        assert error["extensions"]["correlationId"] == response.headers["MS-CorrelationId"]
    assert errors[0]["extensions"]["code"] == code, errors
    if path is not None:
        assert errors[0]["path"] == path
    extensions: dict[str, Any] = errors[0]["extensions"]
    return extensions


@dataclass(frozen=True)
class RawResponse:
    """A response read from a bare socket."""

    status: int
    head: str
    body: bytes


def exchange(url: str, request: bytes) -> RawResponse:
    """Send ``request`` verbatim to the server at ``url``, and read until the server closes."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(request)
        received = bytearray()
        while chunk := connection.recv(65_536):
            received += chunk
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    return RawResponse(int(head.split(b" ", 2)[1]), head.decode("latin-1"), body)


def raw_post(body: bytes, *headers: bytes) -> bytes:
    """Return the bytes of a POST to ``/graphql`` with ``Connection: close``."""
    lines = [
        b"POST /graphql HTTP/1.1",
        b"Host: gateway",
        b"Content-Type: application/json",
        b"Connection: close",
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
