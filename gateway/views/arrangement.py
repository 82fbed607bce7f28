"""Arrange the rows of a table: search, condition and order."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from gateway.views.having import matching
from gateway.views.measure_column import Rows
from gateway.views.order import ordered
from gateway.views.refinement import Refinement
from gateway.views.search import containing
from gateway.views.table import Table


def arranged(table: Table, refinement: Refinement, dimensions: Sequence[str]) -> Rows:
    """Return the numbers of the rows that ``refinement`` selects, in its order. It searches ``dimensions``."""
    mask = None
    if refinement.words:
        mask = containing(table, refinement.words, dimensions)
    if refinement.condition is not None:
        matches = matching(table, refinement.condition)
        mask = matches if mask is None else mask & matches
    return ordered(table, refinement.order, mask)


def arranging(table: Table, refinement: Refinement, dimensions: Sequence[str]) -> Generator[None, None, Rows]:
    """Do the same as :func:`arranged` in pieces, each of some ten milliseconds for 250,000 rows."""
    if refinement.order:
        yield from table.ranking(term.field for term in refinement.order)
    return arranged(table, refinement, dimensions)
