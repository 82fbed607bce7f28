"""Run one operation: check its cost, execute it.

Operations run directly in graphql-core with Strawberry's executor. ``strawberry.Schema.execute`` would hide which phase
failed, and the phase determines code and HTTP status. Only this module and schema/export use private names of
Strawberry and graphql-core: ``Schema._schema``, ``StrawberryGraphQLCoreExecutionContext``, and its methods
``complete_object_value`` and ``collect_subfields``; selected_fields.py uses graphql-core's function of that name.
Therefore both are pinned, and tests fail if a new version lacks one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import Any, cast

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_named_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.config.groups import Limits
from gateway.errors import (
    BadRequest,
    BadUserInput,
    DeadlineExceeded,
    GatewayError,
    QueryTooComplex,
    ValidationFailed,
)
from gateway.paging.blocks import GRACE_SECONDS
from schema.connection import ConnectionValue
from schema.execution.advice import advised
from schema.execution.context import OperationContext
from schema.execution.cost import check_cost
from schema.execution.errors import (
    MAX_ERRORS,
    Advise,
    coercion_failed,
    formatted,
    gateway_error,
    graphql_error,
)
from schema.execution.prepared_documents import Phase, PreparedDocument, PreparedDocuments
from schema.execution.projection import Field, Selection
from schema.execution.rendering import Renderer, Unrendered

_NO_OPERATION = "The document has no operation. Send one that has."


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """The operation that a caller sent: GraphQL over HTTP, section "Request parameters"."""

    document: PreparedDocument
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    may_mutate: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one operation. ``executed`` is False if it failed before any field was resolved."""

    executed: bool
    data: dict[str, Any] | None
    errors: list[dict[str, Any]]
    causes: list[GatewayError]
    operation_name: str | None = None


class FastExecutor(StrawberryGraphQLCoreExecutionContext):
    """Leaves connections to the Renderer. The base class does the rest."""

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Return the object's result; for a ConnectionValue, an Unrendered."""
        if isinstance(result, ConnectionValue):
            selection = self.select(return_type, field_details_list)
            self.context_value.selections.append(selection)
            return Unrendered(selection, result)
        return super().complete_object_value(return_type, field_details_list, info, path, result, position_context)

    def select(self, object_type: GraphQLObjectType, field_details_list: FieldDetailsList) -> Selection:
        """Return the selection of the collected fields of ``object_type``, at every level."""
        grouped = self.collect_subfields(object_type, field_details_list).grouped_field_set
        return Selection(
            object_type.name,
            tuple(self._field(object_type, key, details) for key, details in grouped.items()),
        )

    def _field(self, parent: GraphQLObjectType, key: str, details: FieldDetailsList) -> Field:
        name = details[0].node.name.value
        definition = parent.fields.get(name)
        inner = None if definition is None else get_named_type(definition.type)
        inside = self.select(inner, details) if isinstance(inner, GraphQLObjectType) else None
        return Field(key, name, inside)


