"""Refinements: what to do with all rows of a query, as values. This module needs no numpy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from gateway.views.conditions import AllOf, AnyOf, Condition, MeasureComparison, canonical_text
from gateway.views.order_term import OrderTerm


@dataclass(frozen=True)
class Refinement:
    """The words that rows must contain, the condition on their measures, and their order; empty for all rows."""

    words: tuple[str, ...] = ()
    condition: Condition | None = None
    order: tuple[OrderTerm, ...] = ()

    @cached_property
    def text(self) -> str:
        """Text that is equal for equivalent refinements; empty for an empty one."""
        if not (self.words or self.condition or self.order):
            return ""
        condition = None if self.condition is None else canonical_text(self.condition)
        return json.dumps([self.words, condition, [[term.field, term.descending] for term in self.order]])

    @cached_property
    def key(self) -> bytes:
        """A short key, equal for equivalent refinements. The text may have thousands of characters."""
        return hashlib.blake2b(self.text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields of condition and order."""
        return frozenset([*self.measures, *(term.field for term in self.order)])

    @cached_property
    def measures(self) -> frozenset[str]:
        """The measures in the condition."""
        return frozenset() if self.condition is None else frozenset(_measures(self.condition))

    def unordered(self) -> Refinement:
        """Return the refinement that selects the same rows without ordering them."""
        return replace(self, order=())


ALL_ROWS = Refinement()


def _measures(condition: Condition) -> Iterator[str]:
    if isinstance(condition, MeasureComparison):
        yield condition.measure
        return
    operands = condition.operands if isinstance(condition, AllOf | AnyOf) else (condition.operand,)
    for operand in operands:
        yield from _measures(operand)
