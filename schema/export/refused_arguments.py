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
_NO_SCALAR = re.compile(
    _START + r"(?:Expected value of type '(?=Long')|(?=Float|String))(?P<type>\w+)(?:', but| cannot represent a? ?non)"
)
_STEP = re.compile(r"\w+")

# Operators for the examples of conditions.
_OPERATORS = {"filter": "eq", "having": "gt"}

# A comparison that was written as text, such as ">= 5".
_COMPARISON = re.compile(r"\s*([<>]=?|)\s*(-?(?:0|[1-9]\d{0,18})(?:\.\d{1,18})?)\s*", re.ASCII)
_SIGNS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}

# Longer values are not repeated (our choice).
MAX_SHOWN = 40


def refused_arguments(
    errors: Sequence[GraphQLError], values: Mapping[str, Any], schema: GraphQLSchema, *, introspection: bool
) -> BadUserInput:
    """Return the first error about ``values``, naming the argument. Names of the schema need ``introspection``."""

    def advise(message: str) -> str:
        # None of the arguments is an Int, whose advice names the largest page.
        text = advised(message, schema, max_rows=0) if introspection else message
        plain = _unknown_field(text, schema if introspection else None) or _no_object(text, values)
        return plain or _no_scalar(text, values) or text

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
    operator, value = _OPERATORS.get(argument, "eq"), _value_at(values[argument], steps)
    if argument == "having" and isinstance(value, str):
        match = _COMPARISON.fullmatch(value)
        sign, shown = match.groups() if match else ("", "…")
        operator = _SIGNS.get(sign, operator)
    else:
        shown = _shown(value)
    condition = f'{{"{steps[-1]}": {{"{operator}": {shown}}}}}'
    return f"'{argument}' has no condition at {path}. Write {condition}."


def _no_scalar(message: str, values: Mapping[str, Any]) -> str | None:
    """Return the message about a value of another kind: a number in quotes, or a text without."""
    match = _NO_SCALAR.match(message)
    if match is None or not match["path"]:
        return None
    value = _value_at(values[match["argument"]], _STEP.findall(match["path"]))
    shown = _shown(value)
    if match["type"] == "String":
        advice = f'Write it in quotes: "{shown}".' if isinstance(value, int | float) else "Write a text in quotes."
    elif isinstance(value, str):
        shown, advice = f"the text {shown}", "Write a number without quotes."
    else:
        advice = f"Write a {'whole number of at most 64 bits' if match['type'] == 'Long' else 'number'}."
    return f"'{match['argument']}' has {shown} at {match['path']}. {advice}"


def _shown(value: Any) -> str:
    """Return a short text or number as JSON, and an ellipsis for other values."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN and text[0] not in "[{" else "…"


def _value_at(value: Any, steps: Sequence[str]) -> Any:
    """Return the part of a JSON value at a path. A value in place of a list counts as its only element."""
    for step in steps:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, Sequence) and not isinstance(value, str) and step.isdecimal():
            value = value[int(step)]
    return value
