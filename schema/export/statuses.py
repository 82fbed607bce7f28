"""The HTTP status of each error of an export."""

from __future__ import annotations

from collections.abc import Mapping

from gateway import errors
from gateway.errors import GatewayError

# These responses are not GraphQL, so the status shows the kind of error (RFC 9110, section 15).
STATUSES: Mapping[type[GatewayError], int] = {
    errors.BadUserInput: 400,
    errors.QueryTooComplex: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.OperationNotTrusted: 403,
    errors.SnapshotChanged: 409,
    errors.RateLimited: 429,
    errors.InternalServerError: 500,
    errors.UpstreamUnavailable: 502,
    errors.UpstreamRejected: 502,
    errors.UpstreamBadResponse: 502,
    errors.ServiceUnavailable: 503,
    errors.UpstreamTimeout: 504,
    errors.DeadlineExceeded: 504,
}
