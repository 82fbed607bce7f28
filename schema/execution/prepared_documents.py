"""Documents parsed, checked against the limits and validated once, then cached."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
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

from gateway.config.groups import Limits
from gateway.errors import GatewayError, QueryTooComplex, ServiceUnavailable
from gateway.scheduling.rotation import Rotation
from schema.execution.advice import advised
from schema.execution.cost import variable_uses
from schema.execution.errors import MAX_ERRORS, graphql_error, parse_failed, validation_failed
from schema.execution.limits import INTROSPECTION_TOKENS, check_document, check_text

# The number of cached parsed and validated documents, and of their tokens: together below about 35 MB. Longer texts are
# rare and not cached.
PREPARED_DOCUMENTS, MAX_PREPARED_TOKENS, MAX_PREPARED_CHARACTERS = 256, 81_920, 16_384

# Unknown documents of this length are prepared in about ten milliseconds at most, so they do not wait for longer ones,
# which take up to 50 (our choice).
SHORT_CHARACTERS = 1_024

# After each preparation and the start of its operation, other requests have the event loop for as long as both took.
# (Our choice.) Otherwise each of their steps would wait for another preparation, and uvloop accepts only one connection
# in each step.
REST_SHARE = 1.0

RETRY_SECONDS = 5

# Comments take memory only during parsing (our choice: far more than a person writes).
MAX_COMMENTS = 10_000

# graphql-core's budget for comparing fields of one name. Its default of 500,000 takes most of a second; documents that
# people write need less than a third of this value.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 30_000

# The end of graphql-core's message about a document over its limits of tokens, comments or nesting.
_ABORTED = "Parsing aborted."

# Returns a context manager around the phase of that name: parse, validate or execute.
Phase = Callable[[str], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A document with its errors, and how often it uses each variable. ``document`` is None if it was refused.

    ``root_fields`` are those of the operation that has the most.
    """

    document: DocumentNode | None
    errors: tuple[GraphQLError, ...] = ()
    uses: Mapping[str, int] = field(default_factory=dict)
    root_fields: int = 0

    @property
    def is_valid(self) -> bool:
        return self.document is not None and not self.errors

    @property
    def tokens(self) -> int:
        return 0 if self.document is None else self.document.token_count


class MisplacedFieldRule(FieldsOnCorrectTypeRule):
    """Fields on correct type; for a field one level too high, the message names its place, such as ``nodes``.

    With hidden suggestions, the messages are those of the base rule.
    """

    def enter_field(self, node: FieldNode, *args: Any) -> None:
        if self.context.get_field_def():
            return
        parent = self.context.get_parent_type()
        places = [] if self.context.hide_suggestions else _places_of(node.name.value, parent)
        if not places:
            super().enter_field(node, *args)
            return
        name = node.name.value
        inside = f"{name} {{ … }}" if node.selection_set else name
        choices = " or ".join(f"'{place} {{ {inside} }}'" for place in places)
        message = f"Cannot query field '{name}' on type '{parent}'. It belongs one level deeper: write {choices}."
        self.report_error(GraphQLError(message, node))


