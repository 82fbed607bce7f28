"""A question to the upstream as a pure, hashable value, and the exact text that asks it.

A :class:`PageQuery` names a :class:`Dataset`, a :class:`Filter <Comparison>`, the dimensions to group by, a processed
date and a range of rows. Filters are kept in one canonical form, so that equal questions are equal values, whoever
wrote them in whatever order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec

# A measure's type in a row: the Microsoft page's "long", 64 bits.
Measure = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


@dataclass(frozen=True)
class Dataset:
    """One upstream table: where it lives, what a row looks like and what it can be filtered and grouped by.

    ``row`` is a :class:`msgspec.Struct` whose encoded field names are the upstream's. ``dimensions`` and ``measures``
    are upstream field names; a measure's type in a row is :data:`Measure`. ``date`` is the field that tells when a row
    was processed and ``service`` the dimension whose rows are processed together.
    """

    name: str
    path: str
    row: type[msgspec.Struct]
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    date: str
    service: str

    @cached_property
    def attributes(self) -> Mapping[str, str]:
        """The row's attribute for each upstream field name."""
        return {field.encode_name: field.name for field in msgspec.structs.fields(self.row)}


@dataclass(frozen=True, slots=True, order=True)
class Comparison:
    """``field eq 'value'`` or ``field ne 'value'``; the upstream has no other comparison."""

    field: str
    operator: Literal["eq", "ne"]
    value: str

    def text(self) -> str:
        """OData text. A quote inside the value is doubled (OData ABNF, ``SQUOTE-in-string``)."""
        return f"{self.field} {self.operator} '{self.value.replace(chr(39), chr(39) * 2)}'"


@dataclass(frozen=True, slots=True)
class Junction:
    """Operands joined by ``and`` or ``or``. With no operands: ``and`` is true, ``or`` is false."""

    operator: Literal["and", "or"]
    operands: tuple[Filter, ...] = ()

    def text(self) -> str:
        """OData text. An operand that is a junction is always parenthesised: precedence is undocumented upstream."""
        parts = (f"({part.text()})" if isinstance(part, Junction) else part.text() for part in self.operands)
        return f" {self.operator} ".join(parts)


Filter = Comparison | Junction

TRUE = Junction("and")
FALSE = Junction("or")


def negate(part: Filter) -> Filter:
    """The complement, pushed down to the comparisons by De Morgan's laws.

    ``eq`` on null is false and ``ne`` is true (OData), so the two are complements for every row.
    """
    if isinstance(part, Comparison):
        return Comparison(part.field, "ne" if part.operator == "eq" else "eq", part.value)
    return Junction("or" if part.operator == "and" else "and", tuple(negate(operand) for operand in part.operands))


def canonical(part: Filter) -> Filter:
    """The one way to write ``part``: flat, sorted, without duplicates, with constants folded away."""
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
    """How many comparisons ``part`` holds."""
    return 1 if isinstance(part, Comparison) else sum(map(comparisons, part.operands))


def encoded(text: str) -> str:
    """Percent-encoded as in the Microsoft page's example: a space is ``%20`` and a quote ``%27``."""
    return quote(text, safe="")


@dataclass(frozen=True)
class PageQuery:
    """Rows ``[skip, skip + top)`` of one question, in the upstream's order.

    ``filter`` is canonical, or None for every row. ``group_by`` keeps its order, which is part of the question.
    ``processed_date_time`` is ``YYYY-MM-DDTHH:MM:SS`` or None for the latest. ``revalidate`` wants rows read anew, not
    kept ones; like the range it is no part of the question.
    """

    dataset: Dataset
    filter: Filter | None = None
    group_by: tuple[str, ...] = ()
    processed_date_time: str | None = None
    top: int = 0
    skip: int = 0
    revalidate: bool = False

    def rows(self, skip: int, top: int) -> PageQuery:
        """The same question for other rows."""
        return replace(self, skip=skip, top=top)

    @cached_property
    def question(self) -> str:
        """Canonical text of everything but the range of rows; equal questions have equal text."""
        return "&".join([self.dataset.name, *self._selection()])

    @cached_property
    def fingerprint(self) -> bytes:
        """Eight bytes that tell questions apart; a cursor carries them."""
        return hashlib.blake2b(self.question.encode(), digest_size=8).digest()

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that tell questions apart; cache keys are made of them."""
        return hashlib.blake2b(self.question.encode(), digest_size=32).digest()

    @cached_property
    def query_string(self) -> str:
        """The upstream's query string: filter, groupby, processedDateTime, top, skip; the first three when set."""
        return "&".join([*self._selection(), f"top={self.top}", f"skip={self.skip}"])

    def _selection(self) -> Iterable[str]:
        if self.filter is not None:
            yield f"filter={encoded(self.filter.text())}"
        if self.group_by:
            yield f"groupby={encoded(','.join(self.group_by))}"
        if self.processed_date_time is not None:
            yield f"processedDateTime={encoded(self.processed_date_time)}"
