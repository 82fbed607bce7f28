"""Order the rows of a table by fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.views.measures import measure
from gateway.views.order_term import OrderTerm
from gateway.views.radix_sort import stable_order
from gateway.views.table import Table, TextColumn


def ordered(table: Table, terms: Sequence[OrderTerm], mask: NDArray[np.bool_] | None = None) -> NDArray[np.uint32]:
    """Return the numbers of the rows in ``mask``, ordered by ``terms``; without a mask, all rows.

    Texts compare by text key, dates as instants, and nulls come last in both directions. Ties are broken by all other
    fields, in an order that does not depend on the terms; rows equal in all fields keep their order. Without terms
    all rows keep theirs. Raises KeyError for a field that the dataset lacks.
    """
    rows = table.tie_order if terms else np.arange(len(table), dtype=np.uint32)
    if mask is not None:
        rows = rows[mask[rows]]
    # Stable sorts, the first term last.
    for term in reversed(terms):
        text = table.texts.get(term.field)
        rows = _by_measure(table, term, rows) if text is None else _by_text(text, term.descending, rows)
    return rows


def _by_text(text: TextColumn, descending: bool, rows: NDArray[np.uint32]) -> NDArray[np.uint32]:
    ranks = text.dictionary.ranks
    if descending:
        highest = max(0, len(ranks) - 1)
        ranks = highest - ranks
        null_code = text.dictionary.null_code
        if null_code is not None:
            # Null had the highest rank, so the others are now at least 1.
            ranks -= 1
            ranks[null_code] = highest
    return rows[np.argsort(ranks[text.codes[rows]], kind="stable")]


def _by_measure(table: Table, term: OrderTerm, rows: NDArray[np.uint32]) -> NDArray[np.uint32]:
    column = measure(table, term.field, rows)
    is_known = column.is_known()
    known = column.values[is_known]
    order = _order(known, term.descending)
    return np.concatenate([rows[is_known][order], rows[~is_known]])


def _order(values: NDArray[Any], descending: bool) -> NDArray[Any]:
    """Return the positions of ``values`` in order, or in the opposite order; equal values keep theirs."""
    if values.dtype.kind == "f":
        return np.argsort(-values if descending else values, kind="stable")
    # The complement reverses the order, and unlike the negative it always fits.
    values = ~values if descending else values
    lowest = int(values.min(initial=0))
    # Without a sign the difference of two int64 fits.
    return stable_order(values.astype(np.uint64) - np.uint64(lowest % 2**64))
