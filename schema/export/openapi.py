"""``/openapi.json``: the export routes as OpenAPI 3.1, for programs that do not speak GraphQL.

Arguments of a dataset's field become query parameters; the schema's input types become JSON schemas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import strawberry
from graphql import GraphQLInputObjectType, get_named_type

from gateway.dataset import Dataset
from gateway.version import VERSION
from schema.export.arguments import ARGUMENTS, MAX_OFFSET_DIGITS
from schema.export.json_schemas import SCHEMAS, Json, json_schema, named_schemas
from schema.export.row_formats import FORMATS, RowFormat
from schema.export.statuses import STATUSES
from schema.refinements import MAX_SEARCH_CHARACTERS

_SWITCH: Json = {"type": "integer", "enum": [0, 1], "default": 0}

_OPTIONS: Mapping[str, tuple[str, Json]] = {
    "raw": ("1 keeps text of CSV cells unchanged that spreadsheets would run as a formula.", _SWITCH),
    "incomplete": (
        "1 accepts rows that are known to be missing before the first byte. X-Warnings names UPSTREAM_INCOMPLETE then.",
        _SWITCH,
    ),
    "offset": (
        "To continue: the number of complete rows that you have. Goes with `snapshot`.",
        {"type": "integer", "minimum": 0, "maximum": 10**MAX_OFFSET_DIGITS - 1},
    ),
    "snapshot": (
        "To continue: X-Snapshot of the response that your rows come from. Goes with `offset`.",
        {"type": "string"},
    ),
}

_COUNT: Json = {"type": "integer", "minimum": 0}

_HEADERS: Mapping[str, tuple[str, Json]] = {
    "X-Snapshot": ("The query and its snapshot of the data, for `snapshot`.", {"type": "string"}),
    "X-Total-Count": (
        "The number of rows that the upstream announces, if it does, or that search or having finds.",
        _COUNT,
    ),
    "X-Warnings": ("Codes of warnings that are known before the first byte, separated by commas.", {"type": "string"}),
    "X-Cache": ("Where the first rows come from.", {"type": "string", "enum": ["hit", "stale", "miss"]}),
    "Age": ("The age of the first rows in seconds.", _COUNT),
    "X-Upstream-Calls": ("Upstream calls before the first byte.", _COUNT),
    "X-Rows-Read": ("Rows that these calls returned.", _COUNT),
    "MS-CorrelationId": ("Identifies the request in logs.", {"type": "string", "format": "uuid"}),
    "Retry-After": ("Seconds to wait before the next try, if they are known.", _COUNT),
    "WWW-Authenticate": ("The scheme: Bearer.", {"type": "string"}),
}
_OF_ROWS = ("X-Snapshot", "X-Total-Count", "X-Warnings", "X-Cache", "Age")
_OF_ALL = ("X-Upstream-Calls", "X-Rows-Read", "MS-CorrelationId")
_OF_ERRORS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
_ALWAYS_SENT = frozenset({"X-Snapshot", "WWW-Authenticate", *_OF_ALL})

_ERRORS: Json = {
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["message", "extensions"],
                "properties": {
                    "message": {"type": "string", "description": "What is wrong, and what to do."},
                    "extensions": {
                        "type": "object",
                        "required": ["code", "correlationId"],
                        "properties": {
                            "code": {"type": "string", "description": "Further codes may be added."},
                            "correlationId": {"type": "string"},
                            "argument": {"type": "string", "description": "The parameter that cannot be used."},
                        },
                    },
                },
            },
        }
    },
}

_DESCRIPTION = (
    "All rows of a query as one stream. An error before the first byte is JSON. After it, the connection breaks: a"
    " response that ends normally is complete."
)


def openapi(schema: strawberry.Schema, datasets: Sequence[Dataset]) -> Json:
    """Return the document of all datasets' export routes, without ``servers``."""
    fields = {dataset.name: schema._schema.query_type.fields[dataset.name] for dataset in datasets}  # type: ignore[union-attr]
    inputs = [argument.type for field in fields.values() for name, argument in field.args.items() if name in ARGUMENTS]
    _, rows = msgspec.json.schema_components([each.row for each in datasets], ref_template=SCHEMAS + "{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Exports of Partner Center GraphQL",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"bearer": []}],
        "paths": {
            f"/export/{dataset.name}.{row_format.extension}": {
                "get": _operation(dataset, row_format, fields[dataset.name].args)
            }
            for dataset in datasets
            for row_format in FORMATS
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An access token for Partner Center."}
            },
            "headers": {name: _header(name) for name in _HEADERS},
            "responses": {str(status): _refusal(status) for status in sorted(set(STATUSES.values()))},
            "schemas": {"Errors": _ERRORS, **rows, **dict(named_schemas(inputs))},
        },
    }


def _operation(dataset: Dataset, row_format: RowFormat, arguments: Mapping[str, Any]) -> Json:
    media_types = dict.fromkeys((row_format.media_type, row_format.continued_media_type))
    row = f" Each line is a JSON object ({SCHEMAS}{dataset.row.__name__})." if row_format.extension == "ndjson" else ""
    return {
        "operationId": f"{dataset.name}_{row_format.extension}",
        "summary": f"Rows of {dataset.name} as {row_format.extension.upper()}",
        "description": _DESCRIPTION,
        "parameters": [
            *(_argument(name, arguments[name]) for name in ARGUMENTS),
            *(
                {"name": name, "in": "query", "description": description, "schema": schema}
                for name, (description, schema) in _OPTIONS.items()
            ),
        ],
        "responses": {
            "200": {
                "description": f"The rows.{row}",
                "headers": _headers((*_OF_ROWS, *_OF_ALL)),
                "content": {media_type: {"schema": {"type": "string"}} for media_type in media_types},
            },
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(set(STATUSES.values()))},
        },
    }


def _argument(name: str, argument: Any) -> Json:
    """Return the query parameter of a field's argument: JSON if it has objects, else a text or a list of names."""
    parameter: Json = {"name": name, "in": "query", "description": argument.description}
    schema = json_schema(argument.type)
    if isinstance(get_named_type(argument.type), GraphQLInputObjectType):
        return {**parameter, "content": {"application/json": {"schema": schema}}}
    if "items" in schema:
        return {**parameter, "schema": schema, "style": "form", "explode": False}
    return {**parameter, "schema": schema | ({"maxLength": MAX_SEARCH_CHARACTERS} if name == "search" else {})}


def _header(name: str) -> Json:
    description, schema = _HEADERS[name]
    return {"description": description, "schema": schema, **({"required": True} if name in _ALWAYS_SENT else {})}


def _headers(names: Sequence[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _refusal(status: int) -> Json:
    """Return the response of all errors with ``status``."""
    codes = ", ".join(kind.code for kind, its_status in STATUSES.items() if its_status == status)
    return {
        "description": f"{HTTPStatus(status).phrase}: {codes}",
        "headers": _headers((*_OF_ERRORS.get(status, ()), *_OF_ALL)),
        "content": {"application/json": {"schema": {"$ref": f"{SCHEMAS}Errors"}}},
    }
