"""Bounds of one operation that hang on its variables: what they hold, and how many rows it may show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from graphql import (
    SKIP,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    VisitorAction,
    value_from_ast_untyped,
    visit,
)

from gateway.errors import BadUserInput, QueryTooComplex
from gateway.paging.window import DEFAULT_PAGE_ROWS
from schema.execution.context import Limits
from schema.execution.limits import fragments_of

# The members of a connection that list its rows.
_ROW_LISTS = ("nodes", "edges")

# A page may always be shown both ways, however few root fields are allowed.
_MIN_PAGES = len(_ROW_LISTS)


def variable_uses(document: DocumentNode) -> Counter[str]:
    """How often each variable is used in ``document``."""
    counting = _UseCounter()
    visit(document, counting)
    return counting.uses


class _UseCounter(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.uses: Counter[str] = Counter()

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> VisitorAction:
        """A definition is no use, and its default holds none."""
        return SKIP

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        """Count one use."""
        self.uses[node.name.value] += 1


def check_cost(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any] | None,
    uses: Mapping[str, int],
    limits: Limits,
) -> None:
    """Raise BadUserInput or QueryTooComplex when the values that an operation is run with make it cost too much."""
    given = {**_defaults(operation), **(variables or {})}
    _check_variables(given, uses, limits)
    _check_rows(document, operation, given, limits)


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    return {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }


def _check_variables(given: Mapping[str, Any], uses: Mapping[str, int], limits: Limits) -> None:
    """Raise BadUserInput, naming the variable, when together they hold more than any filters that may be sent.

    A variable counts once for each use: every use turns its objects into inputs anew, which costs far more than reading
    them once.
    """
    # The shortest comparison takes thirty bytes of encoded text and three objects; each root field has a filter.
    max_values = max(100, limits.max_filter_bytes // 10) * limits.max_query_root_fields
    found = 0
    for name, value in given.items():
        found += uses.get(name, 0) * (_values(value, max_values) if isinstance(value, dict | list) else 1)
        if found > max_values:
            raise BadUserInput(
                f"Variable '{name}' is too large: each use counted, the variables hold more than {max_values} objects"
                f" and list members. About {limits.max_filter_bytes // 40} values fit into a filter; ask in several"
                " questions.",
                argument=name,
            )


def _values(value: Any, enough: int) -> int:
    """How many objects and other list members ``value`` holds, at any depth; counting ends soon behind ``enough``."""
    found, waiting = 0, [value]
    while waiting and found <= enough:
        part = waiting.pop()
        if isinstance(part, dict):
            found += 1
            waiting.extend(inner for inner in part.values() if isinstance(inner, dict | list))
        else:
            found += sum(not isinstance(member, dict) for member in part)
            waiting.extend(member for member in part if isinstance(member, dict | list))
    return found


def _check_rows(
    document: DocumentNode, operation: OperationDefinitionNode, given: Mapping[str, Any], limits: Limits
) -> None:
    """Raise QueryTooComplex when ``operation`` may show more rows than its root fields' largest pages have.

    A row counts once for each list that shows it: ``nodes`` beside ``edges``, and either under several aliases.
    """
    fragments = fragments_of(document)
    pages: dict[str, tuple[int, set[str]]] = {}
    for field in _fields(operation.selection_set, fragments):
        _, lists = pages.setdefault(_key(field), (_page_rows(field, given, limits.max_first_rows), set()))
        lists.update(_key(inner) for inner in _fields(field.selection_set, fragments) if inner.name.value in _ROW_LISTS)
    rows = sum(page_rows * len(lists) for page_rows, lists in pages.values())
    max_rows = limits.max_first_rows * max(_MIN_PAGES, limits.max_query_root_fields)
    if rows > max_rows:
        raise QueryTooComplex(
            f"The operation may show {rows} rows, more than {max_rows}; a row counts for each of 'nodes', 'edges' and"
            " their aliases. Ask for fewer rows, or each of them once."
        )


def _fields(selection_set: SelectionSetNode | None, fragments: Mapping[str, FragmentDefinitionNode]) -> list[FieldNode]:
    """The fields of one object, whatever the directives say; each fragment's once, as execution collects them."""
    found: list[FieldNode] = []
    seen: set[str] = set()
    waiting = [selection_set]
    while waiting:
        part = waiting.pop()
        for selection in part.selections if part else ():
            if isinstance(selection, FieldNode):
                found.append(selection)
            elif not isinstance(selection, FragmentSpreadNode):
                waiting.append(getattr(selection, "selection_set", None))
            elif selection.name.value not in seen and selection.name.value in fragments:
                seen.add(selection.name.value)
                waiting.append(fragments[selection.name.value].selection_set)
    return found


def _key(field: FieldNode) -> str:
    return (field.alias or field.name).value


def _page_rows(field: FieldNode, variables: Mapping[str, Any], max_rows: int) -> int:
    """The most rows of a page of ``field``. What is no number of rows is told later, with a better error."""
    for argument in field.arguments or ():
        if argument.name.value in ("first", "last"):
            value: Any = argument.value
            if isinstance(value, VariableNode):
                value = variables.get(value.name.value)
            elif isinstance(value, IntValueNode):
                value = int(value.value)
            if isinstance(value, int | float):
                return int(max(0, min(value, max_rows)))
    return min(DEFAULT_PAGE_ROWS, max_rows)
