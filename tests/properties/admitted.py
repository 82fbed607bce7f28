"""The values of one field that a filter admits, by set algebra over the filter's GraphQL variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Admitted:
    """A set of texts: ``finite``, or all but ``others`` if that is None."""

    finite: frozenset[str] | None = None
    others: frozenset[str] = frozenset()

    def __and__(self, other: Admitted) -> Admitted:
        if self.finite is None and other.finite is None:
            return Admitted(None, self.others | other.others)
        if self.finite is None:
            return other & self
        return Admitted(self.finite - other.others if other.finite is None else self.finite & other.finite)

    def __invert__(self) -> Admitted:
        return Admitted(self.others) if self.finite is None else Admitted(None, self.finite)

    def __or__(self, other: Admitted) -> Admitted:
        return ~(~self & ~other)


NOTHING, ALL = Admitted(frozenset()), Admitted()


def admitted_by(filter: dict[str, Any], field: str, *, negated: bool = False) -> Admitted:
    """Return the values of ``field`` that a filter, or its negation, admits, whatever the other fields are."""
    result = NOTHING if negated else ALL
    for name, condition in filter.items():
        part = _admitted_by_member(name, condition, field, negated=negated)
        result = result | part if negated else result & part
    return result


def _admitted_by_member(name: str, condition: Any, field: str, *, negated: bool) -> Admitted:
    if name == "not":
        return admitted_by(condition, field, negated=not negated)
    if name in ("and", "or"):
        is_and = (name == "and") is not negated
        result = ALL if is_and else NOTHING
        for inner in condition:
            part = admitted_by(inner, field, negated=negated)
            result = result & part if is_and else result | part
        return result
    compared = [_compared(operator, operand) for operator, operand in condition.items()]
    result = NOTHING if negated else ALL
    for is_constant, admitted in compared:
        is_open = name != field and not is_constant
        part = ALL if is_open else ~admitted if negated else admitted
        result = result | part if negated else result & part
    return result


def _compared(operator: str, operand: Any) -> tuple[bool, Admitted]:
    """Return whether an operator is true or false for every value, and the values that it admits."""
    values = frozenset([operand] if isinstance(operand, str) else operand)
    admitted = Admitted(values) if operator in ("eq", "in") else Admitted(None, values)
    return not values, admitted
