"""Compiles a filter to a parameterized SQL condition over columns of integer codes.

Each text of a column has a code. A comparison becomes ``column IN (codes)``, with the codes of all texts equal to the
value. Null has code 0, which equals no value: ``eq`` is false for it and ``ne`` is true, as in OData.

SQLite accepts expressions 1000 deep; its parser accepts about 100 open parentheses, or 30 after an operator.
Therefore comparisons of one column in a junction share a list, the deepest term comes first, and long chains are split
into parenthesized chunks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.sandbox.odata import Condition, ParsedComparison

Codes = Callable[[str, str], frozenset[int]]
"""Maps a field and a value to the codes of the texts equal to the value."""

# Measured: chains of 200 inside chains of 200 stay below SQLite's limit of 1000.
_CHUNK_TERMS: Final = 200


@dataclass(frozen=True, slots=True)
class SqlCondition:
    """An SQL condition with the values of its placeholders."""

    sql: str
    parameters: tuple[int, ...] = ()
    height: int = 0

    def parenthesized(self) -> SqlCondition:
        return SqlCondition(f"({self.sql})", self.parameters, self.height + 1)


MATCH_ALL: Final = SqlCondition("1")


def sql_condition(condition: Condition, codes: Codes) -> SqlCondition:
    """Compile a filter. The recursion is bounded by the depth that the parser accepts."""
    if isinstance(condition, ParsedComparison):
        condition_terms: tuple[Condition, ...] = (condition,)
        conjunction = True
    else:
        condition_terms = condition.terms
        conjunction = condition.operator == "and"
    # A conjunction intersects the lists of "eq" and unites those of "ne"; a disjunction does the reverse.
    lists: dict[tuple[str, str], frozenset[int]] = {}
    parts: list[SqlCondition] = []
    for term in condition_terms:
        if isinstance(term, ParsedComparison):
            key, matching = (term.field, term.operator), codes(term.field, term.value)
            before = lists.get(key, matching)
            lists[key] = before & matching if (term.operator == "eq") == conjunction else before | matching
        else:
            part = sql_condition(term, codes)
            # AND binds tighter, so only an OR inside an AND needs parentheses.
            parts.append(part.parenthesized() if conjunction else part)
    parts.extend(_membership(*key, matching) for key, matching in lists.items())
    return _chain(parts, " AND " if conjunction else " OR ")


def _membership(name: str, operator: str, codes: frozenset[int]) -> SqlCondition:
    placeholders = ",".join("?" * len(codes))
    return SqlCondition(f"{name} {'IN' if operator == 'eq' else 'NOT IN'} ({placeholders})", tuple(sorted(codes)))


def _chain(parts: list[SqlCondition], operator: str) -> SqlCondition:
    parts = sorted(parts, key=lambda part: -part.height)
    while len(parts) > _CHUNK_TERMS:
        chunks = [parts[start : start + _CHUNK_TERMS] for start in range(0, len(parts), _CHUNK_TERMS)]
        parts = [_joined(chunk, operator).parenthesized() for chunk in chunks]
    return _joined(parts, operator)


def _joined(parts: list[SqlCondition], operator: str) -> SqlCondition:
    return SqlCondition(
        operator.join(part.sql for part in parts),
        tuple(value for part in parts for value in part.parameters),
        max(part.height for part in parts),
    )
