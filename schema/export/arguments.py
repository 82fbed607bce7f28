"""Queries of datasets from plain JSON values, converted by the schema's own rules without a GraphQL document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import strawberry
from graphql import GraphQLError, OperationDefinitionNode, get_variable_values, parse
from strawberry.types.arguments import convert_arguments

from gateway.errors import BadUserInput
from gateway.query import Dataset, PageQuery
from schema.execution.errors import MAX_ERRORS, coercion_failed
from schema.field import page_query

# The arguments of a dataset's field that determine its query; the others select rows of the result.
ARGUMENTS = ("filter", "groupBy", "processedDateTime")


class ExportArguments:
    """Converts export arguments to a query, as if they were a document's variables."""

    def __init__(self, schema: strawberry.Schema, *, max_filter_bytes: int, introspection: bool) -> None:
        self._schema = schema
        self._max_filter_bytes = max_filter_bytes
        # Suggestions would reveal names of the schema, so they need introspection.
        self._hide_suggestions = not introspection

    def query(self, dataset: Dataset, values: Mapping[str, Any]) -> PageQuery:
        """Return the query of ``values``, whose keys are in ARGUMENTS. Raises BadUserInput naming the argument."""
        fields = self._schema.get_type_by_name("Query").fields  # type: ignore[union-attr]
        (field,) = (field for field in fields if field.python_name == dataset.name)
        arguments = convert_arguments(
            self._coerced(dataset, values),
            field.arguments,
            scalar_registry=self._schema.schema_converter.scalar_registry,
            config=self._schema.config,
        )
        # An explicit null is the same as leaving the argument out.
        return page_query(
            dataset,
            arguments.get("filter"),
            arguments.get("group_by") or (),
            arguments.get("processed_date_time"),
            self._max_filter_bytes,
        )

    def _coerced(self, dataset: Dataset, values: Mapping[str, Any]) -> dict[str, Any]:
        operation = parse(f"query ({declared(self._schema, dataset)}) {{ __typename }}").definitions[0]
        assert isinstance(operation, OperationDefinitionNode)
        coerced = get_variable_values(
            self._schema._schema,
            operation.variable_definitions or (),
            dict(values),
            max_errors=MAX_ERRORS,
            hide_suggestions=self._hide_suggestions,
        )
        if isinstance(coerced, list):
            raise _refusal(coerced)
        return coerced.coerced


def declared(schema: strawberry.Schema, dataset: Dataset) -> str:
    """Return a document's declarations of variables for the ARGUMENTS of a dataset's field."""
    types = schema._schema.query_type.fields[dataset.name].args  # type: ignore[union-attr]
    return ", ".join(f"${name}: {types[name].type}" for name in ARGUMENTS)


def _refusal(errors: Sequence[GraphQLError]) -> BadUserInput:
    cause = coercion_failed(errors)[0].original_error
    assert isinstance(cause, BadUserInput)
    variable = str(cause.facts["argument"])
    # For values nested too deeply, graphql-core's message names no variable.
    argument = variable if variable in ARGUMENTS else ARGUMENTS[0]
    return BadUserInput(cause.message.replace(f"Variable '${argument}'", f"'{argument}'"), argument=argument)
