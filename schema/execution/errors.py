"""Convert failures to GraphQL errors with a code; mask and log unexpected exceptions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from graphql import GraphQLError

from gateway.errors import BadUserInput, GatewayError, InternalServerError, ParseFailed, ValidationFailed
from gateway.observability.logging import log_unforeseen

# Enough to correct a document. More errors or longer messages would only make the response large (our choice).
MAX_ERRORS, MAX_MESSAGE_CHARACTERS = 20, 500

# graphql-core locates every field of a conflict. The first ones suffice to correct the document (our choice).
MAX_LOCATIONS = 10

_VARIABLE = re.compile(r"\$([_A-Za-z][_0-9A-Za-z]*)")

# The start of graphql-core's message about a variable whose value does not fit the argument it is used in.
_ARGUMENT = re.compile(r"Argument '([_A-Za-z][_0-9A-Za-z]*)' ")

# graphql-core's messages have these words before the text of an exception that a scalar raised.
_QUOTED_ERROR = ", but encountered error "


# Adds advice to a message of graphql-core; ``str`` leaves it unchanged.
Advise = Callable[[str], str]


def parse_failed(error: GraphQLError) -> list[GraphQLError]:
    return [_located(error, ParseFailed(_clipped(error.message)))]


def validation_failed(errors: Sequence[GraphQLError], advise: Advise = str) -> list[GraphQLError]:
    return [_located(error, ValidationFailed(_public_message(error, advise))) for error in errors[:MAX_ERRORS]]


def coercion_failed(errors: Sequence[GraphQLError], advise: Advise = str) -> list[GraphQLError]:
    """Convert errors about variables to BadUserInput that names the variable."""
    located = []
    for error in errors[:MAX_ERRORS]:
        variable = _VARIABLE.search(error.message)
        cause = BadUserInput(_public_message(error, advise), argument=variable.group(1) if variable else "variables")
        located.append(_located(error, cause))
    return located


def graphql_error(cause: GatewayError) -> GraphQLError:
    """Return ``cause`` as an error of the whole operation."""
    return GraphQLError(cause.message, original_error=cause)


def gateway_error(error: GraphQLError, correlation_id: str) -> GatewayError:
    """Return the coded error behind ``error``; log any other exception and return InternalServerError.

    The log entry omits the document, which holds filters and customers' names.
    """
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if isinstance(cause, GatewayError):
        return cause
    argument = _ARGUMENT.match(error.message)
    if cause is None and argument:
        return BadUserInput(_public_message(error), argument=argument.group(1))
    unexpected = cause or GraphQLError(error.message).with_traceback(error.__traceback__)
    log_unforeseen(unexpected, correlation_id)
    return InternalServerError()


def formatted(error: GraphQLError, cause: GatewayError, correlation_id: str) -> dict[str, Any]:
    """Return ``error`` as a member of ``errors`` (GraphQL specification, section 7.1.2)."""
    member: dict[str, Any] = {"message": cause.message}
    if error.locations:
        member["locations"] = [location.formatted for location in error.locations[:MAX_LOCATIONS]]
    if error.path is not None:
        member["path"] = list(error.path)
    member["extensions"] = {**cause.extensions(), "correlationId": correlation_id}
    return member


def _located(error: GraphQLError, cause: GatewayError) -> GraphQLError:
    """Return ``cause`` at the place of ``error``. Finding the place again would scan the whole document."""
    located = GraphQLError(cause.message, path=error.path, original_error=cause)
    located.locations = error.locations
    return located


def _public_message(error: GraphQLError, advise: Advise = str) -> str:
    """Return the message without the text of foreign exceptions; the schema's own scalars raise TypeError."""
    foreign = error.original_error is not None and not isinstance(error.original_error, TypeError | GraphQLError)
    return _clipped(f"{error.message.partition(_QUOTED_ERROR)[0]}." if foreign else advise(error.message))


def _clipped(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE_CHARACTERS else message[: MAX_MESSAGE_CHARACTERS - 1] + "…"
