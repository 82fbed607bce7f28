"""GraphQL over HTTP: from a request to an operation, and from its outcome to status, headers and bytes."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.errors import (
    BadRequest,
    GatewayError,
    PayloadTooLarge,
    RateLimited,
    ServiceUnavailable,
    Unauthenticated,
)
from gateway.http_errors import error_response, status_headers
from gateway.page import AccessToken, Budget, Caller, PageSource
from schema.accept import GRAPHQL_JSON, JSON, prefers_html, reply_type
from schema.blocks import BlockSizes
from schema.context import Limits, OperationContext
from schema.execution import OperationRequest, Operations, Outcome

# A language tag with up to three subtags (RFC 5646), as in the Microsoft page's "en-US".
_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")

# Time for a request body to arrive (our choice; a megabyte takes less on the slowest link worth serving).
BODY_TIMEOUT_SECONDS = 20.0

# A name is the caller's own text, as long as the document may be (our choice).
MAX_LOGGED_NAME_CHARACTERS = 100

_VARY = "Authorization, X-Locale, Accept, Accept-Encoding, Origin"


class _Parameters(msgspec.Struct):
    """GraphQL over HTTP, "Request parameters"."""

    query: str | None = None
    operationName: str | None = None  # noqa: N815  # the specification's name
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class GraphQLView:
    """The ASGI endpoint of ``/graphql``. ``page`` makes GraphiQL's page, or is None when it is switched off."""

    operations: Operations
    source: PageSource
    sizes: BlockSizes
    limits: Limits
    max_request_bytes: int
    page: Callable[[], Response] | None = None
    body_timeout_seconds: float = BODY_TIMEOUT_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every error becomes a reply in GraphQL form."""
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            return
        except GatewayError as error:
            headers = _error_headers(error, request.method)
            media_type = reply_type(request.headers.get("accept"))
            response = error_response(error, _correlation_id(scope), media_type=media_type, headers=headers)
        response.headers["Vary"] = _VARY
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if request.method not in ("GET", "POST"):
            raise BadRequest("Use GET or POST.", status=405)
        accept = request.headers.get("accept")
        if request.method == "GET" and self.page is not None and prefers_html(accept):
            return self.page()
        parameters = await self._parameters(request)
        context = self._context(request)
        operation = OperationRequest(
            parameters.query or "", parameters.operationName, parameters.variables, may_mutate=request.method == "POST"
        )
        outcome = await _unless_disconnected(request, self.operations.run(operation, context))
        _note_facts(request, context, outcome)
        return _reply(request, context, outcome)

    async def _parameters(self, request: Request) -> _Parameters:
        if request.method == "GET":
            return _from_url(request)
        _check_content_type(request.headers.get("content-type", ""))
        return _decoded(await self._body(request))

    async def _body(self, request: Request) -> bytes:
        announced = request.headers.get("content-length", "")
        too_large = PayloadTooLarge(f"The request body is over {self.max_request_bytes} bytes. Send less at once.")
        if announced.isdecimal() and int(announced) > self.max_request_bytes:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self.body_timeout_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self.max_request_bytes:
                        raise too_large
        except TimeoutError:
            raise BadRequest("The request body did not arrive in time.", status=408) from None
        return bytes(body)

    def _context(self, request: Request) -> OperationContext:
        budget = Budget(self.limits.max_upstream_calls)
        deadline = asyncio.get_running_loop().time() + self.limits.operation_timeout_seconds
        correlation_id = _correlation_id(request.scope)
        locale = request.headers.get("x-locale", "")

        def caller() -> Caller:
            return Caller(
                token=access_token(request.headers.getlist("authorization")),
                locale=locale if _LOCALE.fullmatch(locale) else None,
                correlation_id=correlation_id,
                deadline=deadline,
                budget=budget,
            )

        return OperationContext(self.source, self.sizes, self.limits, correlation_id, caller)


def access_token(headers: list[str]) -> AccessToken:
    """The bearer token of the Authorization headers; the scheme's case does not matter (RFC 9110, section 11.1).

    Raises Unauthenticated unless there is exactly one, well-formed.
    """
    if not headers:
        raise Unauthenticated("This field needs a token. Send 'Authorization: Bearer <access token>'.")
    scheme, _, secret = headers[0].partition(" ")
    if len(headers) > 1 or scheme.lower() != "bearer":
        raise Unauthenticated("Send exactly one Authorization header, 'Bearer <access token>'.")
    return AccessToken(secret.strip(" "))


def _error_headers(error: GatewayError, method: str) -> dict[str, str]:
    """What RFC 9110 wants beside 405 (section 15.5.6) and 408 (section 15.5.9)."""
    status = error.status if isinstance(error, BadRequest) else None
    if status == 405:
        # A refused GET held something else than a query, which POST may send.
        return {"Allow": "POST" if method == "GET" else "GET, POST"}
    return {"Connection": "close"} if status == 408 else {}


def _correlation_id(scope: Scope) -> str:
    return str(scope.get("state", {}).get("correlation_id", ""))


def _from_url(request: Request) -> _Parameters:
    found = request.query_params
    if not found.get("query"):
        raise BadRequest("Send a GraphQL query in the parameter 'query', or POST it as JSON.")
    return _Parameters(
        query=found["query"],
        operationName=found.get("operationName") or None,
        variables=_object(found.get("variables"), "variables"),
        extensions=_object(found.get("extensions"), "extensions"),
    )


def _object(text: str | None, name: str) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(text.encode(), type=dict[str, Any] | None) if text else None
    except (ValueError, RecursionError):
        raise BadRequest(f"The parameter '{name}' is not a JSON object.") from None


def _check_content_type(content_type: str) -> None:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")]
    if kind != JSON or any(charset not in ("utf-8", "utf8") for charset in charsets):
        raise BadRequest("Send the operation as 'Content-Type: application/json' in UTF-8.", status=415)


def _decoded(body: bytes) -> _Parameters:
    # A byte order mark is no JSON, but harmless; editors and PowerShell write it.
    text = body.removeprefix(b"\xef\xbb\xbf")
    try:
        parameters = msgspec.json.decode(text, type=_Parameters)
    except (ValueError, RecursionError) as error:
        raise BadRequest(_explained(text, error)) from None
    if not parameters.query:
        raise BadRequest('The body has no \'query\'. Send {"query": "...", "variables": {...}}.')
    return parameters


def _explained(text: bytes, error: Exception) -> str:
    if text.lstrip()[:1] == b"[":
        return "Batches are not supported. Send one operation in one JSON object."
    member = re.search(r"at `\$\.(query|operationName|variables|extensions)`", str(error))
    if member:
        wanted = "text" if member.group(1) in ("query", "operationName") else "an object"
        return f"'{member.group(1)}' is not {wanted}."
    # Half a surrogate pair and numbers beyond 64 bits end here, too: JSON readers differ in what they make of them.
    return 'The body is not a JSON object in UTF-8 with usual numbers. Send {"query": "...", "variables": {...}}.'


async def _unless_disconnected(request: Request, work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run ``work``, but cancel it as soon as the client is gone: nobody is left to read the answer."""
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        watcher.cancel()
        task.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _note_facts(request: Request, context: OperationContext, outcome: Outcome) -> None:
    """Leave what the request's log line and metrics tell of the operation."""
    request.scope.setdefault("state", {})["facts"] = {
        "operation": outcome.operation_name and outcome.operation_name[:MAX_LOGGED_NAME_CHARACTERS],
        "outcome": outcome.causes[0].code if outcome.causes else "ok",
        "cache": context.cache_state,
        "rows": context.rows,
        "upstream_calls": context.upstream_calls,
    }


def _reply(request: Request, context: OperationContext, outcome: Outcome) -> Response:
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
