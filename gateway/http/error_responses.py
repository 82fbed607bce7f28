"""Errors before or outside an operation, as HTTP responses in GraphQL form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from gateway.errors import BadRequest, GatewayError, RateLimited, ServiceUnavailable, Unauthenticated


def error_entry(error: GatewayError, correlation_id: str) -> dict[str, Any]:
    """Return one member of ``errors``, without a path."""
    return {"message": error.message, "extensions": {**error.extensions(), "correlationId": correlation_id}}


def error_response(
    error: GatewayError,
    correlation_id: str,
    *,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response that contains only ``error`` and must not be stored by caches."""
    status = error.status if isinstance(error, BadRequest) else error.http_status
    body = msgspec.json.encode({"errors": [error_entry(error, correlation_id)]})
    all_headers = {"Cache-Control": "no-store", **status_headers([error]), **(headers or {})}
    return Response(body, status, all_headers, media_type=f"{media_type}; charset=utf-8")


def refused(scope: Scope, error: GatewayError, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``error`` as the response to a request, and record its code for the request's log line."""
    scope["state"]["refusal"] = error.code
    return error_response(error, scope["state"]["correlation_id"], headers=headers)


def status_headers(errors: list[GatewayError]) -> dict[str, str]:
    """Return WWW-Authenticate for 401 (RFC 6750, section 3) and Retry-After for 429 and 503 (RFC 9110, 10.2.3)."""
    headers: dict[str, str] = {}
    if any(isinstance(error, Unauthenticated) for error in errors):
        headers["WWW-Authenticate"] = "Bearer"
    waits = [error.retry_after_seconds for error in errors if isinstance(error, RateLimited | ServiceUnavailable)]
    known_waits = [wait for wait in waits if wait is not None]
    if known_waits:
        headers["Retry-After"] = str(max(known_waits))
    return headers
