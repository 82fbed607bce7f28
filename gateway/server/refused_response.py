"""Responses that the server sends in place of the application, such as for malformed HTTP."""

from __future__ import annotations

from http import HTTPStatus

from gateway.http.error_responses import error_response
from gateway.observability.access_log import correlation_id
from gateway.server.request_rules import RequestRefused


def refused_response(refusal: RequestRefused) -> bytes:
    """Return a complete response with the error in GraphQL form; its connection must be closed."""
    new_id = correlation_id({})
    headers = {"MS-CorrelationId": new_id, "X-Content-Type-Options": "nosniff", **refusal.headers}
    response = error_response(refusal.error, new_id, headers={**headers, "Connection": "close"})
    lines = [f"HTTP/1.1 {response.status_code} {HTTPStatus(response.status_code).phrase}".encode()]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*lines, b"", b""]) + bytes(response.body)
