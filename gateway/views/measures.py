"""Measures of a table's rows: stored ones, and those derived from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.dataset import Derived, Rate
from gateway.views.measure_column import MeasureColumn, Rows, State
from gateway.views.pieces import Pieces
from gateway.views.table import Table

# Integers up to here are exact as float64.
_EXACT_IN_A_FLOAT = 2**53


def measure(table: Table, name: str, rows: Rows | None = None) -> MeasureColumn:
    """Return the measure ``name`` of ``rows``, or of all rows: int64, or float64 for a rate.

    A derived measure has the worse state of its two operands. A difference beyond 2**63 - 1 is OUT_OF_RANGE, and a
    quotient by 0 is NULL. Grouped tables store their differences, which are sums. Raises KeyError for another name.
    """
    stored = table.measures.get(name)
    if stored is not None:
        return stored.take(rows)
    for derived in table.dataset.derived:
        if derived.name == name:
            return derived_measure(derived, table.measures, rows)
    raise KeyError(name)


def counting_out_of_range(table: Table, names: Iterable[str], rows: Rows | None = None) -> Pieces[int]:
    """Count the values of ``rows`` in the measures ``names`` that are null because they do not fit into 64 bits."""
    count = 0
    for name in names:
        count += measure(table, name, rows).out_of_range()
        yield
    return count


def derived_measure(derived: Derived, columns: Mapping[str, MeasureColumn], rows: Rows | None = None) -> MeasureColumn:
    """Return the measure ``derived`` of ``rows``, or of all rows, computed from its operands in ``columns``."""
    if isinstance(derived, Rate):
        return _rate(columns[derived.dividend].take(rows), columns[derived.divisor].take(rows))
    return _excess(columns[derived.larger].take(rows), columns[derived.smaller].take(rows))


def _excess(larger: MeasureColumn, smaller: MeasureColumn) -> MeasureColumn:
    """Return max(0, larger - smaller)."""
    # The difference of two int64 fits into 64 bits without a sign.
    difference = larger.values.astype(np.uint64) - smaller.values.astype(np.uint64)
    difference = np.where(larger.values > smaller.values, difference, np.uint64(0))
    states = _worse(larger, smaller)
    is_too_large = difference > 2**63 - 1
    if is_too_large.any():
        states[is_too_large & (states == State.KNOWN)] = State.OUT_OF_RANGE
    return MeasureColumn.of(difference.astype(np.int64), states)


def _rate(dividend: MeasureColumn, divisor: MeasureColumn) -> MeasureColumn:
    """Return dividend / divisor, correctly rounded."""
    states = _worse(dividend, divisor)
    states[(divisor.values == 0) & (states == State.KNOWN)] = State.NULL
    # Missing values are 0, so they are not divided by.
    divisors = np.where(states == State.KNOWN, divisor.values, 1)
    rates = dividend.values / divisors
    for row in np.flatnonzero(_is_rounded(divisors) | _is_rounded(dividend.values)).tolist():
        rates[row] = int(dividend.values[row]) / int(divisors[row])
    # Adding 0 turns -0.0 into 0.0.
    return MeasureColumn.of(rates + 0.0, states)


def _is_rounded(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each value whether it may change as float64."""
    is_rounded: NDArray[np.bool_] = (values > _EXACT_IN_A_FLOAT) | (values < -_EXACT_IN_A_FLOAT)
    return is_rounded


def _worse(one: MeasureColumn, other: MeasureColumn) -> NDArray[np.uint8]:
    return np.maximum(one.full_states(), other.full_states())
