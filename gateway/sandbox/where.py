"""Writes a filter as a parameterised SQL condition over columns of integer codes.

Each text of a column has a code, so a comparison becomes ``column IN (codes)``: the codes of all texts equal to the
value. Null has code 0, which equals no value: ``eq`` is false for it and ``ne`` true, as in OData.

SQLite takes expressions 1000 deep, and its parser about 100 open parentheses, or 30 behind an operator. Hence: equal
columns of one junction share a list, the deepest term stands first, and long chains are cut into parenthesised chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from gateway.sandbox.odata import Comparison, Condition

Codes = Callable[[str, str], frozenset[int]]
"""Field and value to the codes of the texts that equal the value."""

# Measured: chains of 200 within chains of 200 stay clear of SQLite's depth of 1000.
_CHUNK_TERMS: Final = 200


@dataclass(frozen=True, slots=True)
class Where:
    """A condition in SQL with the values of its placeholders."""

    sql: str
    parameters: tuple[int, ...] = ()
    height: int = 0

    def enclosed(self) -> Where:
        return Where(f"({self.sql})", self.parameters, self.height + 1)


EVERYTHING: Final = Where("1")


def where(condition: Condition, codes: Codes) -> Where:
    """The SQL of a filter. The depth that the reader of filters allows bounds the recursion."""
    if isinstance(condition, Comparison):
        condition_terms: tuple[Condition, ...] = (condition,)
        conjunction = True
    else:
        condition_terms = condition.terms
        conjunction = condition.operator == "and"
    columns: dict[str, _Column] = {}
    parts: list[Where] = []
    for term in condition_terms:
        if isinstance(term, Comparison):
            columns.setdefault(term.field, _Column(conjunction)).add(term.operator, codes(term.field, term.value))
        else:
            part = where(term, codes)
            # AND binds tighter, so only an OR inside an AND needs its parentheses.
            parts.append(part.enclosed() if conjunction else part)
    parts.extend(leaf for name, column in columns.items() for leaf in column.leaves(name))
    return _chain(parts, " AND " if conjunction else " OR ")


@dataclass(slots=True)
class _Column:
    """What one junction says of one column.

    In a conjunction the lists of ``eq`` intersect and those of ``ne`` unite, in a disjunction the other way round.
    """

    conjunction: bool
    equal: frozenset[int] | None = None
    unequal: frozenset[int] | None = None

    def add(self, operator: str, codes: frozenset[int]) -> None:
        if operator == "eq":
            self.equal = _merged(self.equal, codes, intersect=self.conjunction)
        else:
            self.unequal = _merged(self.unequal, codes, intersect=not self.conjunction)

    def leaves(self, name: str) -> Iterable[Where]:
        for codes, operator in ((self.equal, "IN"), (self.unequal, "NOT IN")):
            if codes is not None:
                yield Where(f"{name} {operator} ({','.join('?' * len(codes))})", tuple(sorted(codes)))


def _merged(before: frozenset[int] | None, codes: frozenset[int], *, intersect: bool) -> frozenset[int]:
    if before is None:
        return codes
    return before & codes if intersect else before | codes


def _chain(parts: list[Where], operator: str) -> Where:
    parts = sorted(parts, key=lambda part: -part.height)
    while len(parts) > _CHUNK_TERMS:
        chunks = [parts[start : start + _CHUNK_TERMS] for start in range(0, len(parts), _CHUNK_TERMS)]
        parts = [_joined(chunk, operator).enclosed() for chunk in chunks]
    return _joined(parts, operator)


def _joined(parts: list[Where], operator: str) -> Where:
    return Where(
        operator.join(part.sql for part in parts),
        tuple(value for part in parts for value in part.parameters),
        max(part.height for part in parts),
    )
