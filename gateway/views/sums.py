"""Exact sums of measures over groups of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.views.measure_column import MeasureColumn, Rows, State
from gateway.views.measures import measure
from gateway.views.pieces import Pieces
from gateway.views.table import Table


def summing_measures(
    table: Table, rows: Rows | None, group_of_row: NDArray[Any], groups: int
) -> Pieces[dict[str, MeasureColumn]]:
    """Return the sums of all measures except rates over groups of ``rows``; all rows for None."""
    names = (*table.dataset.measures, *(excess.name for excess in table.dataset.excesses))
    sums: dict[str, MeasureColumn] = {}
    for name in names:
        sums[name] = summed(measure(table, name, rows), group_of_row, groups)
        yield
    return sums


def summed(column: MeasureColumn, group_of_row: NDArray[Any], groups: int) -> MeasureColumn:
    """Return the exact sum of each group of an int64 column: ``group_of_row`` numbers the groups from 0.

    NULL values are skipped; a group of only such values, or of no rows, is NULL. A group with UNKNOWN or OUT_OF_RANGE
    values has that state itself, the larger of the two. A sum that does not fit into 64 bits is OUT_OF_RANGE.
    """
    # Sums of 32-bit halves cannot overflow for fewer than 2**31 rows. Missing values are 0.
    lower = _wrapping_sums(column.values & 0xFFFFFFFF, group_of_row, groups)
    upper = _wrapping_sums(column.values >> 32, group_of_row, groups) + (lower >> 32)
    states = np.full(groups, State.NULL, np.uint8)
    states[group_of_row[column.is_known()]] = State.KNOWN
    states[(upper < -(2**31)) | (upper >= 2**31)] = State.OUT_OF_RANGE
    if column.states is not None:
        for state in (State.UNKNOWN, State.OUT_OF_RANGE):
            states[group_of_row[column.states == state]] = state
    return MeasureColumn.of((upper << 32) | (lower & 0xFFFFFFFF), states)


def _wrapping_sums(values: NDArray[np.int64], group_of_row: NDArray[Any], groups: int) -> NDArray[np.int64]:
    if groups == 1:
        return np.array([values.sum()], np.int64)
    sums = np.zeros(groups, np.int64)
    np.add.at(sums, group_of_row, values)
    return sums
