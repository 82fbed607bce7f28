"""Reads a GraphQL request: parameters from URL or body, and the token. GraphQL over HTTP, section "Request"."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
from starlette.requests import Request

from gateway.errors import BadRequest, PayloadTooLarge, Unauthenticated
from gateway.page import AccessToken
from schema.accept import JSON

# A language tag with up to three subtags (RFC 5646), as in the Microsoft page's "en-US".
_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


class Parameters(msgspec.Struct):
    """GraphQL over HTTP, section "Request parameters"."""

    query: str | None = None
    operationName: str | None = None  # noqa: N815  # the specification's name
    # As text, for it is part of what names a plan; read only where there is none.
    variables: msgspec.Raw = msgspec.Raw(b"null")
    extensions: dict[str, Any] | None = None


async def read_parameters(request: Request, *, max_bytes: int, timeout_seconds: float) -> Parameters:
    """The parameters of a GET or POST request. Raises BadRequest and PayloadTooLarge."""
    if request.method == "GET":
        return _from_url(request)
    _check_content_type(request.headers.get("content-type", ""))
    return _decoded(await _body(request, max_bytes, timeout_seconds))


def variables_of(parameters: Parameters) -> dict[str, Any] | None:
    """The variables as values. Raises BadRequest unless they are an object or null."""
    try:
        return msgspec.json.decode(parameters.variables, type=dict[str, Any] | None)
    except (ValueError, RecursionError):
        raise BadRequest("'variables' is not an object of usual values.") from None


def locale_of(request: Request) -> str | None:
    """The client's X-Locale, if it is a plausible one."""
    given = request.headers.get("x-locale", "")
    return given if _LOCALE.fullmatch(given) else None


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


async def _body(request: Request, max_bytes: int, timeout_seconds: float) -> bytes:
    announced = request.headers.get("content-length", "")
    too_large = PayloadTooLarge(f"The request body is over {max_bytes} bytes. Send less at once.")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise too_large
    except TimeoutError:
        raise BadRequest("The request body did not arrive in time.", status=408) from None
    return bytes(body)


def _from_url(request: Request) -> Parameters:
    found = request.query_params
    if not found.get("query"):
        raise BadRequest("Send a GraphQL query in the parameter 'query', or POST it as JSON.")
    _object_text(found.get("extensions"), "extensions")
    return Parameters(
        query=found["query"],
        operationName=found.get("operationName") or None,
        variables=msgspec.Raw(_object_text(found.get("variables"), "variables")),
    )


def _object_text(text: str | None, name: str) -> bytes:
    encoded = (text or "null").encode("utf-8", "surrogatepass")
    try:
        msgspec.json.decode(encoded, type=dict[str, Any] | None)
    except (ValueError, RecursionError):
        raise BadRequest(f"The parameter '{name}' is not a JSON object.") from None
    return encoded


def _check_content_type(content_type: str) -> None:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")]
    if kind != JSON or any(charset not in ("utf-8", "utf8") for charset in charsets):
        raise BadRequest("Send the operation as 'Content-Type: application/json' in UTF-8.", status=415)


def _decoded(body: bytes) -> Parameters:
    # A byte order mark is no JSON, but harmless; editors and PowerShell write it.
    text = body.removeprefix(b"\xef\xbb\xbf")
    try:
        parameters = msgspec.json.decode(text, type=Parameters)
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
