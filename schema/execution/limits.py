"""Bounds of one document, measured before it is validated: nested selections, aliases and root fields.

Each fragment is measured once, whatever the number of its spreads; libraries that expand fragments double their work
with every level of a chain.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from gateway.errors import QueryTooComplex
from schema.execution.context import Limits

# Tokens of the introspection queries that graphql-js and its tools send: 300 to 400, rounded up.
INTROSPECTION_TOKENS = 600

_INTROSPECTION = ("__schema", "__type")

# An alias is written once and repeated with every row (our choice; names that people give are far shorter).
MAX_ALIAS_CHARACTERS = 64

# Each error counts the lines up to where it is (our choice: five times as many as tokens, whoever writes one a line).
MAX_LINES = 10_000


@dataclass(frozen=True, slots=True)
class Measure:
    """Levels of fields, aliases, and fields at the top of a selection, fragments counted at each spread."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0

    def beside(self, other: Measure) -> Measure:
        """Both in one selection set."""
        return Measure(max(self.depth, other.depth), self.aliases + other.aliases, self.fields + other.fields)


class _Meter:
    """Measures selections of one document. A fragment that spreads itself counts as empty: validation refuses it."""

    def __init__(self, document: DocumentNode, max_levels: int) -> None:
        self._fragments = fragments_of(document)
        self._measured: dict[str, Measure] = {}
        self._max_levels = max_levels

    def selection_set(self, node: SelectionSetNode | None, level: int = 0) -> Measure:
        # What is not measured must not run: leaving it out would hide it from every other limit, too.
        if level > self._max_levels:
            raise QueryTooComplex("The operation is nested too deeply. Flatten it.")
        found = Measure()
        for selection in node.selections if node else ():
            if isinstance(selection, FieldNode):
                found = found.beside(self._field(selection, level))
            elif isinstance(selection, FragmentSpreadNode):
                found = found.beside(self._fragment(selection.name.value, level))
            else:
                found = found.beside(self.selection_set(getattr(selection, "selection_set", None), level + 1))
        return found

    def _field(self, node: FieldNode, level: int) -> Measure:
        if node.alias is not None and len(node.alias.value) > MAX_ALIAS_CHARACTERS:
            raise QueryTooComplex(f"An alias has more than {MAX_ALIAS_CHARACTERS} characters. Shorten it.")
        inside = self.selection_set(node.selection_set, level + 1)
        # Introspection has a depth of its own, which validation bounds by a rule made for it.
        depth = 1 if node.name.value in _INTROSPECTION else 1 + inside.depth
        return Measure(depth, inside.aliases + (node.alias is not None), 1)

    def _fragment(self, name: str, level: int) -> Measure:
        if name not in self._measured:
            self._measured[name] = Measure()
            fragment = self._fragments.get(name)
            self._measured[name] = self.selection_set(fragment.selection_set if fragment else None, level + 1)
        return self._measured[name]


def check_text(text: str) -> None:
    """Raise QueryTooComplex when a text has too many lines to be read."""
    if text.count("\n") + text.count("\r") > MAX_LINES:
        raise QueryTooComplex(f"The document has more than {MAX_LINES} lines. Split it up.")


def check_document(document: DocumentNode, limits: Limits, tokens: int) -> None:
    """Raise QueryTooComplex when an operation of ``document`` is over a limit."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if tokens > limits.max_query_tokens and not all(map(_is_introspection, operations)):
        raise _too_complex("tokens", tokens, limits.max_query_tokens)
    # Inline fragments and spreads nest without being levels of fields. The room for them keeps Python's stack far away.
    meter = _Meter(document, max_levels=4 * limits.max_query_depth + 40)
    for operation in operations:
        found = meter.selection_set(operation.selection_set)
        for what, value, bound in (
            ("levels", found.depth, limits.max_query_depth),
            ("aliases", found.aliases, limits.max_query_aliases),
            ("root fields", found.fields, limits.max_query_root_fields),
        ):
            if value > bound:
                raise _too_complex(what, value, bound)


def _is_introspection(operation: OperationDefinitionNode) -> bool:
    return all(
        isinstance(selection, FieldNode) and selection.name.value in _INTROSPECTION
        for selection in operation.selection_set.selections
    )


def _too_complex(what: str, value: int, bound: int) -> QueryTooComplex:
    return QueryTooComplex(f"The operation has {value} {what}, more than {bound}. Split it up.")


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """The fragments of ``document`` by their names."""
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
