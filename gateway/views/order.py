"""Order the rows of a table by fields."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.views.measures import measure
from gateway.views.order_term import OrderTerm
from gateway.views.pieces import Pieces
from gateway.views.radix_sort import sort_key, sorting
from gateway.views.table import Table, TextColumn


def ordering(
    table: Table, terms: Sequence[OrderTerm], mask: NDArray[np.bool_] | None = None
) -> Pieces[NDArray[np.uint32]]:
    """Return the numbers of the rows in ``mask``, ordered by ``terms``; without a mask, all rows.

    Texts compare by text key, dates as instants, and nulls come last in both directions. Ties are broken by all other
    fields, in an order that does not depend on the terms; rows equal in all fields keep their order. Without terms
    all rows keep theirs. Raises KeyError for a field that the dataset lacks.
    """
    if terms:
        yield from table.ranking(term.field for term in terms)
    rows = table.tie_order if terms else np.arange(len(table), dtype=np.uint32)
    if mask is not None:
        rows = rows[mask[rows]]
    # Stable sorts, the first term last.
    for term in reversed(terms):
        text = table.texts.get(term.field)
        if text is None:
            rows = yield from _by_measure(table, term, rows)
        else:
            rows = yield from _by_text(text, term.descending, rows)
    return rows


def _by_text(text: TextColumn, descending: bool, rows: NDArray[np.uint32]) -> Pieces[NDArray[np.uint32]]:
    ranks = text.dictionary.ranks
    if descending:
        highest = max(0, len(ranks) - 1)
        ranks = highest - ranks
        null_code = text.dictionary.null_code
        if null_code is not None:
            # Null had the highest rank, so the others are now at least 1.
            ranks -= 1
            ranks[null_code] = highest
    numbers = ranks[text.codes[rows]].astype(np.uint64)
    yield
    order = yield from sorting(numbers)
    ordered: NDArray[np.uint32] = rows[order]
    return ordered


def _by_measure(table: Table, term: OrderTerm, rows: NDArray[np.uint32]) -> Pieces[NDArray[np.uint32]]:
    column = measure(table, term.field, rows)
    yield
    is_known = column.is_known()
    numbers = sort_key(column.values[is_known], descending=term.descending)
    yield
    order = yield from sorting(numbers)
    return np.concatenate([rows[is_known][order], rows[~is_known]])
