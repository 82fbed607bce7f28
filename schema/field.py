"""The Query field of a dataset: one resolver for all datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import strawberry
from strawberry import UNSET, Info

from gateway.dataset import Dataset
from gateway.paging.window import page_arguments
from gateway.query import FALSE, TRUE, PageQuery
from schema.answers import ConnectionRequest, answer
from schema.connection_types import Connection
from schema.execution.context import OperationContext
from schema.filters import to_filter
from schema.refinements import to_refinement
from schema.scalars import DateTime, upstream_date
from schema.view_connection import fingerprint_of

# Formatted with names of the dataset.
_DESCRIPTIONS = {
    "filter": 'Which rows count. Example: `{{serviceCode: {{eq: "o365"}}}}`.',
    "group_by": "Add the counts up over these dimensions; the others are null then. The order is part of the question."
    " Example: `[PRODUCT_NAME]`.",
    "processed_date_time": "Rows as processed at this date, instead of the latest. The report cannot list its dates;"
    " one at which nothing was processed has no rows. Example: `2018-10-14`.",
    "search": "Rows or groups that contain each of these words in some text field, in any case and with any accents. At"
    " most 200 characters. Example: `contoso teams`.",
    "having": "Which rows or groups to keep, by their numbers. Example: `{{{measure}: {{gt: 100}}}}`.",
    "order_by": "The order of all rows or groups, instead of the upstream's. Example:"
    " `[{{field: {order_field}, direction: DESC}}]`.",
    "first": "Page forward: at most this many rows; 100 when neither `first` nor `last` is given. Example: `100`.",
    "after": "Page forward: rows behind this cursor.",
    "last": "Page backward: at most this many rows, the last ones.",
    "before": "Page backward: rows ahead of this cursor.",
    "offset": "Jump: start at this row, counted from 0. Goes with `first` alone. Example: `5000`.",
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """The types of a dataset's arguments."""

    dimension: type
    filter: type
    having: type
    order: type


def connection_field(dataset: Dataset, node: type, totals: type, inputs: Inputs, description: str) -> Any:
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
        search: Any = UNSET,
        having: Any = UNSET,
        order_by: Any = UNSET,
    ) -> Any:
        context = info.context
        # Require a token before reading the arguments, which may be long.
        caller = context.caller()
        # An explicit null is the same as leaving the argument out.
        limits, upstream, date = context.limits, context.sources.upstream, _or_none(processed_date_time)
        query = page_query(upstream, dataset, filter or None, group_by or (), date, limits.max_filter_bytes)
        refinement = to_refinement(query, _or_none(search), _or_none(having), _or_none(order_by))
        places = {"first": first, "last": last, "after": after, "before": before, "offset": offset}
        arguments = page_arguments(
            **{name: _or_none(place) for name, place in places.items()},
            fingerprint=fingerprint_of(query, refinement),
            max_rows=limits.max_first_rows,
        )
        request = ConnectionRequest.of(info._raw_info, query, refinement, arguments)
        result = await answer(context, request, caller)
        if query.filter != FALSE:
            context.record(result, info.path.as_list())
        return result.connection

    resolve.__annotations__ = _resolver_annotations(dataset, node, totals, inputs)
    return strawberry.field(resolver=resolve, name=dataset.name, description=description)


def _resolver_annotations(dataset: Dataset, node: type, totals: type, inputs: Inputs) -> dict[str, Any]:
    """Return the annotations of a resolver. They depend on the dataset, so they are assigned at run time."""
    kinds: dict[str, Any] = {
        "filter": inputs.filter,
        "group_by": list[inputs.dimension],  # type: ignore[name-defined]
        "processed_date_time": DateTime,
        "first": int,
        "after": str,
        "last": int,
        "before": str,
        "offset": int,
        "search": str,
        "having": inputs.having,
        "order_by": list[inputs.order],  # type: ignore[name-defined]
    }
    return {
        "info": Info[OperationContext],
        **{name: _argument(kind, name, dataset) for name, kind in kinds.items()},
        "return": Connection[node, totals] | None,  # type: ignore[valid-type]
    }


def _argument(kind: Any, name: str, dataset: Dataset) -> Any:
    measure = dataset.example_measure
    description = _DESCRIPTIONS[name].format(measure=measure, order_field=dataset.members[measure].upper())
    return Annotated[kind | None, strawberry.argument(description=description)]


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
