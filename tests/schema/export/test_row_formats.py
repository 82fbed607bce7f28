"""CSV lines are exactly those of Python's csv writer; NDJSON has one object per line."""

from __future__ import annotations

import csv
import gc
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.export.row_formats import FORMATS, RowFormat, csv_lines

TEXTS = st.text(st.sampled_from("ab ,;\"'\r\n\t=é\u2028"), max_size=5) | st.text(max_size=3)
CELLS = st.none() | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, -1]) | TEXTS | st.just("")


def written(rows: list[list[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


@given(st.integers(1, 4).flatmap(lambda columns: st.lists(st.lists(CELLS, min_size=columns, max_size=columns))))
def test_lines_are_those_of_the_csv_writer(rows: list[list[Any]]) -> None:
    assert csv_lines(rows, raw=True) == written(rows)


def test_an_empty_cell_alone_in_its_line_is_quoted() -> None:
    """Otherwise readers would skip the line as blank."""
    assert csv_lines([[""], [None], ["x"]]) == written([[""], [None], ["x"]]) == b'""\r\n""\r\nx\r\n'


def test_no_rows_are_no_lines() -> None:
    assert csv_lines([]) == b""


@pytest.mark.parametrize("row_format", FORMATS, ids=lambda row_format: row_format.extension)
def test_nothing_is_left_in_memory(row_format: RowFormat) -> None:
    """The JSON library leaks the iterator of any rows but a list."""

    def objects() -> int:
        gc.collect()
        return len(gc.get_objects())

    rows = ({"a": 1}, {"a": 2})
    row_format.lines(rows, lambda row: row.values(), False)
    before = objects()
    for _ in range(1_000):
        row_format.lines(rows, lambda row: row.values(), False)
    assert objects() - before < 100
