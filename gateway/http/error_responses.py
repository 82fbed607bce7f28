"""Errors as HTTP replies in GraphQL form, for whatever fails before or outside an operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from gateway.errors import BadRequest, GatewayError, RateLimited, Unauthenticated


def error_entry(error: GatewayError, correlation_id: str) -> dict[str, Any]:
    """One member of ``errors``, without a path."""
    return {"message": error.message, "extensions": {**error.extensions(), "correlationId": correlation_id}}


def error_response(
    error: GatewayError,
    correlation_id: str,
    *,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A reply that consists of ``error`` alone, never to be stored."""
    status = error.status if isinstance(error, BadRequest) else error.http_status
    body = msgspec.json.encode({"errors": [error_entry(error, correlation_id)]})
    found = {"Cache-Control": "no-store", **status_headers([error]), **(headers or {})}
    return Response(body, status, found, media_type=f"{media_type}; charset=utf-8")


def status_headers(errors: list[GatewayError]) -> dict[str, str]:
    """Headers that 401 and 429 need: WWW-Authenticate (RFC 6750, section 3) and Retry-After (RFC 6585, section 4)."""
    found: dict[str, str] = {}
    if any(isinstance(error, Unauthenticated) for error in errors):
        found["WWW-Authenticate"] = "Bearer"
    waits = [error.retry_after_seconds for error in errors if isinstance(error, RateLimited)]
    if waits:
        found["Retry-After"] = str(max(waits))
    return found
