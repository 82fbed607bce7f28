"""What a page costs in memory."""

from __future__ import annotations

import sys
from operator import attrgetter

import msgspec

from gateway.page import Page

# A pointer in the tuple of rows (CPython, 64 bits).
POINTER_BYTES = 8

# An integer above CPython's shared small ones, up to 60 bits.
INTEGER_BYTES = 32


def page_size_bytes(page: Page) -> int:
    """Bytes of ``page``: its rows, and each text object once however many rows share it."""
    if not page.rows:
        return 0
    fields = msgspec.structs.fields(type(page.rows[0]))
    rows_bytes = len(page.rows) * (sys.getsizeof(page.rows[0]) + POINTER_BYTES)
    return rows_bytes + sum(_column_bytes(page, field.name) for field in fields)


def _column_bytes(page: Page, name: str) -> int:
    column = list(map(attrgetter(name), page.rows))
    if isinstance(next((value for value in column if value is not None), ""), int):
        return INTEGER_BYTES * len(column)
    return sum(map(sys.getsizeof, {id(value): value for value in column}.values()))
