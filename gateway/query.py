"""An upstream query as a hashable value, and its query string.

A :class:`PageQuery` holds a :class:`Dataset <gateway.dataset.Dataset>`, a :class:`Filter <Comparison>`, the dimensions
to group by, a processed date and a range of rows. Filters have one canonical form, so that equivalent queries are equal
values, whatever the order in which they were written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal
from urllib.parse import quote

from gateway.dataset import Dataset


@dataclass(frozen=True, slots=True, order=True)
class Comparison:
    """``field eq 'value'`` or ``field ne 'value'``; the upstream has no other comparison."""

    field: str
    operator: Literal["eq", "ne"]
    value: str

    def text(self) -> str:
        """Return OData text. A quote inside the value is doubled (OData ABNF, ``SQUOTE-in-string``)."""
        return f"{self.field} {self.operator} '{self.value.replace(chr(39), chr(39) * 2)}'"


@dataclass(frozen=True, slots=True)
class Junction:
    """Operands joined by ``and`` or ``or``. With no operands: ``and`` is true, ``or`` is false."""

    operator: Literal["and", "or"]
    operands: tuple[Filter, ...] = ()

    def text(self) -> str:
        """Return OData text. Nested junctions are always parenthesized: the upstream documents no precedence."""
        parts = (f"({part.text()})" if isinstance(part, Junction) else part.text() for part in self.operands)
        return f" {self.operator} ".join(parts)


Filter = Comparison | Junction

TRUE = Junction("and")
FALSE = Junction("or")


def negate(part: Filter) -> Filter:
    """Return the complement, pushed down to the comparisons by De Morgan's laws.

    ``eq`` on null is false and ``ne`` is true (OData), so the two are complements for every row.
    """
    if isinstance(part, Comparison):
        return Comparison(part.field, "ne" if part.operator == "eq" else "eq", part.value)
    return Junction("or" if part.operator == "and" else "and", tuple(negate(operand) for operand in part.operands))


def canonical(part: Filter) -> Filter:
    """Return the canonical form of ``part``: flat, sorted, without duplicates, and with constants folded."""
    if isinstance(part, Comparison):
        return part
    absorbing, neutral = (FALSE, TRUE) if part.operator == "and" else (TRUE, FALSE)
    operands: dict[str, Filter] = {}
    for operand in _flattened(part.operator, map(canonical, part.operands)):
        if operand == absorbing:
            return absorbing
        if operand != neutral:
            operands[operand.text()] = operand
    if len(operands) == 1:
        return next(iter(operands.values()))
    return Junction(part.operator, tuple(operands[text] for text in sorted(operands)))


def _flattened(operator: str, operands: Iterable[Filter]) -> Iterable[Filter]:
    for operand in operands:
        if isinstance(operand, Junction) and operand.operator == operator and operand.operands:
            yield from operand.operands
        else:
            yield operand


def comparisons(part: Filter) -> int:
    """Count the comparisons in ``part``."""
    return 1 if isinstance(part, Comparison) else sum(map(comparisons, part.operands))


def admitted_values(part: Filter | None, field: str) -> frozenset[str] | None:
    """Return the values of ``field`` that ``part`` admits, or None if it admits all but some.

    Values that differ in case count as different.
    """
    is_complement, values = (True, frozenset[str]()) if part is None else _admitted(part, field)
    return None if is_complement else values


def _admitted(part: Filter, field: str) -> tuple[bool, frozenset[str]]:
    """Return the admitted values of ``field``. With True, they are all but those."""
    if isinstance(part, Comparison):
        return (part.operator == "ne", frozenset({part.value})) if part.field == field else (True, frozenset())
    # By De Morgan's laws, "or" admits the complement of what the complements of its operands have in common.
    is_or = part.operator == "or"
    is_complement, values = True, frozenset[str]()
    for operand in part.operands:
        its_complement, its_values = _admitted(operand, field)
        its_complement ^= is_or
        if is_complement and its_complement:
            values |= its_values
        elif is_complement or its_complement:
            values = its_values - values if is_complement else values - its_values
            is_complement = False
        else:
            values &= its_values
    return is_complement ^ is_or, values


def encoded(text: str) -> str:
    """Return ``text`` percent-encoded as in the Microsoft page's example: a space is ``%20`` and a quote ``%27``."""
    return quote(text, safe="")


@dataclass(frozen=True)
class PageQuery:
    """Rows ``[skip, skip + top)`` of one query, in the upstream's order.

    ``filter`` is canonical, or None for all rows. The order of ``group_by`` is significant. ``processed_date_time`` is
    ``YYYY-MM-DDTHH:MM:SS``, or None for the latest. ``revalidate`` bypasses the cache. Like the range, it is not
    part of :attr:`question`. ``upstream`` identifies the upstream.
    """

    dataset: Dataset
    filter: Filter | None = None
    group_by: tuple[str, ...] = ()
    processed_date_time: str | None = None
    top: int = 0
    skip: int = 0
    revalidate: bool = False
    upstream: str = ""

    def rows(self, skip: int, top: int) -> PageQuery:
        """Return the same query for other rows."""
        return replace(self, skip=skip, top=top)

    @cached_property
    def question(self) -> str:
        """Canonical text of the query without its range of rows; equivalent queries of one upstream have equal text."""
        return "&".join([f"{self.upstream} {self.dataset.name}", *self._selection()])

    @cached_property
    def fingerprint(self) -> bytes:
        """Eight-byte digest of :attr:`question`, which is part of each cursor."""
        return hashlib.blake2b(self.question.encode(), digest_size=8).digest()

    @cached_property
    def digest(self) -> bytes:
        """32-byte digest of :attr:`question`, from which cache keys are derived."""
        return hashlib.blake2b(self.question.encode(), digest_size=32).digest()

    @cached_property
    def query_string(self) -> str:
        """The upstream's query string: filter, groupby, processedDateTime, top, skip; the first three when set."""
        return "&".join([*self._selection(), f"top={self.top}", f"skip={self.skip}"])

    @cached_property
    def is_additive(self) -> bool:
        """True if measures may be added up over all rows: they have one value of each ``not_additive`` dimension."""
        return all(map(self._admits_one_value, self.dataset.not_additive))

    @cached_property
    def has_measures(self) -> bool:
        """False for groups over several values of a ``not_additive`` dimension: their measures are null."""
        summed = [name for name in self.dataset.not_additive if name not in self.group_by]
        return not self.group_by or all(map(self._admits_one_value, summed))

    def _admits_one_value(self, dimension: str) -> bool:
        values = admitted_values(self.filter, dimension)
        return values is not None and len(values) == 1

    def _selection(self) -> Iterable[str]:
        if self.filter is not None:
            yield f"filter={encoded(self.filter.text())}"
        if self.group_by:
            yield f"groupby={encoded(','.join(self.group_by))}"
        if self.processed_date_time is not None:
            yield f"processedDateTime={encoded(self.processed_date_time)}"