class Operations:
    """Runs operations against one schema, within limits."""

    def __init__(
        self,
        schema: strawberry.Schema,
        limits: Limits,
        *,
        introspection: bool,
        fast_path: bool = True,
        phase: Phase = nullcontext,
        renderer: Renderer | None = None,
    ) -> None:
        self._phase = phase
        self._schema = schema._schema
        self.limits = limits
        self._executor = FastExecutor if fast_path else StrawberryGraphQLCoreExecutionContext
        self._introspection = introspection
        # Advice names parts of the schema.
        advise = partial(advised, schema=self._schema, max_rows=limits.max_first_rows)
        self._advise: Advise = advise if introspection else str
        self._renderer = renderer or Renderer()
        self._documents = PreparedDocuments(self._schema, limits, introspection=introspection, phase=phase)

    def known(self, text: str) -> PreparedDocument | None:
        """Return the document of ``text`` if it is cached."""
        return self._documents.known(text)

    async def prepared(self, text: str, owner: bytes) -> PreparedDocument:
        """Return the document of ``text``; an unknown one waits for a turn of ``owner``. Raises ServiceUnavailable."""
        return await self._documents.in_turn(text, owner)

    async def run(self, request: OperationRequest, context: OperationContext) -> Outcome:
        """Run ``request`` and return its outcome with all errors. Raises BadRequest for a wrong HTTP method only."""
        prepared = request.document
        if prepared.document is not None and not request.may_mutate:
            _require_query(prepared.document, request.operation_name)
        if prepared.document is None or prepared.errors:
            return _outcome(prepared.errors, context)
        try:
            operation = _operation(prepared.document, request.operation_name)
            check_cost(prepared.document, operation, request.variables, prepared.uses, self.limits)
        except (ValidationFailed, BadUserInput, QueryTooComplex) as error:
            return _outcome([graphql_error(error)], context)
        with self._phase("execute"):
            return await self._execute(prepared.document, operation, request, context)

    def faults_of(self, text: str) -> list[str]:
        """Return why no operation of a document can run with any variables; empty if one can."""
        prepared = self._documents.get(text)
        if prepared.document is None or prepared.errors:
            return [error.message for error in prepared.errors]
        return [] if _candidates(prepared.document, None) else [_NO_OPERATION]

    async def _execute(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        request: OperationRequest,
        context: OperationContext,
    ) -> Outcome:
        try:
            async with asyncio.timeout(self.limits.operation_timeout_seconds + 2 * GRACE_SECONDS):
                execution = execute(
                    self._schema,
                    document,
                    context_value=context,
                    variable_values=request.variables,
                    operation_name=request.operation_name,
                    executor_class=self._executor,
                    max_coercion_errors=MAX_ERRORS,
                    hide_suggestions=not self._introspection,
                )
                result = cast(
                    ExecutionResult, await cast(Awaitable[Any], execution) if isawaitable(execution) else execution
                )
                data = result.data and await self._renderer.render(result.data, context)
        except TimeoutError:
            late = DeadlineExceeded("The operation took too long. Request fewer rows or fields at once.")
            return _outcome([graphql_error(late)], context, executed=operation)
        except RecursionError:
            deep = QueryTooComplex("The variables are nested too deeply. Flatten them.")
            return _outcome([graphql_error(deep)], context)
        if data is None:
            # Every root field is nullable, so data is null only when nothing was executed.
            return _outcome(coercion_failed(result.errors or [], self._advise), context)
        return _outcome(result.errors or [], context, executed=operation, data=data)


def _candidates(document: DocumentNode, name: str | None) -> list[OperationDefinitionNode]:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return [node for node in operations if name is None or (node.name is not None and node.name.value == name)]


def _require_query(document: DocumentNode, name: str | None) -> None:
    """Raise BadRequest if a GET request names an operation other than a query, even one that the schema lacks."""
    if any(node.operation is not OperationType.QUERY for node in _candidates(document, name)):
        raise BadRequest("The schema has only queries. Send a query.", status=405)


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    candidates = _candidates(document, name)
    if not candidates and name is None:
        raise ValidationFailed(_NO_OPERATION)
    if not candidates:
        raise ValidationFailed(f"The document has no operation named '{str(name)[:100]}'. Correct 'operationName'.")
    if len(candidates) > 1:
        raise ValidationFailed("The document has several operations. Name one of them in 'operationName'.")
    return candidates[0]


def _outcome(
    errors: Sequence[GraphQLError],
    context: OperationContext,
    *,
    executed: OperationDefinitionNode | None = None,
    data: dict[str, Any] | None = None,
) -> Outcome:
    """Return the outcome of an operation; ``executed`` is None if it failed before any field was resolved."""
    causes = [gateway_error(error, context.correlation_id) for error in errors]
    members = [formatted(error, cause, context.correlation_id) for error, cause in zip(errors, causes, strict=True)]
    name = executed.name.value if executed is not None and executed.name else None
    return Outcome(executed is not None, data, members, causes, name)
