"""Conditions on measures."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gateway.views.measures import measure
from gateway.views.table import Table

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte"]

_FUNCTIONS: dict[Operator, Callable[[Any, Any], NDArray[np.bool_]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


@dataclass(frozen=True, slots=True)
class MeasureComparison:
    """A measure compared with a number: an integer of any size, or a float for a rate. False for null."""

    measure: str
    operator: Operator
    operand: int | float


@dataclass(frozen=True, slots=True)
class AllOf:
    """True if all operands are true, also if there are none."""

    operands: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True if an operand is true."""

    operands: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True if the operand is false, also where it is false because of a null."""

    operand: Condition


Condition = MeasureComparison | AllOf | AnyOf | Not


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


def canonical_text(condition: Condition) -> str:
    """Return ``condition`` as text for fingerprints. Conditions with equal texts select the same rows.

    Order, repetition and nesting of operands of the same kind make no difference; other equivalent conditions may have
    different texts.
    """
    if isinstance(condition, MeasureComparison):
        return f"{condition.measure} {condition.operator} {condition.operand!r}"
    if isinstance(condition, Not):
        return f"not ({canonical_text(condition.operand)})"
    texts = sorted(set(_operand_texts(condition)))
    if len(texts) == 1:
        return texts[0]
    name = "all" if isinstance(condition, AllOf) else "any"
    return f"{name}({', '.join(texts)})"


def _operand_texts(junction: AllOf | AnyOf) -> Iterator[str]:
    for operand in junction.operands:
        if isinstance(operand, AllOf | AnyOf) and type(operand) is type(junction):
            yield from _operand_texts(operand)
        else:
            yield canonical_text(operand)
