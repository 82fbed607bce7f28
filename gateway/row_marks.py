"""Marks on some rows of a page, a bit for each: a page of 10,000 rows stays small if all its counts are unreadable."""

from __future__ import annotations

from collections.abc import Iterable


def marks_of(rows: Iterable[int]) -> bytes:
    """Return the marks of the rows with these numbers, from 0. The first row is the lowest bit of the first byte."""
    marks = bytearray()
    for row in rows:
        place = row // 8
        if place >= len(marks):
            marks.extend(bytes(place + 1 - len(marks)))
        marks[place] |= 1 << row % 8
    return bytes(marks)


def marked_rows(marks: bytes) -> list[int]:
    """Return the numbers of the marked rows, in order."""
    return [8 * place + bit for place, byte in enumerate(marks) if byte for bit in range(8) if byte >> bit & 1]
