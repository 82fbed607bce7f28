"""Everything that can go wrong, drawn once; the class says who must act.

GatewayError
├── CallerError              the caller must change something
│   ├── BadRequest           malformed HTTP or body
│   ├── ParseFailed          the document is not GraphQL
│   ├── ValidationFailed     the document does not fit the schema
│   ├── BadUserInput         an argument or a variable
│   ├── InvalidCursor        a cursor of another question, or garbage
│   ├── SnapshotChanged      the data was processed anew under a cursor
│   ├── QueryTooComplex      a limit of one operation
│   ├── PayloadTooLarge      a limit of one request body
│   ├── DocumentRefused      no document that may run
│   │   ├── PersistedQueryNotFound  its id is not known
│   │   └── OperationNotTrusted     it is not in the manifest
│   ├── Unauthenticated      no usable token, or the upstream refused it
│   └── Forbidden            the upstream refused what the token asks for
├── UpstreamError            the upstream must recover, or an operator must act
│   ├── RateLimited          wait, the error says how long
│   ├── UpstreamTimeout      no reply in time
│   ├── UpstreamUnavailable  5xx, or no connection
│   ├── UpstreamRejected     another 4xx
│   └── UpstreamBadResponse  a reply that cannot be read
└── GatewayFault             the gateway itself must recover
    ├── DeadlineExceeded     time ran out elsewhere than in an upstream call
    ├── ServiceUnavailable   shutting down, or connections exhausted
    └── InternalServerError  a bug

A message says what to do. It never holds a URL, a token, a library's name or an upstream's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class UpstreamReply:
    """What may be told of the upstream's own error: its status, its code and the id to quote to Microsoft."""

    status: int | None = None
    code: int | str | None = None
    request_id: str | None = None

    def as_extension(self) -> dict[str, Any]:
        """The members that are known, under the names clients see."""
        members = {"status": self.status, "code": self.code, "requestId": self.request_id}
        return {name: value for name, value in members.items() if value is not None}


class GatewayError(Exception):
    """Base of all coded errors. ``facts`` are further members of the error's ``extensions``."""

    code: ClassVar[str]
    # Status of a whole HTTP reply that consists of this error alone; execution errors keep 200.
    http_status: ClassVar[int] = 200

    def __init__(self, message: str, *, upstream: UpstreamReply | None = None, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.upstream = upstream
        self.facts: Mapping[str, Any] = facts

    def extensions(self) -> dict[str, Any]:
        """``extensions`` of the GraphQL error, without the correlation id, which belongs to each waiter."""
        found: dict[str, Any] = {"code": self.code, **self.facts}
        if self.upstream is not None:
            found["upstream"] = self.upstream.as_extension()
        return found


class CallerError(GatewayError):
    """The caller must change the request."""


class BadRequest(CallerError):
    """Malformed HTTP or body; ``status`` is one of 400, 403, 404, 405, 408 and 415."""

    code = "BAD_REQUEST"
    http_status = 400

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


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
    """The cursor was made for another question or version, or by nobody."""

    code = "INVALID_CURSOR"


class SnapshotChanged(CallerError):
    """The data was processed anew since the cursor was given; the caller starts again."""

    code = "SNAPSHOT_CHANGED"


class QueryTooComplex(CallerError):
    """One operation asks for more than the limits allow."""

    code = "QUERY_TOO_COMPLEX"


class PayloadTooLarge(CallerError):
    """The request body is over the limit."""

    code = "PAYLOAD_TOO_LARGE"
    http_status = 413


class DocumentRefused(CallerError):
    """The request names or holds no document that may run here."""

    http_status = 400


class PersistedQueryNotFound(DocumentRefused):
    """No document is known by the id; the caller sends the text beside it, and next time it is."""

    code = "PERSISTED_QUERY_NOT_FOUND"

    def __init__(self, message: str = "PersistedQueryNotFound") -> None:
        # Apollo's protocol: urql's exchange compares the message to the letter, Apollo's link this or the code.
        super().__init__(message)


class OperationNotTrusted(DocumentRefused):
    """Only trusted documents run here, and this is none of them."""

    code = "OPERATION_NOT_TRUSTED"

    def __init__(self) -> None:
        super().__init__(
            "Only trusted operations run here, and this is none of them. Send one to the letter or by its id, or have"
            " yours added to the manifest that GATEWAY_TRUSTED_DOCUMENTS names."
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
    """The upstream throttles this token, for ``retry_after_seconds`` more seconds."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, *, retry_after_seconds: int, upstream: UpstreamReply | None = None) -> None:
        super().__init__(message, upstream=upstream, retryAfterSeconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


class UpstreamTimeout(UpstreamError):
    """Time ran out while waiting for an upstream reply."""

    code = "UPSTREAM_TIMEOUT"


class UpstreamUnavailable(UpstreamError):
    """The upstream answered 5xx, or could not be reached."""

    code = "UPSTREAM_UNAVAILABLE"


class UpstreamRejected(UpstreamError):
    """The upstream answered a 4xx that is none of 401, 403, 408 and 429, or a redirect."""

    code = "UPSTREAM_REJECTED"


class UpstreamBadResponse(UpstreamError):
    """The upstream's reply is unreadable, of the wrong shape, endless or too large."""

    code = "UPSTREAM_BAD_RESPONSE"


class GatewayFault(GatewayError):
    """The gateway itself must recover."""


class DeadlineExceeded(GatewayFault):
    """The operation's time ran out elsewhere than in an upstream call."""

    code = "DEADLINE_EXCEEDED"


class ServiceUnavailable(GatewayFault):
    """The gateway is shutting down, or has no connection left."""

    code = "SERVICE_UNAVAILABLE"
    http_status = 503


class InternalServerError(GatewayFault):
    """A bug in the gateway. The log has the details under the correlation id."""

    code = "INTERNAL_SERVER_ERROR"

    def __init__(self) -> None:
        super().__init__("The gateway failed in an unforeseen way. Report it with the correlation id.")
