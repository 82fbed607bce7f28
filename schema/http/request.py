"""Read a GraphQL request: parameters from URL or body, and the token. GraphQL over HTTP, section "Request"."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope

from gateway.access_token import AccessToken
from gateway.errors import BadRequest, BatchRefused, EncodedBody, Unauthenticated
from gateway.http.content_negotiation import JSON
from gateway.http.request_headers import list_header, named_headers
from schema.http.request_bodies import RequestBodies, read_body

# A language tag with up to three subtags (RFC 5646), as in the Microsoft page's "en-US".
_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")

# Precedes an id that is the SHA-256 of a document's text in lower-case hex (appendix "Persisted Documents").
SHA256 = "sha256:"


NO_VARIABLES = msgspec.Raw(b"null")


class Parameters(msgspec.Struct):
    """GraphQL over HTTP, section "Request parameters"."""

    query: str | None = None
    operationName: str | None = None  # noqa: N815  # the specification's name
    # JSON text, because it is part of a plan's key. It is parsed only for an operation without a plan.
    variables: msgspec.Raw = NO_VARIABLES
    extensions: dict[str, Any] | None = None
    # An id in place of the document: the specification's appendix "Persisted Documents", and two names that Relay's
    # network layers commonly use.
    documentId: str | None = None  # noqa: N815  # the specification's name
    doc_id: Any = None
    id: Any = None

    @property
    def wants_cost(self) -> bool:
        """True if the response's ``extensions`` shall show what the operation cost."""
        return self.extensions is not None and self.extensions.get("cost") is True

    def release(self) -> None:
        """Drop what only ``document_id`` and ``wants_cost`` need, and the request's body, to which variables refer."""
        self.extensions = self.doc_id = self.id = None
        self.variables = self.variables.copy()

    def document_id(self) -> str | None:
        """Return the id of the document, such as ``sha256:…``, or None. Raises BadRequest."""
        if self.documentId is not None:
            return self.documentId
        persisted = None if self.extensions is None else self.extensions.get("persistedQuery")
        if persisted is not None:
            return SHA256 + _apollo_hash(persisted)
        # Clients that send a query may use these names for other things.
        other_id = None if self.query else self.doc_id or self.id
        return other_id if other_id and isinstance(other_id, str) else None


class _BatchMember(msgspec.Struct):
    """A member that shows that an element of a list is an operation."""

    query: str | None = None
    documentId: str | None = None  # noqa: N815  # the specification's name
    extensions: dict[str, Any] | None = None


async def read_parameters(
    scope: Scope, receive: Receive, bodies: RequestBodies, *, max_bytes: int, timeout_seconds: float
) -> Parameters:
    """Read the parameters of a GET, HEAD or POST request; a body counts in ``bodies`` while it arrives.

    Raises BadRequest, PayloadTooLarge, ServiceUnavailable and ClientDisconnect.
    """
    if scope["method"] != "POST":
        return _from_url(QueryParams(scope["query_string"]))
    _check_content_type(header(scope, b"content-type"))
    _check_content_encoding(list_header(scope, b"content-encoding"))
    return _decoded(await read_body(scope, receive, bodies, max_bytes=max_bytes, timeout_seconds=timeout_seconds))


def header(scope: Scope, name: bytes) -> str:
    """Return the first header with that lower-case name; empty if it is missing."""
    return named_headers(scope).get(name, b"").decode("latin-1")


def take_variables(parameters: Parameters, uses: Mapping[str, int]) -> tuple[dict[str, Any] | None, int]:
    """Return the variables among ``uses`` as values, with the size of their JSON, and drop the text of all variables.

    The specification says that others are ignored. Raises BadRequest unless the variables are an object or null.
    """
    encoded, parameters.variables = parameters.variables, NO_VARIABLES
    try:
        variables: dict[str, Any] | None = _VARIABLES.decode(encoded)
    except (ValueError, RecursionError):
        if bytes(encoded).startswith(b'"'):
            raise BadRequest(
                "'variables' is text that contains JSON. Send the JSON object itself, without quotes around it."
            ) from None
        raise BadRequest(
            "'variables' cannot be read. Send a JSON object in UTF-8 whose numbers are of usual size."
        ) from None
    if variables is None or variables.keys() <= uses.keys():
        return variables, len(encoded)
    sizes = {name: len(value) for name, value in _MEMBERS.decode(encoded).items()}
    used = {name: value for name, value in variables.items() if name in uses}
    return used, sum(sizes[name] for name in used)


def locale_of(scope: Scope) -> str | None:
    """Return the client's X-Locale if it is a language tag, otherwise None."""
    locale = header(scope, b"x-locale")
    return locale if locale and _LOCALE.fullmatch(locale) else None


