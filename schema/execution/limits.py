"""Limits of one document, checked before validation: nested selections, aliases and root fields.

Each fragment is measured once, however often it is spread. Expanding fragments instead would double the work with each
level of a chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import digits

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from gateway.config.groups import Limits
from gateway.errors import QueryTooComplex

# Tokens of the introspection queries that graphql-js and its tools send: 300 to 400, rounded up.
INTROSPECTION_TOKENS = 600

# Fields below __schema and __type, counted at each spread of a fragment. A list counts ten times, because its fields
# are resolved for each member. graphql-js's query has about 300 (our choice: twice that).
MAX_INTROSPECTION_FIELDS, LIST_FIELDS = 600, 10
_SCHEMA_LISTS = frozenset({"fields", "args", "inputFields", "interfaces", "possibleTypes", "enumValues"})

_INTROSPECTION = ("__schema", "__type")

# An alias is sent once and returned with each row (our choice; ordinary aliases are far shorter).
MAX_ALIAS_CHARACTERS = 64

# Locating an error takes time for each line before it (our choice: five times the default limit of tokens).
MAX_LINES = 10_000

# Characters of a document for each token that it may have (our choice: six times what formatted documents need).
CHARACTERS_PER_TOKEN = 64

# Longer documents may contain only names and white space: a character of a string, comment or number takes up to three
# times as long to read. They may have only a few tokens, so that reading and validation do not both take long.
MAX_TOKENS_OF_LONG_DOCUMENTS = 100
MAX_DIGITS_OF_LONG_DOCUMENTS = 1_000


@dataclass(frozen=True, slots=True)
class Measure:
    """The depth of fields, and the numbers of aliases, top-level fields, all fields and introspection fields.

    A fragment counts at each spread.
    """

    depth: int = 0
    aliases: int = 0
    fields: int = 0
    all_fields: int = 0
    introspected: int = 0

    def combined(self, other: Measure) -> Measure:
        return Measure(
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.fields + other.fields,
            self.all_fields + other.all_fields,
            self.introspected + other.introspected,
        )


class _DocumentMeter:
    """Measures selections of one document. A fragment that spreads itself counts as empty: validation rejects it."""

    def __init__(self, document: DocumentNode, max_levels: int) -> None:
        self._fragments = fragments_of(document)
        self._measured: dict[str, Measure] = {}
        self._max_levels = max_levels

    def selection_set(self, node: SelectionSetNode | None, level: int = 0) -> Measure:
        # Reject unmeasured parts: skipping them would hide them from the other limits, too.
        if level > self._max_levels:
            raise QueryTooComplex("The operation is nested too deeply. Flatten it.")
        measure = Measure()
        for selection in node.selections if node else ():
            if isinstance(selection, FieldNode):
                measure = measure.combined(self._field(selection, level))
            elif isinstance(selection, FragmentSpreadNode):
                measure = measure.combined(self._fragment(selection.name.value, level))
            else:
                measure = measure.combined(self.selection_set(getattr(selection, "selection_set", None), level + 1))
        return measure

    def _field(self, node: FieldNode, level: int) -> Measure:
        if node.alias is not None and len(node.alias.value) > MAX_ALIAS_CHARACTERS:
            raise QueryTooComplex(f"An alias has more than {MAX_ALIAS_CHARACTERS} characters. Shorten it.")
        inside = self.selection_set(node.selection_set, level + 1)
        # A validation rule limits the depth of introspection separately.
        is_introspection = node.name.value in _INTROSPECTION
        return Measure(
            depth=1 if is_introspection else 1 + inside.depth,
            aliases=inside.aliases + (node.alias is not None),
            fields=1,
            all_fields=(LIST_FIELDS if node.name.value in _SCHEMA_LISTS else 1) + inside.all_fields,
            introspected=inside.all_fields if is_introspection else inside.introspected,
        )

    def _fragment(self, name: str, level: int) -> Measure:
        if name not in self._measured:
            self._measured[name] = Measure()
            fragment = self._fragments.get(name)
            self._measured[name] = self.selection_set(fragment.selection_set if fragment else None, level + 1)
        return self._measured[name]


def check_text(text: str, max_tokens: int) -> int:
    """Return the number of tokens that ``text`` may have, which is smaller for a long text.

    Raises QueryTooComplex if it has more than MAX_LINES lines, or long strings, comments or numbers.
    """
    if text.count("\n") + text.count("\r") > MAX_LINES:
        raise QueryTooComplex(f"The document has more than {MAX_LINES} lines. Split it up.")
    max_characters = CHARACTERS_PER_TOKEN * max_tokens
    if len(text) <= max_characters:
        return max_tokens
    if '"' in text or "#" in text or sum(map(text.count, digits)) > MAX_DIGITS_OF_LONG_DOCUMENTS:
        raise QueryTooComplex(
            f"The document has more than {max_characters} characters. Send long values in variables, or split it up."
        )
    return MAX_TOKENS_OF_LONG_DOCUMENTS


def check_document(document: DocumentNode, limits: Limits, tokens: int) -> int:
    """Return the most root fields of an operation of ``document``. Raises QueryTooComplex if one exceeds a limit."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if tokens > limits.max_query_tokens and not all(map(_is_introspection, operations)):
        raise _too_complex("tokens", tokens, limits.max_query_tokens)
    # Inline fragments and spreads nest without adding levels of fields; allow some, far below Python's recursion limit.
    meter = _DocumentMeter(document, max_levels=4 * limits.max_query_depth + 40)
    root_fields = 0
    for operation in operations:
        measure = meter.selection_set(operation.selection_set)
        root_fields = max(root_fields, measure.fields)
        for what, value, bound in (
            ("levels", measure.depth, limits.max_query_depth),
            ("aliases", measure.aliases, limits.max_query_aliases),
            ("root fields", measure.fields, limits.max_query_root_fields),
            ("fields about the schema, lists counted ten times", measure.introspected, MAX_INTROSPECTION_FIELDS),
        ):
            if value > bound:
                raise _too_complex(what, value, bound)
    return root_fields


def _is_introspection(operation: OperationDefinitionNode) -> bool:
    return all(
        isinstance(selection, FieldNode) and selection.name.value in _INTROSPECTION
        for selection in operation.selection_set.selections
    )


def _too_complex(what: str, value: int, bound: int) -> QueryTooComplex:
    return QueryTooComplex(f"The operation has {value} {what}, more than {bound}. Split it up.")


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
