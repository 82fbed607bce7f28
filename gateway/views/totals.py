"""Totals of a table's measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gateway.views.measure_column import MeasureColumn, Rows
from gateway.views.measures import derived_measure
from gateway.views.pieces import Pieces
from gateway.views.sums import summing_measures
from gateway.views.table import Table


@dataclass(frozen=True, slots=True)
class Totals:
    """Total of each measure by field name.

    ``out_of_range`` names the measures that are null because a sum does not fit into 64 bits.
    """

    values: Mapping[str, int | float | None]
    out_of_range: tuple[str, ...]


def totaling(table: Table, rows: Rows | None = None) -> Pieces[Totals]:
    """Return the totals of ``rows``, or of all rows for None.

    Nulls are skipped; only nulls give null, and no rows give 0. A rate is that of the sums, null if either is null
    or the divisor is 0. A total with an unreadable value is null.
    """
    row_count = len(table) if rows is None else len(np.arange(len(table))[rows])
    sums = yield from summing_measures(table, rows, np.zeros(row_count, np.int64), 1)
    if not row_count:
        sums = dict.fromkeys(sums, MeasureColumn(np.zeros(1, np.int64)))
    for rate in table.dataset.rates:
        sums[rate.name] = derived_measure(rate, sums)
    return Totals(
        {name: column.python_values()[0] for name, column in sums.items()},
        tuple(name for name, column in sums.items() if column.out_of_range()),
    )