def access_token(scope: Scope) -> AccessToken:
    """Return the bearer token; the scheme is case-insensitive (RFC 9110, section 11.1).

    Raises Unauthenticated unless the request has exactly one well-formed token.
    """
    headers = named_headers(scope)
    credentials = headers.get(b"authorization")
    if credentials is None:
        raise Unauthenticated("This query needs a token. Send 'Authorization: Bearer <access token>'.")
    scheme, _, secret = credentials.decode("latin-1").partition(" ")
    is_repeated = (
        len(headers) != len(scope["headers"]) and [name for name, _ in scope["headers"]].count(b"authorization") > 1
    )
    if scheme.lower() != "bearer" or is_repeated:
        raise Unauthenticated("Send exactly one Authorization header, 'Bearer <access token>'.")
    return AccessToken(secret.strip(" "))


def _from_url(url: QueryParams) -> Parameters:
    parameters = Parameters(
        query=url.get("query"),
        operationName=url.get("operationName") or None,
        variables=msgspec.Raw(_object_text(url.get("variables"), "variables")),
        extensions=_VARIABLES.decode(_object_text(url.get("extensions"), "extensions")),
        documentId=url.get("documentId") or None,
        doc_id=url.get("doc_id"),
        id=url.get("id"),
    )
    if not parameters.query and parameters.document_id() is None:
        raise BadRequest("Send a GraphQL query in the parameter 'query', or POST it as JSON.")
    return parameters


def _apollo_hash(persisted: Any) -> str:
    """Return the hash in Apollo's extension ``persistedQuery``. Raises BadRequest if the extension is malformed."""
    version, sha256 = (persisted.get("version"), persisted.get("sha256Hash")) if isinstance(persisted, dict) else (0, 0)
    # In Python, JSON's true equals 1.
    if version != 1 or version is True or not isinstance(sha256, str):
        raise BadRequest(
            'The extension \'persistedQuery\' cannot be read. Send {"version": 1, "sha256Hash": "<64 hex digits>"};'
            " there is no other version."
        )
    return sha256


def _object_text(text: str | None, name: str) -> bytes:
    encoded = (text or "null").encode("utf-8", "surrogatepass")
    try:
        _VARIABLES.decode(encoded)
    except (ValueError, RecursionError):
        raise BadRequest(f"The parameter '{name}' is not a JSON object. Send one, or leave it out.") from None
    return encoded


def _check_content_type(content_type: str) -> None:
    if content_type == JSON:
        return
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")]
    if kind != JSON or any(charset not in ("utf-8", "utf8") for charset in charsets):
        raise BadRequest("Send the operation as 'Content-Type: application/json' in UTF-8.", status=415)


def _check_content_encoding(codings: str) -> None:
    if any(coding.strip().lower() not in ("identity", "") for coding in codings.split(",")):
        raise EncodedBody


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("the number is too large")
    return value


# msgspec itself needs up to a hundred times longer for numbers such as 1.5e300 (measured: 12 microseconds each).
_PARAMETERS = msgspec.json.Decoder(Parameters, float_hook=_finite)
_VARIABLES = msgspec.json.Decoder(dict[str, Any] | None, float_hook=_finite)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BATCH = msgspec.json.Decoder(list[_BatchMember])

# Apollo Client's BatchHttpLink sends at most ten. A longer list gets one error, which bounds the response.
MAX_BATCH = 100

_BATCHES = "Batches are not supported. Send one operation in one JSON object."


def _decoded(body: bytes) -> Parameters:
    # JSON forbids a byte order mark, but editors and PowerShell write it, and it is harmless.
    text = body.removeprefix(b"\xef\xbb\xbf")
    try:
        parameters = _PARAMETERS.decode(text)
    except (ValueError, RecursionError) as error:
        if operations := _batch_size(text):
            raise BatchRefused(_BATCHES, operations=operations) from None
        raise BadRequest(_explained(text, error)) from None
    # Some clients send an empty name instead of none.
    parameters.operationName = parameters.operationName or None
    if not parameters.query and parameters.document_id() is None:
        raise BadRequest('The body has no \'query\'. Send {"query": "...", "variables": {...}}.')
    return parameters


def _batch_size(text: bytes) -> int:
    """Return the number of operations in a batch; 0 if the body is something else or a batch is too long to answer."""
    try:
        members = _BATCH.decode(text)
    except (ValueError, RecursionError):
        return 0
    is_batch = all(member.query or member.documentId or member.extensions for member in members)
    return len(members) if is_batch and len(members) <= MAX_BATCH else 0


def _explained(text: bytes, error: Exception) -> str:
    if text.lstrip()[:1] == b"[":
        return _BATCHES
    member = re.search(r"at `\$\.(query|operationName|variables|extensions|documentId)`", str(error))
    if member:
        kind = "text" if member.group(1) in ("query", "operationName", "documentId") else "an object"
        return f"'{member.group(1)}' is not {kind}. Send {kind}, or leave it out."
    is_malformed = isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError)
    if is_malformed or isinstance(error, UnicodeDecodeError):
        # Lone surrogates get this message, too: JSON parsers disagree about them, as about the numbers in the next
        # message.
        return (
            'The body is not valid JSON in UTF-8. Send {"query": "...", "variables": {...}}; a line break inside a'
            " string is written \\n."
        )
    return 'The body is not a JSON object with usual numbers. Send {"query": "...", "variables": {...}}.'
