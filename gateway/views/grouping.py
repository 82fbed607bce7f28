"""Group the rows of a table by dimensions."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from gateway.views.dictionary import Dictionary
from gateway.views.measure_column import MeasureColumn, State
from gateway.views.pieces import Pieces
from gateway.views.radix_sort import sorting
from gateway.views.sums import summing_measures
from gateway.views.table import Table, TextColumn

# Up to so many times the rows, a lookup table of all possible groups is faster than sorting.
_LOOKUP_FACTOR = 8


def grouping(table: Table, dimensions: Collection[str], *, has_measures: bool = True) -> Pieces[Table]:
    """Return a table with one row for each combination of values of ``dimensions``, in the order of the first rows.

    Values are compared exactly, and nulls form a group. Other dimensions and the date are null, as in the upstream's
    groups. Measures are sums of rows: nulls are skipped, and only nulls give null. A sum with an unreadable value is
    UNKNOWN, one beyond 64 bits OUT_OF_RANGE. A rate is that of the sums. Without ``has_measures``, all sums
    are UNKNOWN.
    """
    first_rows, group_of_row = yield from _groups(table, dimensions)
    groups = len(first_rows)
    texts = {
        name: TextColumn(text.dictionary.copy(), text.codes[first_rows]) if name in dimensions else _nulls(text, groups)
        for name, text in table.texts.items()
    }
    yield
    measures = yield from summing_measures(table, None, group_of_row, groups)
    if not has_measures:
        unknown = MeasureColumn(np.zeros(groups, np.int64), np.full(groups, State.UNKNOWN, np.uint8))
        measures = dict.fromkeys(measures, unknown)
    return Table(table.dataset, texts, {name: sums.compact() for name, sums in measures.items()}, groups)


def _nulls(text: TextColumn, rows: int) -> TextColumn:
    return TextColumn(Dictionary((None,), text.dictionary.sort_key), np.zeros(rows, np.uint8))


def _groups(table: Table, dimensions: Collection[str]) -> Pieces[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the first row of each group, and the group of each row."""
    first_rows, group_of_row = np.arange(min(1, len(table))), np.zeros(len(table), np.int64)
    for dimension in dimensions:
        text = table.texts[dimension]
        size = len(text.dictionary.values)
        # Groups and distinct values are at most as many as rows, so the product fits.
        first_rows, group_of_row = yield from _numbered(group_of_row * size + text.codes, len(first_rows) * size)
    return first_rows, group_of_row


def _numbered(keys: NDArray[np.int64], bound: int) -> Pieces[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Number the distinct ``keys``, which are below ``bound``, by their first rows: first rows, number of each row."""
    if bound > len(keys) * _LOOKUP_FACTOR:
        keys, bound = yield from _without_gaps(keys)
    first_rows = np.full(bound, len(keys), np.int64)
    # The last row that is written to a place remains: the first one.
    first_rows[keys[::-1]] = np.arange(len(keys))[::-1]
    yield
    by_first_row = np.argsort(first_rows, kind="stable")[: np.count_nonzero(first_rows < len(keys))]
    numbers = np.empty(bound, np.int64)
    numbers[by_first_row] = np.arange(len(by_first_row))
    return first_rows[by_first_row], numbers[keys]


def _without_gaps(keys: NDArray[np.int64]) -> Pieces[tuple[NDArray[np.int64], int]]:
    """Return the rank of each of ``keys`` among the distinct ones, and their number. There is at least one."""
    order = yield from sorting(keys.astype(np.uint64))
    in_order = keys[order]
    ranks = np.concatenate([np.zeros(1, np.int64), np.cumsum(in_order[1:] != in_order[:-1])])
    result = np.empty(len(keys), np.int64)
    result[order] = ranks
    yield
    return result, int(ranks[-1]) + 1
