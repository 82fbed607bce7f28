"""Writes the reply to a GraphQL request: body, status and headers. GraphQL over HTTP, section "Response"."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import BadRequest, GatewayError, RateLimited, ServiceUnavailable, Unauthenticated
from gateway.http_errors import error_response, status_headers
from schema.accept import GRAPHQL_JSON, reply_type
from schema.context import OperationContext
from schema.execution import Outcome

VARY = "Authorization, X-Locale, Accept, Accept-Encoding, Origin"


def outcome_response(request: Request, context: OperationContext, outcome: Outcome) -> Response:
    """The reply to an operation."""
    media_type = reply_type(request.headers.get("accept"))
    body = msgspec.json.encode(_payload(context, outcome))
    headers = {**_cache_headers(context), **status_headers(outcome.causes)}
    response = Response(body, _status(outcome, media_type), headers, media_type=f"{media_type}; charset=utf-8")
    if request.method == "GET" and outcome.executed and not outcome.errors and not context.warnings:
        _make_conditional(request, response, body)
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


def _payload(context: OperationContext, outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if outcome.errors:
        found["errors"] = outcome.errors
    if outcome.executed:
        found["data"] = outcome.data
    if context.warnings:
        found["extensions"] = {"warnings": context.warnings}
    return found


def _status(outcome: Outcome, media_type: str) -> int:
    """GraphQL over HTTP, section "Response", and 401, 429 and 503 where they are true of the whole reply."""
    if not outcome.executed:
        return 400 if media_type == GRAPHQL_JSON else 200
    if outcome.causes and not any(value is not None for value in (outcome.data or {}).values()):
        for kind, status in ((Unauthenticated, 401), (RateLimited, 429), (ServiceUnavailable, 503)):
            if any(isinstance(cause, kind) for cause in outcome.causes):
                return status
    return 200


def _cache_headers(context: OperationContext) -> Mapping[str, str]:
    state, age_seconds = context.cache_state, context.age_seconds()
    return {} if state is None else {"X-Cache": state, "Age": str(age_seconds)}


def _make_conditional(request: Request, response: Response, body: bytes) -> None:
    """Let the client keep the reply, but ask each time (RFC 9111, section 5.2.2.4; RFC 9110, section 13.1.2)."""
    etag = f'W/"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["ETag"] = etag
    # RFC 9110, section 13.1.2: weak comparison, in which W/ does not count.
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if etag.removeprefix("W/") in known or "*" in known:
        response.status_code = 304
        response.body = b""
        del response.headers["content-length"]


def refusal(request: Request, error: GatewayError, correlation_id: str) -> Response:
    """The reply to a request that came to no operation."""
    media_type = reply_type(request.headers.get("accept"))
    return error_response(error, correlation_id, media_type=media_type, headers=_error_headers(error, request.method))


def _error_headers(error: GatewayError, method: str) -> dict[str, str]:
    """What RFC 9110 wants beside 405 (section 15.5.6) and 408 (section 15.5.9)."""
    status = error.status if isinstance(error, BadRequest) else None
    if status == 405:
        # A refused GET held something else than a query, which POST may send.
        return {"Allow": "POST" if method == "GET" else "GET, POST"}
    return {"Connection": "close"} if status == 408 else {}
