"""The operations of views over rows as dictionaries, in plain Python: slow, exact, and independent of numpy.

A row's keys are upstream field names. A null measure is None, one that could not be read UNREADABLE, and one that does
not fit into 64 bits OUT_OF_RANGE.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from gateway.clocks.instant import instant
from gateway.dataset import Dataset, Rate
from gateway.views.conditions import AllOf, AnyOf, Condition, MeasureComparison, Not
from gateway.views.order_term import OrderTerm

Row = Mapping[str, Any]

LONGS = range(-(2**63), 2**63)


class Missing(Enum):
    """Measures that are null in a response and make sums null."""

    UNREADABLE = 1
    OUT_OF_RANGE = 2


UNREADABLE, OUT_OF_RANGE = Missing.UNREADABLE, Missing.OUT_OF_RANGE


def visible(value: Any) -> Any:
    """Return ``value`` as in a response."""
    return None if isinstance(value, Missing) else value


def text_key(text: str) -> str:
    """Return the text key, character by character."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part.casefold() for part in parts if unicodedata.combining(part) == 0)


def measure_names(dataset: Dataset) -> tuple[str, ...]:
    """Return the names of all measures, derived ones included."""
    return (*dataset.measures, *(derived.name for derived in dataset.derived))


def measure(dataset: Dataset, row: Row, name: str) -> Any:
    """Return a measure of a row: int, float, None or Missing."""
    if name in row:
        return row[name]
    (derived,) = (derived for derived in dataset.derived if derived.name == name)
    is_rate = isinstance(derived, Rate)
    names = (derived.dividend, derived.divisor) if isinstance(derived, Rate) else (derived.larger, derived.smaller)
    one, other = (row[name] for name in names)
    for missing in (OUT_OF_RANGE, UNREADABLE, None):
        if missing in (one, other):
            return missing
    if is_rate:
        return one / other + 0.0 if other else None
    excess = max(0, one - other)
    return excess if excess in LONGS else OUT_OF_RANGE


def item(dataset: Dataset, row: Row) -> dict[str, Any]:
    """Return the row with its derived measures, as in a response."""
    measures = {name: visible(measure(dataset, row, name)) for name in measure_names(dataset)}
    return {name: row[name] for name in (*dataset.dimensions, dataset.date)} | measures


def summed(values: Iterable[Any]) -> Any:
    """Return the sum of a measure's values."""
    known = []
    worst = None
    for value in values:
        if isinstance(value, Missing):
            worst = OUT_OF_RANGE if OUT_OF_RANGE in (value, worst) else UNREADABLE
        elif value is not None:
            known.append(value)
    if worst is not None or not known:
        return worst
    return sum(known) if sum(known) in LONGS else OUT_OF_RANGE


def sums(dataset: Dataset, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the sums of the measures of ``rows``, without rates."""
    names = (*dataset.measures, *(excess.name for excess in dataset.excesses))
    return {name: summed(measure(dataset, row, name) for row in rows) for name in names}


def grouped(dataset: Dataset, rows: Sequence[Row], dimensions: Sequence[str]) -> list[Row]:
    """Return a row for each group, in the order of the first rows."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[dimension] for dimension in dimensions), []).append(row)
    nulls = dict.fromkeys((*dataset.dimensions, dataset.date))
    return [
        {**nulls, **dict(zip(dimensions, values, strict=True)), **sums(dataset, members)}
        for values, members in groups.items()
    ]


def totals(dataset: Dataset, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the totals of ``rows``, without distinction of nulls."""
    rates = [rate.name for rate in dataset.rates]
    if not rows:
        return dict.fromkeys(measure_names(dataset), 0) | dict.fromkeys(rates)
    total = sums(dataset, rows)
    return {**total, **{name: measure(dataset, total, name) for name in rates}}


def ordered(dataset: Dataset, rows: Sequence[Row], terms: Sequence[OrderTerm]) -> list[int]:
    """Return the indexes of ``rows`` in order."""
    indexes = list(range(len(rows)))
    if not terms:
        return indexes
    texts = (*dataset.dimensions, dataset.date)
    keys = {name: text_key if name in dataset.dimensions else instant for name in texts}

    def tie_key(index: int) -> list[Any]:
        row = rows[index]
        fields = [(row[name] is None, keys[name](row[name] or ""), row[name] or "") for name in texts]
        return [*fields, *(_nulls_last(visible(row[name])) for name in dataset.measures)]

    indexes.sort(key=tie_key)
    for term in reversed(terms):
        values = [_value(dataset, row, term.field, keys) for row in rows]
        known = [index for index in indexes if values[index] is not None]
        known.sort(key=values.__getitem__, reverse=term.descending)
        indexes = [*known, *(index for index in indexes if values[index] is None)]
    return indexes


def _value(dataset: Dataset, row: Row, field: str, keys: Mapping[str, Callable[[str], str]]) -> Any:
    if field in keys:
        return None if row[field] is None else keys[field](row[field])
    return visible(measure(dataset, row, field))


def _nulls_last(value: Any) -> tuple[bool, Any]:
    return (value is None, value or 0)


def holds(dataset: Dataset, row: Row, condition: Condition) -> bool:
    """Return whether a row meets ``condition``."""
    match condition:
        case AllOf(operands):
            return all(holds(dataset, row, operand) for operand in operands)
        case AnyOf(operands):
            return any(holds(dataset, row, operand) for operand in operands)
        case Not(operand):
            return not holds(dataset, row, operand)
        case MeasureComparison(name, operator, number):
            value = visible(measure(dataset, row, name))
            if value is None:
                return False
            results: dict[str, bool] = {"eq": value == number, "lt": value < number, "gt": value > number}
            results |= {"ne": not results["eq"], "gte": not results["lt"], "lte": not results["gt"]}
            return results[operator]


def contains(row: Row, text: str, dimensions: Sequence[str]) -> bool:
    """Return whether each word of ``text`` is in some dimension of a row."""
    keys = [text_key(row[dimension] or "") for dimension in dimensions]
    return all(any(word in key for key in keys) for word in text_key(text).split())
