"""From whatever went wrong to a GraphQL error with a code; what nobody foresaw is masked and logged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import structlog
from graphql import GraphQLError

from gateway.errors import BadUserInput, GatewayError, InternalServerError, ParseFailed, ValidationFailed

log = structlog.get_logger("schema")

# Enough to mend a document by; a flood of errors must not become a flood of output (our choice).
MAX_ERRORS, MAX_MESSAGE_CHARACTERS = 20, 500

_VARIABLE = re.compile(r"\$([_A-Za-z][_0-9A-Za-z]*)")


def parse_failed(error: GraphQLError) -> list[GraphQLError]:
    """A syntax error as ParseFailed."""
    return [_located(error, ParseFailed(_clipped(error.message)))]


def validation_failed(errors: Sequence[GraphQLError]) -> list[GraphQLError]:
    """Validation errors as ValidationFailed."""
    return [_located(error, ValidationFailed(_clipped(error.message))) for error in errors[:MAX_ERRORS]]


def coercion_failed(errors: Sequence[GraphQLError]) -> list[GraphQLError]:
    """Variables that do not fit their types, as BadUserInput naming the variable."""
    found = []
    for error in errors[:MAX_ERRORS]:
        variable = _VARIABLE.search(error.message)
        cause = BadUserInput(_clipped(error.message), argument=variable.group(1) if variable else "variables")
        found.append(_located(error, cause))
    return found


def gateway_error(error: GraphQLError, correlation_id: str) -> GatewayError:
    """The coded error behind ``error``; what has none is logged in full and becomes InternalServerError."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if isinstance(cause, GatewayError):
        return cause
    log.error("unforeseen error", correlation_id=correlation_id, exc_info=cause or error)
    return InternalServerError()


def formatted(error: GraphQLError, cause: GatewayError, correlation_id: str) -> dict[str, Any]:
    """``error`` as a member of ``errors`` (GraphQL specification, section 7.1.2)."""
    found: dict[str, Any] = {"message": cause.message}
    if error.locations:
        found["locations"] = [location.formatted for location in error.locations]
    if error.path is not None:
        found["path"] = list(error.path)
    found["extensions"] = {**cause.extensions(), "correlationId": correlation_id}
    return found


def _located(error: GraphQLError, cause: GatewayError) -> GraphQLError:
    return GraphQLError(
        cause.message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        original_error=cause,
    )


def _clipped(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE_CHARACTERS else message[: MAX_MESSAGE_CHARACTERS - 1] + "…"
