"""Select the rows of a table by conditions on measures."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.views.conditions import AllOf, Condition, MeasureComparison, Not, Operator
from gateway.views.measure_column import MeasureColumn
from gateway.views.measures import measure
from gateway.views.pieces import Pieces
from gateway.views.table import Table

_FUNCTIONS: dict[Operator, Callable[[Any, Any], NDArray[np.bool_]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def matching(table: Table, condition: Condition) -> Pieces[NDArray[np.bool_]]:
    """Return for each row whether ``condition`` is true. Raises KeyError for a measure that the dataset lacks."""
    return _matching(table, condition, {})


def _matching(table: Table, condition: Condition, columns: dict[str, MeasureColumn]) -> Pieces[NDArray[np.bool_]]:
    """Do the same. ``columns`` keeps the measures for the comparisons after the first one."""
    if isinstance(condition, MeasureComparison):
        column = columns.get(condition.measure)
        if column is None:
            column = columns[condition.measure] = _widened(measure(table, condition.measure))
            yield
        mask: NDArray[np.bool_] = _FUNCTIONS[condition.operator](column.values, condition.operand)
        mask &= column.is_known()
        yield
        return mask
    if isinstance(condition, Not):
        return ~(yield from _matching(table, condition.operand, columns))
    combine = np.logical_and if isinstance(condition, AllOf) else np.logical_or
    mask = np.full(len(table), isinstance(condition, AllOf))
    for operand in condition.operands:
        combine(mask, (yield from _matching(table, operand, columns)), out=mask)
    return mask


def _widened(column: MeasureColumn) -> MeasureColumn:
    """Return the column with its values as they are compared, so that no comparison has to convert them."""
    return MeasureColumn(column.values, column.states)
