"""Arrange the rows of a table: search, condition and order."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.views.having import matching
from gateway.views.measure_column import Rows
from gateway.views.order import ordering
from gateway.views.pieces import Pieces
from gateway.views.refinement import Refinement
from gateway.views.search import containing
from gateway.views.table import Table


def arranging(table: Table, refinement: Refinement, dimensions: Sequence[str]) -> Pieces[Rows]:
    """Return the numbers of the rows that ``refinement`` selects, in its order. It searches ``dimensions``."""
    mask = None
    if refinement.words:
        mask = yield from containing(table, refinement.words, dimensions)
    if refinement.condition is not None:
        matches = yield from matching(table, refinement.condition)
        mask = matches if mask is None else mask & matches
    return (yield from ordering(table, refinement.order, mask))
