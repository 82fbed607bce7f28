"""Arrange the rows of a table: search, condition and order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.views.having import matching
from gateway.views.order import ordered
from gateway.views.refinement import Refinement
from gateway.views.search import containing
from gateway.views.table import Table


def arranged(table: Table, refinement: Refinement, dimensions: Sequence[str]) -> NDArray[np.uint32]:
    """Return the numbers of the rows that ``refinement`` selects, in its order. It searches ``dimensions``."""
    mask = None
    if refinement.words:
        mask = containing(table, refinement.words, dimensions)
    if refinement.condition is not None:
        matches = matching(table, refinement.condition)
        mask = matches if mask is None else mask & matches
    return ordered(table, refinement.order, mask)
