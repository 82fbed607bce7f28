"""Refusals of export arguments in plain words: graphql-core's messages name types of the schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import GraphQLError, GraphQLInputObjectType, GraphQLSchema

from gateway.errors import BadUserInput
from schema.execution.advice import advised
from schema.execution.errors import coercion_failed

_START = r"Variable '\$(?P<argument>\w+)' has invalid value(?: at \.?(?P<path>[.\w\[\]]+))?: "
_UNKNOWN_FIELD = re.compile(
    _START + r"Expected value of type '(?P<type>\w+)' not to include unknown field '(?P<field>\w+)'(?P<rest>.*)",
    re.DOTALL,
)
_NO_OBJECT = re.compile(_START + r"Expected value of type '\w+' to be an object")
_STEP = re.compile(r"\w+")

# Operators for the examples of conditions.
_OPERATORS = {"filter": "eq", "having": "gt"}

# Longer values are not repeated (our choice).
MAX_SHOWN = 40


def refused_arguments(
    errors: Sequence[GraphQLError], values: Mapping[str, Any], schema: GraphQLSchema, *, introspection: bool
) -> BadUserInput:
    """Return the first error about ``values``, naming the argument. Names of the schema need ``introspection``."""

    def advise(message: str) -> str:
        # None of the arguments is an Int, whose advice names the largest page.
        text = advised(message, schema, max_rows=0) if introspection else message
        return _unknown_field(text, schema if introspection else None) or _no_object(text, values) or text

    cause = coercion_failed(errors[:1], advise)[0].original_error
    assert isinstance(cause, BadUserInput)
    variable = str(cause.facts["argument"])
    return BadUserInput(cause.message.replace(f"Variable '${variable}'", f"'{variable}'"), argument=variable)


def _unknown_field(message: str, schema: GraphQLSchema | None) -> str | None:
    """Return the message about an unknown field with those that exist; ``schema`` is None if they must not be named."""
    match = _UNKNOWN_FIELD.match(message)
    if match is None:
        return None
    place = f" at {match['path']}" if match["path"] else ""
    text = f"'{match['argument']}' has no field '{match['field'][:MAX_SHOWN]}'{place}."
    if match["rest"].startswith(". "):
        return text + match["rest"][1:]
    type_ = schema.get_type(match["type"]) if schema is not None else None
    return f"{text} Choose from {', '.join(type_.fields)}." if isinstance(type_, GraphQLInputObjectType) else text


def _no_object(message: str, values: Mapping[str, Any]) -> str | None:
    """Return the message about a value in place of a condition, with the condition to write."""
    match = _NO_OBJECT.match(message)
    if match is None:
        return None
    argument, path = match["argument"], match["path"]
    steps = _STEP.findall(path or "")
    if not steps or steps[-1].isdecimal():
        return f"'{argument}' needs an object{f' at {path}' if path else ''}, in braces."
    value = json.dumps(_value_at(values[argument], steps))
    shown = value if len(value) <= MAX_SHOWN and value[0] not in "[{" else "…"
    condition = f'{{"{steps[-1]}": {{"{_OPERATORS.get(argument, "eq")}": {shown}}}}}'
    return f"'{argument}' has no condition at {path}. Write {condition}."


def _value_at(value: Any, steps: Sequence[str]) -> Any:
    """Return the part of a JSON value at a path. A value in place of a list counts as its only element."""
    for step in steps:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, Sequence) and not isinstance(value, str) and step.isdecimal():
            value = value[int(step)]
    return value
