"""Rules for request heads beyond the parser's: refuse headers that change how a request is read, unless supported.

The parser itself refuses repeated, malformed and contradictory lengths, folded lines and unusual line ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import httptools

from gateway.errors import BadRequest

Headers = Sequence[tuple[bytes, bytes]]

# RFC 9112, section 3.2: a host and an optional port. Characters as in RFC 3986, section 3.2.2; IP literals in brackets.
_HOST = re.compile(rb"(\[[0-9A-Za-z:.%_~-]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(:[0-9]*)?")

# The headers that need a rule; nearly all requests have only the first.
_RULED = frozenset(
    {b"host", b"expect", b"transfer-encoding", b"content-type", b"connection", b"upgrade", b"content-length"}
)

# Headers that the gateway reads. A proxy removes headers that Connection names (RFC 9110, section 7.6.1), so naming one
# of these would change the request.
_END_TO_END = frozenset(
    {b"accept", b"accept-encoding", b"authorization", b"content-encoding", b"content-length", b"content-type"}
    | {b"expect", b"host", b"if-none-match", b"origin", b"traceparent", b"transfer-encoding", b"x-locale"}
    | {b"ms-correlationid", b"ms-requestid", b"sec-fetch-site"}
    | {b"x-forwarded-host", b"x-forwarded-prefix", b"x-forwarded-proto"}
)

# Apache's default is 100 lines; browsers behind several proxies send about 50. Each line takes a hundred bytes or
# more in memory, however short it is, so the size of the head alone does not bound them.
MAX_HEADER_LINES = 200

# A response with status 405 names the methods that would be served (RFC 9110, section 15.5.6).
_ALLOWED = {"Allow": "GET, HEAD, POST, OPTIONS"}


class RequestRefused(Exception):
    """A response in place of the application's: the error, and headers that its status needs."""

    def __init__(self, error: BadRequest, headers: dict[str, str] | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.headers = headers or {}


def refusal_with(status: int, message: str, headers: dict[str, str] | None = None) -> RequestRefused:
    """Return a refusal with this status and message."""
    return RequestRefused(BadRequest(message, status=status), headers)


def too_many_lines() -> RequestRefused:
    """Return the refusal of a head or trailers with too many lines."""
    return refusal_with(431, f"The request has more than {MAX_HEADER_LINES} header lines. Send fewer.")


def with_path(target: bytes) -> bytes:
    """Return a request target whose empty path is replaced: that of http://host means "/" (RFC 9112, section 3.2.2)."""
    if target[:4].lower() != b"http":
        return target
    url = httptools.parse_url(target)
    return target if url.path else b"/" if url.query is None else b"/?" + url.query


def check_head(version: str, method: str, headers: Headers) -> int | None:
    """Return the length of the body; None if it is chunked. ``headers`` are named in lower case.

    Raises RequestRefused if the request must not be served.
    """
    if version not in ("1.1", "1.0"):
        raise refusal_with(505, "The gateway speaks HTTP/1.1. Send the request in that version.")
    if method == "CONNECT":
        raise refusal_with(405, "The gateway opens no tunnels. Send the request without a proxy.", _ALLOWED)
    hosts = types = body_bytes = 0
    is_chunked = False
    for name, value in headers:
        if name not in _RULED:
            continue
        if name == b"host":
            hosts += 1
            _check_host(value)
        elif name == b"content-type":
            types += 1
        elif name == b"content-length":
            # The parser has checked it.
            body_bytes = int(value)
        elif name != b"upgrade":
            _CHECKS[name](value)
            is_chunked = is_chunked or name == b"transfer-encoding"
    if hosts > 1 or (not hosts and version == "1.1"):
        raise refusal_with(400, "The request needs exactly one Host header. Send one.")
    if types > 1:
        raise refusal_with(400, "The request has several Content-Type headers. Send one.")
    if version == "1.0" and is_chunked:
        raise refusal_with(400, "HTTP/1.0 has no Transfer-Encoding. Send Content-Length, or use HTTP/1.1.")
    return None if is_chunked else body_bytes


def _check_host(value: bytes) -> None:
    if not _HOST.fullmatch(value):
        raise refusal_with(400, "The Host header is malformed. Send a host name, and a port if it is not the default.")


def _members(value: bytes) -> list[bytes]:
    return [member.strip(b" \t").lower() for member in value.split(b",")]


def _check_expect(value: bytes) -> None:
    if any(member not in (b"100-continue", b"") for member in _members(value)):
        raise refusal_with(417, "The gateway supports no expectation except 100-continue. Leave the Expect header out.")


def _check_transfer_encoding(value: bytes) -> None:
    if _members(value) != [b"chunked"]:
        raise refusal_with(501, "The only supported Transfer-Encoding is chunked. Send the body without others.")


def _check_connection(value: bytes) -> None:
    if not _END_TO_END.isdisjoint(_members(value)):
        raise refusal_with(400, "The Connection header names a header that the gateway reads. Remove that name.")


_CHECKS = {
    b"expect": _check_expect,
    b"transfer-encoding": _check_transfer_encoding,
    b"connection": _check_connection,
}
