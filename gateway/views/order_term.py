"""Terms of an order, as values. This module needs no numpy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """A field to order by: a dimension, the date or a measure, by upstream field name."""

    field: str
    descending: bool = False
