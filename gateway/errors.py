"""All coded errors in one tree; the base class names the responsible party.

GatewayError
├── CallerError              the caller must change something
│   ├── BadRequest           malformed HTTP or body
│   │   └── BatchRefused     several operations in one request
│   ├── ParseFailed          the document is not GraphQL
│   ├── ValidationFailed     the document does not fit the schema
│   ├── BadUserInput         an argument or a variable cannot be used
│   ├── InvalidCursor        a cursor of another query, or malformed
│   ├── SnapshotChanged      the data was reprocessed since the cursor was issued
│   ├── QueryTooComplex      the operation exceeds a limit
│   ├── PayloadTooLarge      the request body or the response exceeds a limit
│   ├── DocumentRefused      the document may not run
│   │   ├── PersistedQueryNotFound  its id is unknown
│   │   └── OperationNotTrusted     it is not in the manifest
│   ├── Unauthenticated      no usable token, or the upstream refused it
│   └── Forbidden            the upstream refused access with this token
├── UpstreamError            the upstream must recover, or an operator must act
│   ├── RateLimited          wait; the error says how long
│   ├── UpstreamTimeout      no upstream response in time
│   ├── UpstreamUnavailable  5xx, or no connection
│   ├── UpstreamRejected     another 4xx
│   └── UpstreamBadResponse  a malformed upstream response
└── GatewayFault             the gateway itself must recover
    ├── DeadlineExceeded     time ran out outside an upstream call
    ├── ServiceUnavailable   shutting down, or connections, response buffer or rows exhausted
    └── InternalServerError  a bug

A message says what is wrong and what to do. It never contains a URL, a token, a library's name or upstream text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class UpstreamErrorFacts:
    """Facts about the upstream's error that callers may see: status, code, and request id to quote to Microsoft."""

    status: int | None = None
    code: int | str | None = None
    request_id: str | None = None

    def as_extension(self) -> dict[str, Any]:
        """Return the known facts under their names in ``extensions``."""
        members = {"status": self.status, "code": self.code, "requestId": self.request_id}
        return {name: value for name, value in members.items() if value is not None}


