"""JSON schemas of GraphQL's input types, as OpenAPI 3.1 has them (JSON Schema 2020-12)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    get_named_type,
    is_required_input_field,
)

from schema.scalars import LONG_MAX, LONG_MIN

Json = dict[str, Any]

# The place of named schemas in an OpenAPI document.
SCHEMAS = "#/components/schemas/"

# GraphQL's Int has 32 bits (section 3.5.1 of its specification).
_SCALARS: Mapping[str, Json] = {
    "String": {"type": "string"},
    "Float": {"type": "number"},
    "Int": {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    "Boolean": {"type": "boolean"},
    "Long": {"type": "integer", "format": "int64", "minimum": LONG_MIN, "maximum": LONG_MAX},
    "DateTime": {"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]},
}


def json_schema(kind: Any) -> Json:
    """Return the schema of an input type's values other than null, or a reference to it."""
    if isinstance(kind, GraphQLNonNull):
        return json_schema(kind.of_type)
    if isinstance(kind, GraphQLList):
        return {"type": "array", "items": json_schema(kind.of_type)}
    if isinstance(kind, GraphQLScalarType):
        return dict(_SCALARS[kind.name])
    return {"$ref": SCHEMAS + kind.name}


def named_schemas(kinds: Iterable[Any]) -> Iterator[tuple[str, Json]]:
    """Yield the name and the schema of every enum and input object within ``kinds``, each once."""
    waiting, seen = [get_named_type(kind) for kind in kinds], set()
    while waiting:
        kind = waiting.pop(0)
        if kind in seen or isinstance(kind, GraphQLScalarType):
            continue
        seen.add(kind)
        if isinstance(kind, GraphQLInputObjectType):
            waiting += [get_named_type(field.type) for field in kind.fields.values()]
            yield kind.name, _object(kind)
        else:
            yield kind.name, {"type": "string", "enum": list(kind.values), **_described(kind)}


def _object(kind: GraphQLInputObjectType) -> Json:
    properties = {name: {**json_schema(field.type), **_described(field)} for name, field in kind.fields.items()}
    required = [name for name, field in kind.fields.items() if is_required_input_field(field)]
    schema = {"type": "object", "properties": properties, "additionalProperties": False, **_described(kind)}
    return {**schema, "required": required} if required else schema


def _described(part: Any) -> Json:
    return {"description": part.description} if part.description else {}
