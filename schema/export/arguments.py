"""The query parameters of an export: the arguments of its query, and where and how to write its rows.

The schema's own rules convert the arguments to a query, without a GraphQL document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import strawberry
from graphql import OperationDefinitionNode, get_variable_values, parse
from starlette.datastructures import QueryParams
from strawberry.types.arguments import convert_arguments

from gateway.dataset import Dataset
from gateway.errors import BadUserInput
from gateway.query import PageQuery
from gateway.views.refinement import Refinement
from schema.execution.cost import check_variables
from schema.execution.errors import MAX_ERRORS
from schema.export.refused_arguments import refused_arguments
from schema.field import page_query
from schema.refinements import to_refinement

# The arguments of a dataset's field that determine its query; the others select rows of the result.
ARGUMENTS = ("filter", "groupBy", "processedDateTime", "search", "having", "orderBy")

# Arguments that are plain text, not JSON.
_TEXTS = ("processedDateTime", "search")

_OPTIONS = ("raw", "incomplete", "offset", "snapshot")

# msgspec itself is slow for numbers such as 1.5e300.
_JSON = msgspec.json.Decoder(float_hook=float)

# Longer numbers of rows cannot occur, and Python refuses to convert very long ones.
MAX_OFFSET_DIGITS = 15


@dataclass(frozen=True, slots=True)
class ExportArguments:
    """Converts export arguments to a query of ``upstream``, as if they were a document's variables."""

    schema: strawberry.Schema
    upstream: str
    max_filter_bytes: int
    introspection: bool

    def query(self, dataset: Dataset, values: Mapping[str, Any]) -> tuple[PageQuery, Refinement]:
        """Return the query of ``values``, whose keys are in ARGUMENTS, and its refinement.

        Raises BadUserInput naming the argument.
        """
        check_variables(values, dict.fromkeys(values, 1), self.max_filter_bytes)
        fields = self.schema.get_type_by_name("Query").fields  # type: ignore[union-attr]
        (field,) = (field for field in fields if field.python_name == dataset.name)
        arguments = convert_arguments(
            self._coerced(dataset, values),
            field.arguments,
            scalar_registry=self.schema.schema_converter.scalar_registry,
            config=self.schema.config,
        )
        # An explicit null is the same as leaving the argument out.
        query = page_query(
            self.upstream,
            dataset,
            arguments.get("filter"),
            arguments.get("group_by") or (),
            arguments.get("processed_date_time"),
            self.max_filter_bytes,
        )
        return query, to_refinement(query, arguments.get("search"), arguments.get("having"), arguments.get("order_by"))

    def _coerced(self, dataset: Dataset, values: Mapping[str, Any]) -> dict[str, Any]:
        operation = parse(f"query ({declared(self.schema, dataset)}) {{ __typename }}").definitions[0]
        assert isinstance(operation, OperationDefinitionNode)
        coerced = get_variable_values(
            self.schema._schema,
            operation.variable_definitions or (),
            dict(values),
            max_errors=MAX_ERRORS,
            # Suggestions would reveal names of the schema, so they need introspection.
            hide_suggestions=not self.introspection,
        )
        if isinstance(coerced, list):
            raise refused_arguments(coerced, values, self.schema._schema, introspection=self.introspection)
        return coerced.coerced


def declared(schema: strawberry.Schema, dataset: Dataset) -> str:
    """Return a document's declarations of variables for the ARGUMENTS of a dataset's field."""
    types = schema._schema.query_type.fields[dataset.name].args  # type: ignore[union-attr]
    return ", ".join(f"${name}: {types[name].type}" for name in ARGUMENTS)


@dataclass(frozen=True, slots=True)
class ExportParameters:
    """The parsed parameters of an export. ``arguments`` are JSON values by name.

    ``raw`` leaves cells unchanged; ``incomplete`` accepts missing rows.

    ``offset`` is the number of rows of ``snapshot`` that the client already has. Both are None for a new export.
    """

    arguments: Mapping[str, Any]
    raw: bool
    incomplete: bool
    offset: int | None
    snapshot: str | None


def read_parameters(query_string: bytes, dataset: Dataset) -> ExportParameters:
    """Return the parameters of a request for ``dataset``. An empty one counts as absent.

    Raises BadUserInput naming the parameter.
    """
    texts: dict[str, str] = {}
    for name, text in QueryParams(query_string).multi_items():
        if name not in (*ARGUMENTS, *_OPTIONS) or name in texts:
            raise BadUserInput(
                f"The parameter '{name[:100]}' is {'repeated' if name in texts else 'unknown'}. Give each of"
                f" {', '.join((*ARGUMENTS, *_OPTIONS[:-1]))} and {_OPTIONS[-1]} at most once.",
                argument=name[:100],
            )
        texts[name] = text
    present = {name: text for name, text in texts.items() if text}
    raw, incomplete = _switch(present, "raw"), _switch(present, "incomplete")
    offset, snapshot = present.pop("offset", None), present.pop("snapshot", None)
    if (offset is None) != (snapshot is None):
        raise BadUserInput(
            "'offset' and 'snapshot' go together: the number of rows that you have, and the X-Snapshot of the response"
            " that they come from.",
            argument="offset" if offset is None else "snapshot",
        )
    return ExportParameters(
        arguments={name: _value(name, text, dataset) for name, text in present.items()},
        raw=raw,
        incomplete=incomplete,
        offset=None if offset is None else _offset(offset),
        snapshot=snapshot,
    )


def _switch(texts: dict[str, str], name: str) -> bool:
    text = texts.pop(name, "0")
    if text not in ("0", "1"):
        raise BadUserInput(f"'{name}' is neither 0 nor 1. Use 1 to switch it on, or leave it out.", argument=name)
    return text == "1"


def _offset(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_OFFSET_DIGITS):
        raise BadUserInput("'offset' is not a number of rows. Give 0 or more.", argument="offset")
    return int(text)


def _value(name: str, text: str, dataset: Dataset) -> Any:
    if name == "groupBy" and not text.startswith("["):
        return [part.strip() for part in text.split(",")]
    if name in _TEXTS:
        return text
    try:
        return _JSON.decode(text.encode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        raise BadUserInput(f"'{name}' is not JSON. Write it like {_example(name, dataset)}.", argument=name) from None


def _example(name: str, dataset: Dataset) -> str:
    """Return an example of an argument in JSON."""
    measure = dataset.example_measure
    examples: dict[str, Any] = {
        "filter": {"serviceCode": {"eq": "o365"}},
        "groupBy": ["PRODUCT_NAME"],
        "having": {measure: {"gt": 100}},
        "orderBy": [{"field": dataset.members[measure].upper(), "direction": "DESC"}],
    }
    return json.dumps(examples[name])
