"""Any operation with one connection as the question for one of its pages, and the columns that its rows have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

from gateway.query import Dataset
from schema.build import DATASETS, build_schema
from schema.export.arguments import ARGUMENTS, declared

# The variables that choose a page.
FIRST, AFTER = "exportFirst", "exportAfter"

_PAGING = frozenset({"first", "after", "last", "before", "offset"})


class NotExportable(Exception):
    """The operation has not the one connection with fixed columns that an export is made of."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name, and whether it holds numbers."""

    name: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class ExportDocument:
    """An operation that takes FIRST and AFTER, and answers under ``field`` with a page of rows of ``columns``."""

    text: str
    field: str
    columns: tuple[Column, ...]


def default_text() -> str:
    """The operation that asks the first dataset for all its fields; its variables are the question's arguments."""
    dataset, _ = DATASETS[0]
    arguments = ", ".join(f"{name}: ${name}" for name in ARGUMENTS)
    fields = " ".join(dataset.attributes)
    declarations = declared(build_schema(), dataset)
    return f"query Export({declarations}) {{ {dataset.name}({arguments}) {{ nodes {{ {fields} }} }} }}"


def export_document(text: str) -> ExportDocument:
    """The operation in ``text`` made to walk. Its own paging and what it asks beside rows is left out.

    Raises NotExportable. Whether it fits the schema is for the gateway that it is sent to.
    """
    try:
        document = parse(text)
    except (GraphQLError, RecursionError) as error:
        raise NotExportable(getattr(error, "message", "The document is nested too deeply.")) from None
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    operation = _one([node for node in document.definitions if isinstance(node, OperationDefinitionNode)])
    root = [node for node in _flat(operation.selection_set, fragments) if node.name.value != "__typename"]
    if operation.operation is not OperationType.QUERY or len(root) != 1:
        raise NotExportable("The operation must be a query for one connection, and nothing beside it.")
    rows = _columns(_rows(root[0], fragments))
    numbers = _numbers(root[0].name.value)
    return ExportDocument(
        text=_text(operation, root[0], list(rows.values())),
        field=_name(root[0]),
        columns=tuple(Column(name, node.name.value in numbers) for name, node in rows.items()),
    )


def _one(operations: list[OperationDefinitionNode]) -> OperationDefinitionNode:
    if len(operations) != 1:
        raise NotExportable("The document must have one operation.")
    return operations[0]


def _flat(
    selections: SelectionSetNode | None, fragments: Mapping[str, FragmentDefinitionNode], within: tuple[str, ...] = ()
) -> Iterator[FieldNode]:
    """The fields of a selection with those of its fragments."""
    for node in selections.selections if selections else ():
        if node.directives:
            raise NotExportable("Directives cannot be exported: which columns there are must not depend on anything.")
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode):
            yield from _flat(node.selection_set, fragments, within)
        elif isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name not in fragments or name in within:
                raise NotExportable(f"The fragment '{name}' is not defined, or spreads itself.")
            yield from _flat(fragments[name].selection_set, fragments, (*within, name))


def _rows(connection: FieldNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[FieldNode]:
    """What is asked of each row."""
    for node in _flat(connection.selection_set, fragments):
        if node.name.value == "nodes":
            yield from _flat(node.selection_set, fragments)
        elif node.name.value == "edges":
            for inner in _flat(node.selection_set, fragments):
                if inner.name.value == "node":
                    yield from _flat(inner.selection_set, fragments)


def _columns(rows: Iterator[FieldNode]) -> dict[str, FieldNode]:
    """The fields of a row by their columns' names."""
    found: dict[str, FieldNode] = {}
    for node in rows:
        name = _name(node)
        if node.selection_set is not None or found.setdefault(name, node).name.value != node.name.value:
            raise NotExportable(f"'{name}' is not one column: its field has fields, or there are two of that name.")
    if not found:
        raise NotExportable("The connection must be asked for `nodes { … }` or `edges { node { … } }`.")
    return found


def _name(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


def _numbers(field: str) -> frozenset[str]:
    datasets: Iterator[Dataset] = (dataset for dataset, _ in DATASETS if dataset.name == field)
    return frozenset(name for dataset in datasets for name in dataset.measures)


def _text(operation: OperationDefinitionNode, connection: FieldNode, rows: list[FieldNode]) -> str:
    given = [node for node in connection.arguments or () if node.name.value not in _PAGING]
    used = {name for node in (*given, *rows) for name in _variables(node)}
    declared = [node for node in operation.variable_definitions or () if node.variable.name.value in used]
    declarations = ", ".join([f"${FIRST}: Int", f"${AFTER}: String", *map(print_ast, declared)])
    arguments = ", ".join([f"first: ${FIRST}", f"after: ${AFTER}", *map(print_ast, given)])
    alias = f"{connection.alias.value}: " if connection.alias else ""
    fields = " ".join(map(print_ast, rows))
    return (
        f"query {operation.name.value if operation.name else 'Export'}({declarations}) {{"
        f" {alias}{connection.name.value}({arguments}) {{"
        f" totalCount pageInfo {{ hasNextPage endCursor }} nodes {{ {fields} }} }} }}"
    )


def _variables(node: Node) -> set[str]:
    found: set[str] = set()

    class Collect(Visitor):
        def enter_variable(self, node: VariableNode, *_: Any) -> None:
            found.add(node.name.value)

    visit(node, Collect())
    return found
