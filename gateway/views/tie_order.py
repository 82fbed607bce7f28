"""The order of a table's rows by all their fields, which breaks the ties of every other order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.views.measure_column import MeasureColumn
from gateway.views.pieces import Pieces
from gateway.views.radix_sort import sort_key, sorting_by

# Ranks and codes of a text column: the rank of a row's text is ``ranks[codes[row]]``.
RankedCodes = tuple[NDArray[Any], NDArray[Any]]


def tie_ordering(
    texts: Iterable[RankedCodes], measures: Iterable[MeasureColumn], row_count: int
) -> Pieces[NDArray[np.uint32]]:
    """Return all row numbers, ordered by the texts' ranks and then by the measures, nulls last.

    Rows that are equal in all of them keep their order.
    """
    keys = _packed(texts)
    yield
    rows = np.arange(row_count)
    if keys:
        rows = yield from sorting_by(keys)
    if _has_equal_neighbors(keys, rows):
        for measure in measures:
            keys += [(~measure.is_known()).astype(np.uint64), sort_key(measure.values)]
        if keys:
            rows = yield from sorting_by(keys)
    return rows.astype(np.uint32)


def _packed(texts: Iterable[RankedCodes]) -> list[NDArray[np.uint64]]:
    """Return sort keys of 64 bits, the first one first. Each holds the ranks of as many columns as fit."""
    keys: list[NDArray[np.uint64]] = []
    room = 0
    for ranks, codes in texts:
        key = ranks[codes].astype(np.uint64)
        if keys and len(ranks) <= room:
            keys[-1] = keys[-1] * np.uint64(len(ranks)) + key
        else:
            keys.append(key)
            room = 2**64
        room //= max(1, len(ranks))
    return keys


def _has_equal_neighbors(keys: Iterable[NDArray[Any]], rows: NDArray[Any]) -> bool:
    equal = np.ones(max(0, len(rows) - 1), np.bool_)
    for key in keys:
        equal &= key[rows[1:]] == key[rows[:-1]]
    return bool(equal.any())
