"""Limits of one operation that depend on its variables: their size, and the number of rows it may return."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    SKIP,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    IntValueNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    VisitorAction,
    value_from_ast_untyped,
    visit,
)

from gateway.config.groups import Limits
from gateway.errors import BadUserInput, QueryTooComplex
from gateway.paging.window import DEFAULT_PAGE_ROWS
from schema.execution.limits import fragments_of

# graphql-core copies an object into the message about each unknown field (our choice: ten times the widest input).
MAX_OBJECT_MEMBERS = 100

# All variables together may be as large as this many of the longest filters (our choice).
LONG_FILTERS = 3

# The members of a connection that list its rows.
_ROW_LISTS = ("nodes", "edges")

# A row of ``edges`` with all thirteen fields and a cursor.
VALUES_PER_ROW = 14

# One full page may always be selected as both ``nodes`` and ``edges``, even if only one root field is allowed.
_MIN_PAGES = len(_ROW_LISTS)


def variable_uses(node: Node) -> Counter[str]:
    """Return the number of uses of each variable in a document or in a part of it."""
    counter = _UseCounter()
    visit(node, counter)
    return counter.uses


class _UseCounter(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.uses: Counter[str] = Counter()

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> VisitorAction:
        """Skip definitions: neither they nor their defaults use a variable."""
        return SKIP

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.uses[node.name.value] += 1


def check_cost(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any] | None,
    uses: Mapping[str, int],
    limits: Limits,
) -> None:
    """Raise BadUserInput or QueryTooComplex if an operation costs too much with these variables."""
    values = {**_defaults(operation), **(variables or {})}
    check_variables(values, uses, limits.max_filter_bytes)
    _check_rows(document, operation, values, limits)


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    return {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }


def check_variables(variables: Mapping[str, Any], uses: Mapping[str, int], max_filter_bytes: int) -> None:
    """Raise BadUserInput if a variable has too wide an object, or all variables together have too many values.

    A variable counts once for each use: each use converts its objects to inputs again, which costs far more than
    parsing them.
    """
    # The shortest comparison takes thirty bytes of encoded text and three objects.
    max_values = LONG_FILTERS * max(100, max_filter_bytes // 10)
    value_count = 0
    for name, use_count in uses.items():
        value = variables.get(name)
        value_count += use_count * (_count_values(name, value, max_values) if isinstance(value, dict | list) else 1)
        if value_count > max_values:
            raise BadUserInput(
                f"The value of '{name}' is too large: counting each use, variables have over {max_values} objects and"
                f" list members. About {max_filter_bytes // 40} values fit into a filter; split it over"
                " several queries.",
                argument=name,
            )


def _count_values(name: str, value: Any, max_values: int) -> int:
    """Count the objects and other list members in ``value``, at any depth; stop soon after ``max_values``."""
    count, stack = 0, [value]
    while stack and count <= max_values:
        part = stack.pop()
        if isinstance(part, dict):
            if len(part) > MAX_OBJECT_MEMBERS:
                raise BadUserInput(
                    f"The value of '{name}' has an object with more than {MAX_OBJECT_MEMBERS} members. No input has so"
                    " many fields; remove the unknown ones.",
                    argument=name,
                )
            count += 1
            stack.extend(inner for inner in part.values() if isinstance(inner, dict | list))
        elif count + len(part) > max_values:
            return max_values + 1
        else:
            count += sum(not isinstance(member, dict) for member in part)
            stack.extend(member for member in part if isinstance(member, dict | list))
    return count


def _check_rows(
    document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any], limits: Limits
) -> None:
    """Raise QueryTooComplex if ``operation`` may return more rows or values than the largest allowed pages have.

    A row counts once for each list that contains it: ``nodes`` and ``edges``, and each of their aliases.
    """
    fragments = fragments_of(document)
    pages: dict[str, tuple[int, dict[str, set[str]]]] = {}
    for field in _fields(operation.selection_set, fragments):
        _, lists = pages.setdefault(_key(field), (_page_rows(field, variables, limits.max_first_rows), {}))
        for inner in _fields(field.selection_set, fragments):
            if inner.name.value in _ROW_LISTS:
                lists.setdefault(_key(inner), set()).update(_value_keys(inner, fragments))
    rows = sum(page_rows * len(lists) for page_rows, lists in pages.values())
    max_rows = limits.max_first_rows * max(_MIN_PAGES, limits.max_query_root_fields)
    values = sum(page_rows * sum(map(len, lists.values())) for page_rows, lists in pages.values())
    if rows > max_rows:
        raise QueryTooComplex(
            f"The operation may return {rows} rows, more than {max_rows}; a row counts for each of 'nodes', 'edges'"
            " and their aliases. Request fewer rows, or each of them once."
        )
    if values > VALUES_PER_ROW * max_rows:
        raise QueryTooComplex(
            f"The operation may return {values} values, more than {VALUES_PER_ROW * max_rows}. Request fewer rows, or"
            " each field once."
        )


def _value_keys(field: FieldNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[str]:
    """Yield the key of each value in a row of a list; keys of ``edges`` and of their ``node`` differ."""
    for inner in _fields(field.selection_set, fragments):
        if inner.selection_set is None:
            yield _key(inner)
        else:
            for value in _fields(inner.selection_set, fragments):
                yield f"{_key(inner)}.{_key(value)}"


def _fields(selection_set: SelectionSetNode | None, fragments: Mapping[str, FragmentDefinitionNode]) -> list[FieldNode]:
    """Return the fields of one object, ignoring directives; each fragment counts once, as in execution."""
    fields: list[FieldNode] = []
    spread: set[str] = set()
    stack = [selection_set]
    while stack:
        part = stack.pop()
        for selection in part.selections if part else ():
            if isinstance(selection, FieldNode):
                fields.append(selection)
            elif not isinstance(selection, FragmentSpreadNode):
                stack.append(getattr(selection, "selection_set", None))
            elif selection.name.value not in spread and selection.name.value in fragments:
                spread.add(selection.name.value)
                stack.append(fragments[selection.name.value].selection_set)
    return fields


def _key(field: FieldNode) -> str:
    return (field.alias or field.name).value


def _page_rows(field: FieldNode, variables: Mapping[str, Any], max_rows: int) -> int:
    """Return the most rows that a page of ``field`` may have. Coercion reports invalid values with a better error."""
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
