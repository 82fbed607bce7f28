"""Relay connections over a view: all rows or groups of a query, searched, selected and ordered."""

from __future__ import annotations

import hashlib

from gateway.dataset import Dataset
from gateway.page import out_of_range_warnings
from gateway.paging.window import PageArguments, changed_since_cursor, window_of
from gateway.query import PageQuery
from gateway.scanning.view import View
from gateway.views.refinement import Refinement
from schema.connection import ConnectionResult, ConnectionValue, PageInfoValue, Piece, TotalsValue
from schema.execution.selected_fields import SelectedFields


def fingerprint_of(query: PageQuery, refinement: Refinement) -> bytes:
    """Return the digest that is part of each cursor of a refined query; without refinement, the query's own."""
    if not refinement.text:
        return query.fingerprint
    return hashlib.blake2b(
        f"{query.question}\n{refinement.text}".encode("utf-8", "surrogatepass"), digest_size=8
    ).digest()


async def view_connection(
    view: View, query: PageQuery, refinement: Refinement, arguments: PageArguments, selected: SelectedFields
) -> ConnectionResult:
    """Return the rows of ``view`` that the arguments select. Raises SnapshotChanged for cursors of another view."""
    numbers = await view.numbers(refinement)
    if any(bound.mark != view.mark or bound.offset >= len(numbers) for bound in arguments.cursors):
        raise changed_since_cursor(view.reading.snapshot)
    start, stop = window_of(arguments, len(numbers))
    shown = numbers[start:stop]
    dataset = query.dataset
    rows = await view.items(shown, dataset.group_row if view.is_by_rows else dataset.row)
    fingerprint = fingerprint_of(query, refinement)
    pieces = (Piece(start, rows, fingerprint, view.mark, None),) if rows else ()
    ends = (pieces[0].cursor(0), pieces[0].cursor(-1)) if pieces else (None, None)
    page_info = PageInfoValue(stop < len(numbers), start > 0, *ends)
    total_count = None if view.is_incomplete else len(numbers)
    totals, out_of_range = await view_totals(view, query, refinement, selected)
    # Measures of order and condition count in all rows, the other measures on the page alone.
    out_of_range += await view.out_of_range(refinement.fields)
    out_of_range += await view.out_of_range(selected.rows - refinement.fields, shown)
    return ConnectionResult(
        ConnectionValue(pieces, page_info, total_count, dataset.members, totals=totals),
        [*view.warnings, *out_of_range_warnings(out_of_range)],
        [view.cache],
        [view.fetched_at],
    )


async def view_totals(
    view: View, query: PageQuery, refinement: Refinement, selected: SelectedFields
) -> tuple[TotalsValue | None, int]:
    """Return the totals, and the number of selected ones that do not fit into 64 bits.

    The totals are None if rows are missing, or if the measures of ``query`` must not be added up.
    """
    if not selected.has_totals or view.is_incomplete or not query.is_additive:
        return None, 0
    totals = await view.totals(refinement)
    out_of_range = sum(name in selected.totals for name in totals.out_of_range)
    return TotalsValue(totals.values, view.table.dataset.members), out_of_range


def empty_totals(dataset: Dataset) -> TotalsValue:
    """Return the totals of no rows."""
    values = dict.fromkeys((*dataset.measures, *dataset.exceptional), 0)
    rates = dict.fromkeys((rate.name for rate in dataset.rates), None)
    return TotalsValue({**values, **rates}, dataset.members)
