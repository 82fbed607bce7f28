"""A dataset: one upstream table, its fields, and the measures that the gateway derives from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import msgspec

# Begins a word in a field's name.
_CAPITAL = re.compile("[A-Z]")

# A measure's type in a row: the Microsoft page's "long", 64 bits.
Measure = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


@dataclass(frozen=True, slots=True)
class Excess:
    """A derived measure: max(0, larger - smaller) of a row, and the sum over its rows of a group or total.

    ``larger`` and ``smaller`` are the names of two measures.
    """

    name: str
    larger: str
    smaller: str


@dataclass(frozen=True, slots=True)
class Rate:
    """A derived measure: dividend / divisor of a row, and the quotient of two sums of a group or total.

    ``dividend`` and ``divisor`` are the names of two measures.
    """

    name: str
    dividend: str
    divisor: str


Derived = Excess | Rate


@dataclass(frozen=True)
class Dataset:
    """One upstream table: its path, its row type, and the fields to filter and group by.

    ``row`` is a :class:`msgspec.Struct` whose encoded field names are the upstream's. ``dimensions`` and ``measures``
    are upstream field names; a measure's type in a row is :data:`Measure`. ``date`` is the field with a row's
    processed date, and ``service`` the dimension whose rows are processed together. ``derived`` are the
    measures that the gateway computes itself. Measures must not be added up over several values of a dimension in
    ``not_additive``, because one license would count more than once. ``other_spellings`` are pairs of a name that the
    upstream may use as well, and the field that it stands for.
    """

    name: str
    path: str
    row: type[msgspec.Struct]
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    date: str
    service: str
    derived: tuple[Derived, ...] = ()
    not_additive: tuple[str, ...] = ()
    other_spellings: tuple[tuple[str, str], ...] = ()

    @cached_property
    def attributes(self) -> Mapping[str, str]:
        """Map upstream field names to attributes of the row type."""
        return {field.encode_name: field.name for field in msgspec.structs.fields(self.row)}

    @cached_property
    def members(self) -> Mapping[str, str]:
        """Map the names of all fields, derived measures included, to attributes of the row type."""
        names = {derived.name: _CAPITAL.sub(r"_\g<0>", derived.name).lower() for derived in self.derived}
        return {**self.attributes, **names}

    @cached_property
    def group_row(self) -> type[msgspec.Struct]:
        """The type of groups that the gateway makes: a row whose excesses are sums of excesses."""
        encoded_names = {self.members[excess.name]: excess.name for excess in self.excesses}
        fields = [(attribute, int | None, None) for attribute in encoded_names]
        return msgspec.defstruct(
            f"{self.row.__name__}Group", fields, bases=(self.row,), rename=encoded_names, frozen=True, gc=False
        )

    @cached_property
    def exceptional(self) -> frozenset[str]:
        """The measures of a group that its other measures do not determine."""
        return frozenset(excess.name for excess in self.excesses)

    @property
    def example_measure(self) -> str:
        """The measure in examples of conditions and orders."""
        return self.excesses[0].name if self.excesses else self.measures[0]

    @cached_property
    def excesses(self) -> tuple[Excess, ...]:
        """The derived measures that are added up."""
        return tuple(derived for derived in self.derived if isinstance(derived, Excess))

    @cached_property
    def rates(self) -> tuple[Rate, ...]:
        """The derived measures that are quotients."""
        return tuple(derived for derived in self.derived if isinstance(derived, Rate))