class GatewayError(Exception):
    """Base of all coded errors. ``facts`` are further members of the error's ``extensions``."""

    code: ClassVar[str]
    # Status of an HTTP response that contains only this error; execution errors keep 200.
    http_status: ClassVar[int] = 200

    def __init__(self, message: str, *, upstream: UpstreamErrorFacts | None = None, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.upstream = upstream
        self.facts = facts

    def extensions(self) -> dict[str, Any]:
        """Return the error's ``extensions`` without the correlation id, which differs for each waiter."""
        extensions: dict[str, Any] = {"code": self.code, **self.facts}
        if self.upstream is not None:
            extensions["upstream"] = self.upstream.as_extension()
        return extensions


class CallerError(GatewayError):
    """The caller must change the request."""


class BadRequest(CallerError):
    """Malformed HTTP or body; ``status`` is one of 400, 403, 404, 405, 408, 415 and 431."""

    code = "BAD_REQUEST"
    http_status = 400

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class EncodedBody(BadRequest):
    """The request's body has a Content-Encoding, and the gateway decodes none."""

    def __init__(self) -> None:
        message = "The gateway does not decompress request bodies. Send the body without Content-Encoding."
        super().__init__(message, status=415)


class BatchRefused(BadRequest):
    """Several operations in one request; each of them gets this error."""

    def __init__(self, message: str, *, operations: int) -> None:
        super().__init__(message)
        self.operations = operations


class ParseFailed(CallerError):
    """The document is not GraphQL."""

    code = "GRAPHQL_PARSE_FAILED"


class ValidationFailed(CallerError):
    """The document does not fit the schema."""

    code = "GRAPHQL_VALIDATION_FAILED"


class BadUserInput(CallerError):
    """An argument or variable cannot be used; ``argument`` names it by its path, such as ``filter.or.channel``."""

    code = "BAD_USER_INPUT"

    def __init__(self, message: str, *, argument: str) -> None:
        super().__init__(message, argument=argument)


class InvalidCursor(CallerError):
    """The cursor belongs to another query or version, or is malformed."""

    code = "INVALID_CURSOR"


class SnapshotChanged(CallerError):
    """The data was reprocessed since the cursor was issued; the caller must start again."""

    code = "SNAPSHOT_CHANGED"


class QueryTooComplex(CallerError):
    """The operation exceeds a limit."""

    code = "QUERY_TOO_COMPLEX"


class PayloadTooLarge(CallerError):
    """The request body or the response exceeds the limit."""

    code = "PAYLOAD_TOO_LARGE"
    http_status = 413


class DocumentRefused(CallerError):
    """The document of the request may not run here."""

    http_status = 400


class PersistedQueryNotFound(DocumentRefused):
    """The document id is unknown; the caller must send id and text once."""

    code = "PERSISTED_QUERY_NOT_FOUND"

    def __init__(self, message: str = "PersistedQueryNotFound") -> None:
        # Apollo's protocol: urql compares the message verbatim; Apollo Client checks the message or the code.
        super().__init__(message)


class OperationNotTrusted(DocumentRefused):
    """Only trusted documents run here, and this is not one of them."""

    code = "OPERATION_NOT_TRUSTED"

    def __init__(self) -> None:
        super().__init__(
            "Only trusted operations run here, and this is not one of them. Send a trusted one verbatim or by its id,"
            " or add this one to the manifest in GATEWAY_TRUSTED_DOCUMENTS."
        )


class Unauthenticated(CallerError):
    """No usable bearer token, or the upstream answered 401."""

    code = "UNAUTHENTICATED"


class Forbidden(CallerError):
    """The upstream answered 403."""

    code = "FORBIDDEN"


class UpstreamError(GatewayError):
    """The upstream must recover, or an operator must act."""


class RateLimited(UpstreamError):
    """The upstream throttles this token, or too many exports of it run. Retry after ``retry_after_seconds``."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, *, retry_after_seconds: int, upstream: UpstreamErrorFacts | None = None) -> None:
        super().__init__(message, upstream=upstream, retryAfterSeconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


class UpstreamTimeout(UpstreamError):
    """Time ran out while waiting for an upstream response."""

    code = "UPSTREAM_TIMEOUT"


class UpstreamUnavailable(UpstreamError):
    """The upstream answered 5xx, or could not be reached."""

    code = "UPSTREAM_UNAVAILABLE"


class UpstreamRejected(UpstreamError):
    """The upstream answered with a redirect, or a 4xx other than 401, 403, 408 and 429."""

    code = "UPSTREAM_REJECTED"


class UpstreamBadResponse(UpstreamError):
    """The upstream response is unreadable, has an unexpected structure, or exceeds a limit."""

    code = "UPSTREAM_BAD_RESPONSE"


class GatewayFault(GatewayError):
    """The gateway itself must recover."""


class DeadlineExceeded(GatewayFault):
    """The operation's time ran out outside an upstream call."""

    code = "DEADLINE_EXCEEDED"


class ServiceUnavailable(GatewayFault):
    """The gateway is shutting down, or out of upstream connections, or of memory for requests, rows or responses.

    ``retry_after_seconds`` is None if the time to wait is unknown.
    """

    code = "SERVICE_UNAVAILABLE"
    http_status = 503

    def __init__(self, message: str, *, retry_after_seconds: int | None = None) -> None:
        facts: dict[str, Any] = {} if retry_after_seconds is None else {"retryAfterSeconds": retry_after_seconds}
        super().__init__(message, **facts)
        self.retry_after_seconds = retry_after_seconds


class InternalServerError(GatewayFault):
    """A bug in the gateway. The log has the details under the correlation id."""

    code = "INTERNAL_SERVER_ERROR"

    def __init__(self) -> None:
        super().__init__("The gateway failed unexpectedly. Report it with the correlation id.")
