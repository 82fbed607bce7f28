"""Advice for graphql-core's messages, which name neither the purpose of an input nor the gateway's limits."""

from __future__ import annotations

import re
from collections.abc import Iterable

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLSchema

# The longest lists of names in a message (our choice: the fields to order by, and the conditions on a number). For
# inputs with more members, graphql-core's suggestion of similar names says more.
MAX_VALUES, MAX_MEMBERS = 12, 6

# Largest value of GraphQL's Int.
MAX_INT = 2**31 - 1

# Longer numbers are not repeated.
_MAX_DIGITS = 30

_SUGGESTION = " Did you mean the enum value "
_UNKNOWN_VALUE = re.compile(r"' does not exist in '(\w+)' enum\.$")
_OTHER_KIND = re.compile(r"Enum '(\w+)' cannot represent non-")
_UNKNOWN_MEMBER = re.compile(r"Expected value of type '(\w+)' not to include unknown field '(\w+)'")
_LONG_INT = "Int cannot represent non 32-bit signed integer value: "
_OTHER_OPERATION = re.compile(r"The \w+ operation is not supported by the schema\.$")


def advised(message: str, schema: GraphQLSchema, max_rows: int) -> str:
    """Return graphql-core's ``message`` with what to write instead. ``max_rows`` is the largest page.

    The advice names parts of the schema, so it must not be shown where introspection is off.
    """
    before, mark, number = message.partition(_LONG_INT)
    if mark:
        return before + _int_advice(number, max_rows)
    if member := _UNKNOWN_MEMBER.search(message):
        advice = _member_advice(schema, member[1], member[2])
        return f"{message[: member.end()]}.{advice}" if advice else message
    if _OTHER_OPERATION.match(message):
        return "The schema has only queries. Send a query."
    return _enum_advice(message, schema)


def _int_advice(number: str, max_rows: int) -> str:
    shown = number if len(number) <= _MAX_DIGITS else "The number"
    if number.startswith("-"):
        return f"{shown} is negative. Give 0 or more."
    return f"{shown} is too large. Request at most {max_rows} rows per page; 'offset' is at most {MAX_INT}."


def _member_advice(schema: GraphQLSchema, type_name: str, member: str) -> str:
    for end, other, what in (("Filter", "Having", "numbers"), ("Having", "Filter", "texts")):
        counterpart = schema.get_type(type_name.removesuffix(end) + other) if type_name.endswith(end) else None
        if isinstance(counterpart, GraphQLInputObjectType) and member in counterpart.fields:
            return f" Put conditions on {what} into the argument '{other.lower()}'."
    type_ = schema.get_type(type_name)
    advice = _use(type_.fields, MAX_MEMBERS) if isinstance(type_, GraphQLInputObjectType) else ""
    return f"{advice} For parts of texts, use the argument 'search'." if type_name == "StringFilter" else advice


def _enum_advice(message: str, schema: GraphQLSchema) -> str:
    plain, has_suggestion, _ = message.rpartition(_SUGGESTION)
    plain = plain if has_suggestion else message
    match = _UNKNOWN_VALUE.search(plain)
    if match is None and not has_suggestion:
        match = _OTHER_KIND.search(plain)
    type_ = schema.get_type(match[1]) if match else None
    advice = _use(type_.values, MAX_VALUES) if isinstance(type_, GraphQLEnumType) else ""
    return plain + advice if advice else message


def _use(names: Iterable[str], most: int) -> str:
    """Return the advice to use one of ``names``, empty if they are more than ``most``."""
    listed = list(names)
    if len(listed) > most:
        return ""
    return f" Use {', '.join(listed[:-1])} or {listed[-1]}."
