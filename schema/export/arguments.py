"""Questions about datasets from plain JSON values, by the schema's own rules and without a GraphQL document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import strawberry
from graphql import GraphQLError, OperationDefinitionNode, get_variable_values, parse
from strawberry.types.arguments import convert_arguments

from gateway.errors import BadUserInput
from gateway.query import Dataset, PageQuery
from schema.execution.errors import MAX_ERRORS, coercion_failed
from schema.field import question

# The arguments of a dataset's field that make its question; the others choose rows of the answer.
ARGUMENTS = ("filter", "groupBy", "processedDateTime")


class Questions:
    """Reads the arguments that every dataset's field has as if they were a document's variables."""

    def __init__(self, schema: strawberry.Schema, *, max_filter_bytes: int, introspection: bool) -> None:
        self._schema = schema
        self._max_filter_bytes = max_filter_bytes
        # What tells the names in the schema is told only where the schema itself is.
        self._hide_suggestions = not introspection

    def question(self, dataset: Dataset, given: Mapping[str, Any]) -> PageQuery:
        """The question that ``given`` asks, by names of ARGUMENTS. Raises BadUserInput naming the argument."""
        fields = self._schema.get_type_by_name("Query").fields  # type: ignore[union-attr]
        (field,) = (field for field in fields if field.python_name == dataset.name)
        found = convert_arguments(
            self._coerced(dataset, given),
            field.arguments,
            scalar_registry=self._schema.schema_converter.scalar_registry,
            config=self._schema.config,
        )
        # An explicit null is the same as leaving the argument out.
        return question(
            dataset,
            found.get("filter"),
            found.get("group_by") or (),
            found.get("processed_date_time"),
            self._max_filter_bytes,
        )

    def _coerced(self, dataset: Dataset, given: Mapping[str, Any]) -> dict[str, Any]:
        operation = parse(f"query ({declared(self._schema, dataset)}) {{ __typename }}").definitions[0]
        assert isinstance(operation, OperationDefinitionNode)
        found = get_variable_values(
            self._schema._schema,
            operation.variable_definitions or (),
            dict(given),
            max_errors=MAX_ERRORS,
            hide_suggestions=self._hide_suggestions,
        )
        if isinstance(found, list):
            raise _refusal(found)
        return found.coerced


def declared(schema: strawberry.Schema, dataset: Dataset) -> str:
    """The ARGUMENTS of a dataset's field as a document declares variables of the same names."""
    types = schema._schema.query_type.fields[dataset.name].args  # type: ignore[union-attr]
    return ", ".join(f"${name}: {types[name].type}" for name in ARGUMENTS)


def _refusal(errors: Sequence[GraphQLError]) -> BadUserInput:
    cause = coercion_failed(errors)[0].original_error
    assert isinstance(cause, BadUserInput)
    named = str(cause.facts["argument"])
    # What is nested too deeply for graphql-core is told without a name.
    argument = named if named in ARGUMENTS else ARGUMENTS[0]
    return BadUserInput(cause.message.replace(f"Variable '${argument}'", f"'{argument}'"), argument=argument)
