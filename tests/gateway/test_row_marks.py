"""Marks of rows: small, and without loss."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.row_marks import marked_rows, marks_of


@given(st.sets(st.integers(0, 12_000)))
def test_the_marked_rows_are_those_that_were_marked(rows: set[int]) -> None:
    assert marked_rows(marks_of(rows)) == sorted(rows)


def test_a_page_of_marks_takes_a_bit_for_each_row() -> None:
    assert len(marks_of(range(10_000))) == 1_250
    assert marks_of([]) == b""
