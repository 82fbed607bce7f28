"""Measures of a table's rows: stored ones, and those derived from the licenses sold and deployed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.query import Derived
from gateway.views.measure_column import MeasureColumn, Rows, State
from gateway.views.table import Table

# Integers up to here are exact as float64.
_EXACT_IN_A_FLOAT = 2**53


def measure(table: Table, name: str, rows: Rows | None = None) -> MeasureColumn:
    """Return the measure ``name`` of ``rows``, or of all rows: int64, or float64 for the rate.

    A derived measure has the worse state of its two operands. A difference beyond 2**63 - 1 is OUT_OF_RANGE, and a
    rate of 0 sold is NULL. Grouped tables store their differences, which are sums. Raises KeyError for another name.
    """
    stored = table.measures.get(name)
    if stored is not None:
        return stored.take(rows)
    derived = table.dataset.derived
    if derived is None or name not in derived.names:
        raise KeyError(name)
    sold, deployed = (table.measures[operand].take(rows) for operand in (derived.sold, derived.deployed))
    return derived_measure(derived, name, sold, deployed)


def out_of_range(table: Table, names: Iterable[str], rows: Rows | None = None) -> int:
    """Count the values of ``rows`` in the measures ``names`` that are null because they do not fit into 64 bits."""
    return sum(measure(table, name, rows).out_of_range() for name in names)


def derived_measure(derived: Derived, name: str, sold: MeasureColumn, deployed: MeasureColumn) -> MeasureColumn:
    """Return the measure ``name`` of ``derived``, computed from its operands."""
    if name == derived.rate:
        return _rate(sold, deployed)
    return _excess(sold, deployed) if name == derived.unassigned else _excess(deployed, sold)


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


def _rate(sold: MeasureColumn, deployed: MeasureColumn) -> MeasureColumn:
    """Return deployed / sold, correctly rounded."""
    states = _worse(sold, deployed)
    states[(sold.values == 0) & (states == State.KNOWN)] = State.NULL
    # Missing values are 0, so they are not divided by.
    divisor = np.where(states == State.KNOWN, sold.values, 1)
    rates = deployed.values / divisor
    for row in np.flatnonzero(_is_rounded(divisor) | _is_rounded(deployed.values)).tolist():
        rates[row] = int(deployed.values[row]) / int(divisor[row])
    # Adding 0 turns -0.0 into 0.0.
    return MeasureColumn.of(rates + 0.0, states)


def _is_rounded(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each value whether it may change as float64."""
    is_rounded: NDArray[np.bool_] = (values > _EXACT_IN_A_FLOAT) | (values < -_EXACT_IN_A_FLOAT)
    return is_rounded


def _worse(one: MeasureColumn, other: MeasureColumn) -> NDArray[np.uint8]:
    return np.maximum(one.full_states(), other.full_states())
