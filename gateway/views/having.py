"""Select the rows of a table by conditions on measures."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.views.conditions import AllOf, Condition, MeasureComparison, Not, Operator
from gateway.views.measures import measure
from gateway.views.table import Table

_FUNCTIONS: dict[Operator, Callable[[Any, Any], NDArray[np.bool_]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def matching(table: Table, condition: Condition) -> NDArray[np.bool_]:
    """Return for each row whether ``condition`` is true. Raises KeyError for a measure that the dataset lacks."""
    if isinstance(condition, MeasureComparison):
        column = measure(table, condition.measure)
        return column.is_known() & _FUNCTIONS[condition.operator](column.values, condition.operand)
    if isinstance(condition, Not):
        return ~matching(table, condition.operand)
    combine = np.logical_and if isinstance(condition, AllOf) else np.logical_or
    mask = np.full(len(table), isinstance(condition, AllOf))
    for operand in condition.operands:
        combine(mask, matching(table, operand), out=mask)
    return mask
