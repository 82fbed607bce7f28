"""The Query field of a dataset: one resolver for all datasets."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import strawberry
from strawberry import UNSET, Info
from strawberry.utils.str_converters import to_camel_case

from gateway.paging.window import page_arguments
from gateway.query import FALSE, TRUE, Dataset, Derived, Measure, PageQuery
from schema.connection import EMPTY, Connection, ConnectionResult, read_connection
from schema.execution.context import OperationContext
from schema.filters import to_filter
from schema.scalars import DateTime, Long, upstream_date

_DESCRIPTIONS = {
    "filter": 'Which rows count. Example: `{serviceCode: {eq: "o365"}}`.',
    "group_by": "Add the counts up over these dimensions; the others are null then. The order is part of the question."
    " Example: `[PRODUCT_NAME]`.",
    "processed_date_time": "Rows as processed at this date, instead of the latest. The report cannot list its dates;"
    " one at which nothing was processed has no rows. Example: `2018-10-14`.",
    "first": "Page forward: at most this many rows; 100 when neither `first` nor `last` is given. Example: `100`.",
    "after": "Page forward: rows behind this cursor.",
    "last": "Page backward: at most this many rows, the last ones.",
    "before": "Page backward: rows ahead of this cursor.",
    "offset": "Jump: start at this row, counted from 0. Goes with `first` alone. Example: `5000`.",
}


def row_type(node: type) -> type[msgspec.Struct]:
    """Return the struct that rows are decoded to: flat, frozen, with the fields of the GraphQL type ``node``."""
    kinds: dict[Any, Any] = {Long: Measure}
    fields = [(name, kinds.get(_bare(kind), str) | None, None) for name, kind in _annotations(node).items()]
    return msgspec.defstruct(f"{node.__name__}Row", fields, rename="camel", frozen=True, gc=False)


def dataset(
    node: type,
    *,
    name: str,
    path: str,
    service: str,
    derived: Derived | None = None,
    not_additive: tuple[str, ...] = (),
) -> Dataset:
    """Return the Dataset of a GraphQL type: its dimensions are text, its measures Longs, its date a DateTime."""
    kinds = {to_camel_case(field): _bare(kind) for field, kind in _annotations(node).items()}
    (date,) = (field for field, kind in kinds.items() if kind is DateTime)
    return Dataset(
        name=name,
        path=path,
        row=row_type(node),
        dimensions=tuple(field for field, kind in kinds.items() if kind is str),
        measures=tuple(field for field, kind in kinds.items() if kind is Long),
        date=date,
        service=service,
        derived=derived,
        not_additive=not_additive,
    )


def connection_field(dataset: Dataset, node: type, dimension: type, filter_input: type, description: str) -> Any:
    """Return the Query field of ``dataset``: a connection of ``node`` with the arguments that all datasets share."""

    async def resolve(
        info: Info[OperationContext],
        filter: Any = UNSET,
        group_by: Any = UNSET,
        processed_date_time: Any = UNSET,
        first: Any = UNSET,
        after: Any = UNSET,
        last: Any = UNSET,
        before: Any = UNSET,
        offset: Any = UNSET,
    ) -> Any:
        context = info.context
        # Require a token before reading the arguments, which may be long.
        caller = context.caller()
        # An explicit null is the same as leaving the argument out.
        limits, upstream, date = context.limits, context.sources.upstream, _or_none(processed_date_time)
        query = page_query(upstream, dataset, filter or None, group_by or (), date, limits.max_filter_bytes)
        arguments = page_arguments(
            first=_or_none(first),
            last=_or_none(last),
            after=_or_none(after),
            before=_or_none(before),
            offset=_or_none(offset),
            fingerprint=query.fingerprint,
            max_rows=limits.max_first_rows,
        )
        if query.filter == FALSE:
            return EMPTY
        result: ConnectionResult = await read_connection(
            context.sources.pages, query, caller, arguments, context.sources.sizes, context.snapshots
        )
        context.record(result, info.path.as_list())
        context.note_read(query, caller, result.connection)
        return result.connection

    resolve.__annotations__ = _resolver_annotations(node, dimension, filter_input)
    return strawberry.field(resolver=resolve, name=dataset.name, description=description)


def _resolver_annotations(node: type, dimension: type, filter_input: type) -> dict[str, Any]:
    """Return the annotations of a resolver. They depend on the dataset, so they are assigned at run time."""
    kinds: dict[str, Any] = {
        "filter": filter_input,
        "group_by": list[dimension],  # type: ignore[valid-type]
        "processed_date_time": DateTime,
        "first": int,
        "after": str,
        "last": int,
        "before": str,
        "offset": int,
    }
    return {
        "info": Info[OperationContext],
        **{name: _argument(kind, name) for name, kind in kinds.items()},
        "return": Connection[node] | None,  # type: ignore[valid-type]
    }


def _argument(kind: Any, name: str) -> Any:
    return Annotated[kind | None, strawberry.argument(description=_DESCRIPTIONS[name])]


def page_query(
    upstream: str,
    dataset: Dataset,
    filter_input: Any,
    group_by: Any,
    processed_date_time: str | None,
    max_filter_bytes: int,
) -> PageQuery:
    """Return the query of a field's arguments; without ``filter_input`` it covers every row. Raises BadUserInput."""
    row_filter = TRUE if filter_input is None else to_filter(filter_input, max_bytes=max_filter_bytes)
    return PageQuery(
        dataset=dataset,
        filter=None if row_filter == TRUE else row_filter,
        group_by=tuple(dict.fromkeys(dimension.value for dimension in group_by)),
        processed_date_time=(
            None if processed_date_time is None else upstream_date(processed_date_time, argument="processedDateTime")
        ),
        upstream=upstream,
    )


def _or_none(value: Any) -> Any:
    return None if value is UNSET else value


def _annotations(node: type) -> dict[str, Any]:
    return {field.python_name: field.type_annotation.annotation for field in node.__strawberry_definition__.fields}  # type: ignore[attr-defined]


def _bare(kind: Any) -> Any:
    return next((part for part in getattr(kind, "__args__", (kind,)) if part is not type(None)), kind)
