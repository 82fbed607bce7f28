"""Write the response to a GraphQL request: GraphQL over HTTP, section "Response"."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.errors import (
    BadRequest,
    BatchRefused,
    DocumentRefused,
    EncodedBody,
    GatewayError,
    RateLimited,
    ServiceUnavailable,
    Unauthenticated,
)
from gateway.http.content_negotiation import GRAPHQL_JSON, response_type
from gateway.http.error_responses import error_response, status_headers
from gateway.http.request_headers import list_header
from gateway.http.validators import entity_tag, make_conditional
from gateway.scheduling.worker_thread import InThread, WorkerThread
from schema.execution.context import OperationContext
from schema.execution.operations import Outcome
from schema.execution.rendering import Rendered

# Measured: copying or hashing this many bytes takes less than half a millisecond.
LARGE_BYTES = 1_048_576

_encode = msgspec.json.Encoder().encode

VARY = b"Authorization, X-Locale, Accept, Accept-Encoding, Origin"


async def outcome_response(scope: Scope, context: OperationContext, outcome: Outcome, thread: WorkerThread) -> Response:
    """Return the response to an operation on the ordinary path. Raises ServiceUnavailable and PayloadTooLarge."""
    media_type = response_type(list_header(scope, b"accept"))
    buffer = context.buffer
    body = b"" if buffer.refusal else await _joined(list(_body(context, outcome)))
    buffer.take(max(0, len(body) - buffer.held_bytes))
    if buffer.refusal:
        raise buffer.refusal
    headers = {**_cache_headers(context), **status_headers(outcome.causes)}
    response = OutcomeResponse(body, _status(outcome, media_type), headers, media_type=f"{media_type}; charset=utf-8")
    if scope["method"] != "POST" and outcome.executed and not outcome.errors and not context.extensions:
        await _make_conditional(scope, response, body, thread.of(buffer.owner))
    else:
        response.headers["Cache-Control"] = "no-store"
    buffer.hold(len(response.body))
    return response


def _body(context: OperationContext, outcome: Outcome) -> Iterator[bytes]:
    """Yield the response's JSON in parts. Each rendered connection is a part or more, which are not copied."""
    before = b"{"
    if outcome.errors:
        yield before + b'"errors":' + _encode(outcome.errors)
        before = b","
    if outcome.executed:
        yield before + b'"data":'
        yield from _data(outcome.data)
        before = b","
    if extensions := context.extensions:
        yield before + b'"extensions":' + _encode(extensions)
    yield b"}"


def _data(data: dict[str, Any] | None) -> Iterator[bytes]:
    if not data:
        yield _encode(data)
        return
    before = b"{"
    for key, value in data.items():
        yield before + _encode(key) + b":"
        if isinstance(value, Rendered):
            yield from value.parts
        else:
            yield _encode(value)
        before = b","
    yield b"}"


async def _joined(parts: list[bytes]) -> bytes:
    """Return the parts as one. Large ones are joined in a thread: Python copies them without its lock.

    It takes a millisecond for each response, which waited for its turn to be rendered: no need to wait for another.
    """
    is_large = sum(map(len, parts)) >= LARGE_BYTES
    return await asyncio.to_thread(b"".join, parts) if is_large else b"".join(parts)


def _status(outcome: Outcome, media_type: str) -> int:
    """Return the status: GraphQL over HTTP, section "Response"; 401, 429 and 503 if no field has data."""
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


async def _make_conditional(scope: Scope, response: Response, body: bytes, in_thread: InThread) -> None:
    """Let the client cache the response, but revalidate it (RFC 9111, section 5.2.2.4; RFC 9110, section 13.1.2)."""
    tag = await in_thread(entity_tag, body) if len(body) >= LARGE_BYTES else entity_tag(body)
    response.headers["Cache-Control"] = "private, no-cache"
    make_conditional(scope, response, tag)


async def _send_once(response: OutcomeResponse | RenderedResponse, send: Send) -> None:
    """Send ``response`` and drop its body, so that only the compressed copy stays in memory for a slow client."""
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    message = {"type": "http.response.body", "body": response.body}
    response.body = b""
    await send(message)


class OutcomeResponse(Response):
    """The response to an operation on the ordinary path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _send_once(self, send)


@lru_cache(maxsize=256)
def _content_type(accept: str) -> bytes:
    return f"{response_type(accept)}; charset=utf-8".encode()


class RenderedResponse:
    """The response to an operation whose rendering was stored: complete data without errors and warnings.

    It needs a tenth of the time of Starlette's Response, which would take most of the time of this path.
    """

    status_code = 200

    def __init__(self, scope: Scope, body: bytes, *, age_seconds: int) -> None:
        self.body: bytes | memoryview = body
        self.raw_headers = [
            (b"content-type", _content_type(list_header(scope, b"accept"))),
            (b"content-length", b"%d" % len(body)),
            (b"x-cache", b"hit"),
            (b"age", b"%d" % age_seconds),
            (b"cache-control", b"no-store"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _send_once(self, send)


def refusal(scope: Scope, error: GatewayError, correlation_id: str) -> Response:
    """Return the response to a request that ran no operation."""
    media_type = response_type(list_header(scope, b"accept"))
    headers = _error_headers(error, scope["method"])
    response = error_response(error, correlation_id, media_type=media_type, headers=headers)
    if isinstance(error, BatchRefused):
        # Apollo Client's BatchHttpLink shows errors only in a list with one result for each operation.
        response.body = b"[" + b",".join([bytes(response.body)] * error.operations) + b"]"
        response.headers["Content-Length"] = str(len(response.body))
    if isinstance(error, DocumentRefused | BatchRefused) and media_type != GRAPHQL_JSON:
        # Well-formed, but not executed: GraphQL over HTTP, section "application/json".
        response.status_code = 200
    return response


def _error_headers(error: GatewayError, method: str) -> dict[str, str]:
    """Return the headers that RFC 9110 wants with 405 (section 15.5.6), 408 (15.5.9) and 415 (15.5.16)."""
    if isinstance(error, EncodedBody):
        # Closed, because a body that nobody reads may be large.
        return {"Accept-Encoding": "identity", "Connection": "close"}
    status = error.status if isinstance(error, BadRequest) else None
    if status == 405:
        # A rejected GET request named a mutation or subscription, which POST may send.
        return {"Allow": "OPTIONS, POST" if method in ("GET", "HEAD") else "GET, HEAD, OPTIONS, POST"}
    return {"Connection": "close"} if status == 408 else {}
