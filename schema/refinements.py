"""Convert the arguments ``search``, ``having`` and ``orderBy`` to the gateway's Refinement."""

from __future__ import annotations

from collections.abc import Iterable
from math import isinf
from typing import Any

from gateway.errors import BadUserInput
from gateway.query import PageQuery
from gateway.views.conditions import AllOf, AnyOf, Condition, MeasureComparison, Not
from gateway.views.order_term import OrderTerm
from gateway.views.refinement import Refinement
from gateway.views.search_words import words_of
from schema.filters import MAX_DEPTH, not_null, set_fields
from schema.measures import OrderDirection

# The longest search text (our choice: several names).
MAX_SEARCH_CHARACTERS = 200

# Each comparison takes a millisecond for 250,000 rows (our choice; a dozen measures and bounds need far fewer).
MAX_COMPARISONS = 100

_HAVING = "having"


def to_refinement(query: PageQuery, search: str | None, having: Any, order_by: Iterable[Any] | None) -> Refinement:
    """Return the refinement of a field's arguments, for the rows or groups of ``query``. Raises BadUserInput."""
    condition = None if having is None else _HavingReader().group(having, _HAVING, 0)
    return Refinement(
        words=() if search is None else _words(search),
        # With no operands it selects every row.
        condition=None if condition == AllOf(()) else condition,
        order=() if order_by is None else _order(query, order_by),
    )


def _words(search: str) -> tuple[str, ...]:
    if len(search) > MAX_SEARCH_CHARACTERS:
        raise BadUserInput(
            f"'search' has more than {MAX_SEARCH_CHARACTERS} characters. Search for fewer words.", argument="search"
        )
    return words_of(search)


def _order(query: PageQuery, order_by: Iterable[Any]) -> tuple[OrderTerm, ...]:
    """Return the terms. A field that is repeated can order nothing more."""
    terms: dict[str, OrderTerm] = {}
    for order in order_by:
        name = order.field.value
        if query.group_by and name in query.dataset.dimensions and name not in query.group_by:
            raise BadUserInput(
                f"'orderBy' has {order.field.name}, which is null in every group."
                " Add it to 'groupBy', or leave it out.",
                argument="orderBy",
            )
        terms.setdefault(name, OrderTerm(name, order.direction is OrderDirection.DESC))
    return tuple(terms.values())


class _HavingReader:
    """Reads one ``having`` input, and stops at the limits."""

    def __init__(self) -> None:
        self._comparisons = 0

    def group(self, part: Any, path: str, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            raise BadUserInput(f"'having' is nested deeper than {MAX_DEPTH} levels. Flatten it.", argument=_HAVING)
        return _all(
            self._condition(name, not_null(value, f"{path}.{name}", _HAVING), f"{path}.{name}", depth)
            for name, value in set_fields(part)
        )

    def _condition(self, name: str, value: Any, path: str, depth: int) -> Condition:
        if name == "not":
            return Not(self.group(value, path, depth + 1))
        if name == "and" or name == "or":
            parts = (
                self.group(not_null(item, f"{path}[{number}]", _HAVING), f"{path}[{number}]", depth + 1)
                for number, item in enumerate(value)
            )
            return _all(parts) if name == "and" else AnyOf(tuple(parts))
        return _all(
            self._comparison(
                MeasureComparison(name, operator, not_null(number, f"{path}.{operator}", _HAVING)),  # type: ignore[arg-type]  # the input has these operators
                f"{path}.{operator}",
            )
            for operator, number in set_fields(value)
        )

    def _comparison(self, comparison: MeasureComparison, path: str) -> MeasureComparison:
        if isinf(comparison.operand):
            # A variable is refused before.
            raise BadUserInput(f"{path} is not a finite number. Use one up to 1e308.", argument=_HAVING)
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise BadUserInput(
                f"'having' has more than {MAX_COMPARISONS} comparisons. Request less at once.", argument=_HAVING
            )
        return comparison


def _all(parts: Iterable[Condition]) -> Condition:
    operands = tuple(parts)
    return operands[0] if len(operands) == 1 else AllOf(operands)
