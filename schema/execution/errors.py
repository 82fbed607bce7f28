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

# A conflict between fields names each of them; the first ones lead to the others (our choice).
MAX_LOCATIONS = 10

_VARIABLE = re.compile(r"\$([_A-Za-z][_0-9A-Za-z]*)")

# How graphql-core begins the message when a variable's value turns out not to fit the argument that it is used in.
_ARGUMENT = re.compile(r"Argument '([_A-Za-z][_0-9A-Za-z]*)' ")

# How graphql-core quotes what a scalar's own code raised.
_QUOTED_ERROR = ", but encountered error "


def parse_failed(error: GraphQLError) -> list[GraphQLError]:
    """A syntax error as ParseFailed."""
    return [_located(error, ParseFailed(_clipped(error.message)))]


def validation_failed(errors: Sequence[GraphQLError]) -> list[GraphQLError]:
    """Validation errors as ValidationFailed."""
    return [_located(error, ValidationFailed(_told(error))) for error in errors[:MAX_ERRORS]]


def coercion_failed(errors: Sequence[GraphQLError]) -> list[GraphQLError]:
    """Variables that do not fit their types, as BadUserInput naming the variable."""
    found = []
    for error in errors[:MAX_ERRORS]:
        variable = _VARIABLE.search(error.message)
        cause = BadUserInput(_told(error), argument=variable.group(1) if variable else "variables")
        found.append(_located(error, cause))
    return found


def gateway_error(error: GraphQLError, correlation_id: str) -> GatewayError:
    """The coded error behind ``error``; what has none is logged in full and becomes InternalServerError.

    "In full" leaves out the document, which holds filters and customers' names.
    """
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if isinstance(cause, GatewayError):
        return cause
    argument = _ARGUMENT.match(error.message)
    if cause is None and argument:
        return BadUserInput(_told(error), argument=argument.group(1))
    unforeseen = cause or GraphQLError(error.message).with_traceback(error.__traceback__)
    log.error("unforeseen error", correlation_id=correlation_id, exc_info=unforeseen)
    return InternalServerError()


def formatted(error: GraphQLError, cause: GatewayError, correlation_id: str) -> dict[str, Any]:
    """``error`` as a member of ``errors`` (GraphQL specification, section 7.1.2)."""
    found: dict[str, Any] = {"message": cause.message}
    if error.locations:
        found["locations"] = [location.formatted for location in error.locations[:MAX_LOCATIONS]]
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


def _told(error: GraphQLError) -> str:
    """The message without what Python says; a TypeError is how the schema's own scalars speak."""
    foreign = error.original_error is not None and not isinstance(error.original_error, TypeError | GraphQLError)
    return _clipped(f"{error.message.partition(_QUOTED_ERROR)[0]}." if foreign else error.message)


def _clipped(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE_CHARACTERS else message[: MAX_MESSAGE_CHARACTERS - 1] + "…"
