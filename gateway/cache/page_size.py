"""The memory that the rows of a page take."""

from __future__ import annotations

import sys

from msgspec.structs import astuple

from gateway.page import Page

# A pointer in the tuple of rows (CPython, 64 bits).
POINTER_BYTES = 8

# Pages up to this size are measured row by row; the size of larger pages is estimated from evenly spaced rows.
SAMPLE_ROWS = 64

# The safety factor for estimates.
SAMPLE_MARGIN = 1.1


def page_size_bytes(page: Page) -> int:
    """Return the bytes of ``page``'s rows with all values; for a large page, an estimate that errs upward."""
    return _rows_bytes(page) + sum(map(len, page.unreadable.values()))


def _rows_bytes(page: Page) -> int:
    if not page.rows:
        return 0
    step = -(-len(page.rows) // SAMPLE_ROWS)
    sample = page.rows[::step]
    sample_bytes = sum(sum(map(sys.getsizeof, astuple(row))) for row in sample)
    sample_bytes += len(sample) * (sys.getsizeof(page.rows[0]) + POINTER_BYTES)
    if step == 1:
        return sample_bytes
    return int(sample_bytes * len(page.rows) / len(sample) * SAMPLE_MARGIN)
