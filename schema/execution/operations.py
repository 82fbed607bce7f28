"""Run one operation: parse, check limits, validate, execute.

Operations run directly in graphql-core with Strawberry's executor. ``strawberry.Schema.execute`` would hide which phase
failed, and the phase determines code and HTTP status. Only this module and schema/export/arguments.py use private names
of Strawberry: ``Schema._schema`` and ``StrawberryGraphQLCoreExecutionContext``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import isawaitable
from typing import Any, cast

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    execute,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import (
    ASTValidationRule,
    FieldsOnCorrectTypeRule,
    NoSchemaIntrospectionCustomRule,
    recommended_rules,
)
from graphql.validation.rules import overlapping_fields_can_be_merged
from graphql.validation.validate import ValidationAbortedError
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.errors import BadRequest, BadUserInput, DeadlineExceeded, GatewayError, QueryTooComplex, ValidationFailed
from gateway.paging.blocks import GRACE_SECONDS
from schema.execution.context import Limits, OperationContext
from schema.execution.cost import check_cost, variable_uses
from schema.execution.errors import (
    MAX_ERRORS,
    coercion_failed,
    formatted,
    gateway_error,
    parse_failed,
    validation_failed,
)
from schema.execution.executor import FastExecutor
from schema.execution.limits import INTROSPECTION_TOKENS, check_document, check_text
from schema.execution.validation_rules import MisplacedFieldRule

# The number of cached parsed and validated documents. Longer texts are rare and not cached: together below about 30 MB.
PREPARED_DOCUMENTS, MAX_PREPARED_CHARACTERS = 256, 16_384

# Comments take memory only during parsing (our choice: far more than a person writes).
MAX_COMMENTS = 10_000

# graphql-core's budget for comparing fields of one name. Its default of 500,000 takes most of a second; documents that
# people write need less than a tenth of this value.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 100_000

# The end of graphql-core's message about a document over its limits of tokens, comments or nesting.
_ABORTED = "Parsing aborted."

# Returns a context manager around the phase of that name: parse, validate or execute.
Phase = Callable[[str], AbstractContextManager[object]]

_NO_OPERATION = "The document has no operation. Send one that has."


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """The operation that a caller sent: GraphQL over HTTP, section "Request parameters"."""

    query: str
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


@dataclass(frozen=True, slots=True)
class _Prepared:
    document: DocumentNode | None
    errors: tuple[GraphQLError, ...] = ()
    uses: Mapping[str, int] = field(default_factory=dict)


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
    ) -> None:
        self._phase = phase
        self._schema = schema._schema
        self.limits = limits
        self._executor = FastExecutor if fast_path else StrawberryGraphQLCoreExecutionContext
        extra: tuple[type[ASTValidationRule], ...] = () if introspection else (NoSchemaIntrospectionCustomRule,)
        self._introspection = introspection
        rules = dict.fromkeys((*specified_rules, *recommended_rules, *extra))
        self._rules = tuple(MisplacedFieldRule if rule is FieldsOnCorrectTypeRule else rule for rule in rules)
        self._cached = lru_cache(maxsize=PREPARED_DOCUMENTS)(self._prepare)

    async def run(self, request: OperationRequest, context: OperationContext) -> Outcome:
        """Run ``request`` and return its outcome with all errors. Raises BadRequest for a wrong HTTP method only."""
        prepared = self._prepared(request.query)
        if prepared.document is not None and not request.may_mutate:
            _require_query(prepared.document, request.operation_name)
        if prepared.document is None or prepared.errors:
            return _failed(list(prepared.errors), context)
        try:
            operation = _operation(prepared.document, request.operation_name)
            check_cost(prepared.document, operation, request.variables, prepared.uses, self.limits)
        except (ValidationFailed, BadUserInput, QueryTooComplex) as error:
            return _failed([GraphQLError(error.message, original_error=error)], context)
        with self._phase("execute"):
            return await self._execute(prepared.document, operation, request, context)

    def faults_of(self, text: str) -> list[str]:
        """Return why no operation of a document can run with any variables; empty if one can."""
        prepared = self._prepared(text)
        if prepared.document is None or prepared.errors:
            return [error.message for error in prepared.errors]
        return [] if _candidates(prepared.document, None) else [_NO_OPERATION]

    def _prepared(self, text: str) -> _Prepared:
        return self._cached(text) if len(text) <= MAX_PREPARED_CHARACTERS else self._prepare(text)

    def _prepare(self, text: str) -> _Prepared:
        prepared = self._read(text)
        for error in prepared.errors:
            _drop_traceback(error)
        return prepared

    def _read(self, text: str) -> _Prepared:
        max_tokens = max(self.limits.max_query_tokens, INTROSPECTION_TOKENS)
        try:
            check_text(text)
            with self._phase("parse"):
                document = parse(text, max_lexical_tokens=max_tokens, max_comments=MAX_COMMENTS)
            _unlink_tokens(document)
            check_document(document, self.limits, document.token_count)
            with self._phase("validate"):
                errors = self._validate(document, is_long=len(text) > MAX_PREPARED_CHARACTERS)
        except GraphQLError as error:
            if error.message.endswith(_ABORTED):
                reason = error.message.removeprefix("Syntax Error: ").removesuffix(_ABORTED).strip()
                return _refused(QueryTooComplex(f"{reason} Split it up."))
            return _Prepared(None, tuple(parse_failed(error)))
        except QueryTooComplex as error:
            return _refused(error)
        except RecursionError:
            return _refused(QueryTooComplex("The document is nested too deeply. Flatten it."))
        if errors and isinstance(errors[0], ValidationAbortedError):
            return _refused(QueryTooComplex("The document takes too long to check. Split it up."))
        return _Prepared(document, tuple(validation_failed(errors)), {} if errors else variable_uses(document))

    def _validate(self, document: DocumentNode, *, is_long: bool) -> list[GraphQLError]:
        """Return the errors of a document; of a long one only the first, because locating an error reads all before it.

        Suggestions are omitted for long documents, because comparing names takes long, and without introspection,
        because they would reveal the schema.
        """
        errors = validate(
            self._schema,
            document,
            self._rules,
            max_errors=1 if is_long else MAX_ERRORS,
            hide_suggestions=is_long or not self._introspection,
        )
        # The last one may only report that there are more.
        return errors[:1] + [error for error in errors[1:] if not isinstance(error, ValidationAbortedError)]

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
        except TimeoutError:
            late = DeadlineExceeded("The operation took too long. Request fewer rows or fields at once.")
            return _executed(None, [GraphQLError(late.message, original_error=late)], context, operation)
        except RecursionError:
            deep = QueryTooComplex("The variables are nested too deeply. Flatten them.")
            return _failed([GraphQLError(deep.message, original_error=deep)], context)
        if result.data is None:
            # Every root field is nullable, so data is null only when nothing was executed.
            return _failed(coercion_failed(result.errors or []), context)
        return _executed(result.data, list(result.errors or []), context, operation)


def _unlink_tokens(document: DocumentNode) -> None:
    """Unlink the tokens, which graphql-core keeps in a doubly linked list.

    Cached documents grow old. As reference cycles, evicted ones would wait for a full garbage collection, which is
    rare: a caller that keeps sending new documents could fill gigabytes first.
    """
    token = document.loc.start_token if document.loc else None
    while token is not None:
        following, token.prev, token.next = token.next, None, None
        token = following


def _drop_traceback(error: BaseException | None) -> None:
    """Drop the traceback of a cached error: its frames hold the whole document in a reference cycle."""
    while error is not None:
        error.__traceback__ = error.__context__ = None
        error = error.original_error if isinstance(error, GraphQLError) else None


def _refused(error: GatewayError) -> _Prepared:
    return _Prepared(None, (GraphQLError(error.message, original_error=error),))


def _candidates(document: DocumentNode, name: str | None) -> list[OperationDefinitionNode]:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return [node for node in operations if name is None or (node.name is not None and node.name.value == name)]


def _require_query(document: DocumentNode, name: str | None) -> None:
    """Raise BadRequest if a GET request names an operation other than a query, even one that the schema lacks."""
    if any(node.operation is not OperationType.QUERY for node in _candidates(document, name)):
        raise BadRequest("GET runs queries only. Send other operations with POST.", status=405)


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    candidates = _candidates(document, name)
    if not candidates and name is None:
        raise ValidationFailed(_NO_OPERATION)
    if not candidates:
        raise ValidationFailed(f"The document has no operation named '{str(name)[:100]}'. Correct 'operationName'.")
    if len(candidates) > 1:
        raise ValidationFailed("The document has several operations. Name one of them in 'operationName'.")
    return candidates[0]


def _failed(errors: list[GraphQLError], context: OperationContext) -> Outcome:
    return _outcome(False, None, errors, context, None)


def _executed(
    data: dict[str, Any] | None, errors: list[GraphQLError], context: OperationContext, node: OperationDefinitionNode
) -> Outcome:
    return _outcome(True, data, errors, context, node.name.value if node.name else None)


def _outcome(
    executed: bool,
    data: dict[str, Any] | None,
    errors: list[GraphQLError],
    context: OperationContext,
    operation_name: str | None,
) -> Outcome:
    causes = [gateway_error(error, context.correlation_id) for error in errors]
    members = [formatted(error, cause, context.correlation_id) for error, cause in zip(errors, causes, strict=True)]
    return Outcome(executed, data, members, causes, operation_name)
