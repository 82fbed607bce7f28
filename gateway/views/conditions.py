"""Conditions on measures, as values. This module needs no numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte"]


@dataclass(frozen=True, slots=True)
class MeasureComparison:
    """A measure compared with a number: an integer of any size, or a float for a rate. False for null."""

    measure: str
    operator: Operator
    operand: int | float


@dataclass(frozen=True, slots=True)
class AllOf:
    """True if all operands are true, also for an empty tuple."""

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