class PreparedDocuments:
    """The documents of one schema, within limits. The most recently used ones are cached."""

    def __init__(self, schema: GraphQLSchema, limits: Limits, *, introspection: bool, phase: Phase) -> None:
        self._schema = schema
        self._limits = limits
        self._introspection = introspection
        self._phase = phase
        extra: tuple[type[ASTValidationRule], ...] = () if introspection else (NoSchemaIntrospectionCustomRule,)
        rules = dict.fromkeys((*specified_rules, *recommended_rules, *extra))
        self._rules = tuple(MisplacedFieldRule if rule is FieldsOnCorrectTypeRule else rule for rule in rules)
        self._advise = partial(advised, schema=schema, max_rows=limits.max_first_rows)
        self._cached: OrderedDict[str, PreparedDocument] = OrderedDict()
        self._cached_tokens = 0
        self._short_turns, self._long_turns = Rotation(rest_share=REST_SHARE), Rotation(rest_share=REST_SHARE)

    def known(self, text: str) -> PreparedDocument | None:
        """Return the document of ``text`` if it is cached."""
        prepared = self._cached.get(text)
        if prepared is not None:
            self._cached.move_to_end(text)
        return prepared

    def get(self, text: str) -> PreparedDocument:
        """Return the document of ``text``, from the cache if it is there."""
        prepared = self.known(text)
        if prepared is None:
            prepared = self._prepare(text)
            if len(text) <= MAX_PREPARED_CHARACTERS:
                self._keep(text, prepared)
        return prepared

    async def in_turn(self, text: str, owner: bytes) -> PreparedDocument:
        """Return the document of ``text``. An unknown one waits for a turn of ``owner``, a known one never.

        Raises ServiceUnavailable if the turn does not come in time.
        """
        prepared = self.known(text)
        if prepared is not None:
            return prepared
        turns = self._short_turns if len(text) <= SHORT_CHARACTERS else self._long_turns
        try:
            async with asyncio.timeout(self._limits.operation_timeout_seconds), turns.turn(owner):
                # Another request may have prepared it meanwhile.
                return self.get(text)
        except TimeoutError:
            raise ServiceUnavailable(
                "Too many new documents are waiting to be checked. Retry later, and send values in variables: then the"
                " same document serves for all of them.",
                retry_after_seconds=RETRY_SECONDS,
            ) from None

    def _keep(self, text: str, prepared: PreparedDocument) -> None:
        self._cached[text] = prepared
        self._cached_tokens += prepared.tokens
        while len(self._cached) > PREPARED_DOCUMENTS or self._cached_tokens > MAX_PREPARED_TOKENS:
            _, evicted = self._cached.popitem(last=False)
            self._cached_tokens -= evicted.tokens

    def _prepare(self, text: str) -> PreparedDocument:
        prepared = self._read(text)
        for error in prepared.errors:
            _drop_traceback(error)
        return prepared

    def _read(self, text: str) -> PreparedDocument:
        try:
            max_tokens = check_text(text, max(self._limits.max_query_tokens, INTROSPECTION_TOKENS))
            with self._phase("parse"):
                document = parse(text, max_lexical_tokens=max_tokens, max_comments=MAX_COMMENTS)
            _unlink_tokens(document)
            root_fields = check_document(document, self._limits, document.token_count)
            with self._phase("validate"):
                errors = self._validate(document, is_long=len(text) > MAX_PREPARED_CHARACTERS)
        except GraphQLError as error:
            if error.message.endswith(_ABORTED):
                reason = error.message.removeprefix("Syntax Error: ").removesuffix(_ABORTED).strip()
                return _refused(QueryTooComplex(f"{reason} Split it up."))
            return PreparedDocument(None, tuple(parse_failed(error)))
        except QueryTooComplex as error:
            return _refused(error)
        except RecursionError:
            return _refused(QueryTooComplex("The document is nested too deeply. Flatten it."))
        if errors and isinstance(errors[0], ValidationAbortedError):
            return _refused(QueryTooComplex("The document takes too long to check. Split it up."))
        failed = tuple(validation_failed(errors, self._advise if self._introspection else str))
        return PreparedDocument(document, failed, {} if errors else variable_uses(document), root_fields)

    def _validate(self, document: DocumentNode, *, is_long: bool) -> list[GraphQLError]:
        """Return the errors of a document.

        For a long document return only the first error: locating an error reads all text before it. Suggestions are
        omitted for long documents, because comparing names takes long. They are also omitted if introspection is off,
        because they would reveal the schema.
        """
        errors = validate(
            self._schema,
            document,
            self._rules,
            max_errors=1 if is_long else MAX_ERRORS,
            hide_suggestions=is_long or not self._introspection,
        )
        # The last error may only report that more errors exist.
        return errors[:1] + [error for error in errors[1:] if not isinstance(error, ValidationAbortedError)]


def _unlink_tokens(document: DocumentNode) -> None:
    """Unlink the tokens, which graphql-core keeps in a doubly linked list.

    The list makes a document a reference cycle. Cached documents move to the oldest generation, so an evicted cycle
    would stay until a full garbage collection. These are rare: a caller that keeps sending new documents could fill
    gigabytes first.
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


def _refused(error: GatewayError) -> PreparedDocument:
    return PreparedDocument(None, (graphql_error(error),))


def _places_of(name: str, parent: Any) -> list[str]:
    """Return the fields of ``parent`` whose type has a field ``name``."""
    if not isinstance(parent, GraphQLObjectType):
        return []
    types = {place: get_named_type(field.type) for place, field in parent.fields.items()}
    return [place for place, type_ in types.items() if isinstance(type_, GraphQLObjectType) and name in type_.fields]
