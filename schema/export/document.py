"""Convert an operation with one connection to an operation for one page, and determine the columns of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
    print_ast,
)

from gateway.dataset import Dataset
from schema.build import DATASETS
from schema.execution.cost import variable_uses

# The variables that select a page.
FIRST, AFTER = "exportFirst", "exportAfter"

_PAGING = frozenset({"first", "after", "last", "before", "offset"})

# The arguments that the gateway applies itself, to all rows of the query.
REFINEMENTS = frozenset({"search", "having", "orderBy"})


class NotExportable(Exception):
    """The operation does not have exactly one connection with fixed columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name and kind. A rate is a float; other numbers are integers."""

    name: str
    is_number: bool
    is_rate: bool = False


@dataclass(frozen=True, slots=True)
class ExportDocument:
    """An operation with the variables FIRST and AFTER, which returns a page of ``columns`` under ``field``.

    ``reads_all_rows`` is True if the gateway may have to read all rows before the first page.
    """

    text: str
    field: str
    columns: tuple[Column, ...]
    reads_all_rows: bool = False


def dataset_columns(dataset: Dataset) -> tuple[Column, ...]:
    return tuple(Column(name, name in dataset.measures) for name in dataset.attributes)


def export_document(text: str) -> ExportDocument:
    """Convert the operation in ``text`` to one for single pages. Its own paging and selections beside rows are dropped.

    Raises NotExportable. The gateway that receives the operation validates it against the schema.
    """
    try:
        document = parse(text)
    except (GraphQLError, RecursionError) as error:
        raise NotExportable(getattr(error, "message", "The document is nested too deeply. Flatten it.")) from None
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    operation = _one([node for node in document.definitions if isinstance(node, OperationDefinitionNode)])
    root = [node for node in _flat(operation.selection_set, fragments) if node.name.value != "__typename"]
    if operation.operation is not OperationType.QUERY or len(root) != 1:
        raise NotExportable("The operation must be a query for one connection, and nothing beside it.")
    rows = _columns(_rows(root[0], fragments))
    numbers, rates = _numbers(root[0].name.value)
    return ExportDocument(
        text=_text(operation, root[0], list(rows.values())),
        field=_name(root[0]),
        columns=tuple(
            Column(name, node.name.value in numbers, node.name.value in rates) for name, node in rows.items()
        ),
        reads_all_rows=_reads_all_rows(root[0], list(rows.values())),
    )


def _one(operations: list[OperationDefinitionNode]) -> OperationDefinitionNode:
    if len(operations) != 1:
        raise NotExportable("The document must have one operation.")
    return operations[0]


def _flat(
    selections: SelectionSetNode | None, fragments: Mapping[str, FragmentDefinitionNode], within: tuple[str, ...] = ()
) -> Iterator[FieldNode]:
    """Yield the fields of a selection and of its fragments."""
    for node in selections.selections if selections else ():
        if node.directives:
            raise NotExportable("Directives cannot be exported, because the columns must be fixed. Remove them.")
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode):
            yield from _flat(node.selection_set, fragments, within)
        elif isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name not in fragments or name in within:
                raise NotExportable(
                    f"The fragment '{name}' is undefined or spreads itself. Define it, or remove the cycle."
                )
            yield from _flat(fragments[name].selection_set, fragments, (*within, name))


def _rows(connection: FieldNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[FieldNode]:
    for node in _flat(connection.selection_set, fragments):
        if node.name.value == "nodes":
            yield from _flat(node.selection_set, fragments)
        elif node.name.value == "edges":
            for inner in _flat(node.selection_set, fragments):
                if inner.name.value == "node":
                    yield from _flat(inner.selection_set, fragments)


def _columns(rows: Iterator[FieldNode]) -> dict[str, FieldNode]:
    columns: dict[str, FieldNode] = {}
    for node in rows:
        name = _name(node)
        if node.selection_set is not None or columns.setdefault(name, node).name.value != node.name.value:
            raise NotExportable(f"'{name}' is not a single column: select fields without subfields, each name once.")
    if not columns:
        raise NotExportable("The connection must select `nodes { … }` or `edges { node { … } }`.")
    return columns


def _name(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


def _numbers(field: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the measures of the dataset that ``field`` queries, and its rates."""
    datasets: list[Dataset] = [dataset for dataset, _ in DATASETS if dataset.name == field]
    names = {name for dataset in datasets for name in (*dataset.measures, *dataset.exceptional)}
    rates = {rate.name for dataset in datasets for rate in dataset.rates}
    return frozenset(names | rates), frozenset(rates)


def _reads_all_rows(connection: FieldNode, rows: list[FieldNode]) -> bool:
    arguments = {node.name.value for node in connection.arguments or ()}
    # The gateway makes groups with these measures itself.
    exceptional = {name for dataset, _ in DATASETS for name in dataset.exceptional}
    return bool(
        arguments & REFINEMENTS or ("groupBy" in arguments and exceptional & {node.name.value for node in rows})
    )


def _text(operation: OperationDefinitionNode, connection: FieldNode, rows: list[FieldNode]) -> str:
    kept_arguments = [node for node in connection.arguments or () if node.name.value not in _PAGING]
    used = {name for node in (*kept_arguments, *rows) for name in variable_uses(node)}
    declared = [node for node in operation.variable_definitions or () if node.variable.name.value in used]
    declarations = ", ".join([f"${FIRST}: Int", f"${AFTER}: String", *map(print_ast, declared)])
    arguments = ", ".join([f"first: ${FIRST}", f"after: ${AFTER}", *map(print_ast, kept_arguments)])
    alias = f"{connection.alias.value}: " if connection.alias else ""
    fields = " ".join(map(print_ast, rows))
    return (
        f"query {operation.name.value if operation.name else 'Export'}({declarations}) {{"
        f" {alias}{connection.name.value}({arguments}) {{"
        f" totalCount pageInfo {{ hasNextPage endCursor }} nodes {{ {fields} }} }} }}"
    )
