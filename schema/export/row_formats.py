"""Rows as lines of text: CSV after RFC 4180, and NDJSON."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import msgspec

from schema.export.spreadsheet_formulas import HarmlessTexts

_JSON = msgspec.json.Encoder()


def csv_lines(rows: Iterable[Iterable[Any]], *, raw: bool = False) -> bytes:
    """Return one line for each row; null is an empty cell. Formulas in text get a ``'`` in front unless ``raw``."""
    text = StringIO(newline="")
    csv.writer(text).writerows(rows if raw else _harmless(rows))
    return text.getvalue().encode()


def _harmless(rows: Iterable[Iterable[Any]]) -> Iterator[list[Any]]:
    shown = HarmlessTexts()
    # Check only text: a negative number is not a formula.
    return ([shown[cell] if cell.__class__ is str else cell for cell in row] for row in rows)


@dataclass(frozen=True, slots=True)
class RowFormat:
    """A file format: filename extension, media types, and functions that write the header and some rows.

    ``continued_media_type`` is the type of a response without the header. ``lines`` gets the rows, the function that
    returns the cells of a row in the order of the columns, and whether to leave cells unchanged.
    """

    extension: str
    media_type: str
    continued_media_type: str
    head: Callable[[Iterable[str]], bytes]
    lines: Callable[[Sequence[Any], Callable[[Any], Iterable[Any]], bool], bytes]


CSV = RowFormat(
    "csv",
    # RFC 4180, section 3.
    "text/csv; charset=utf-8; header=present",
    "text/csv; charset=utf-8; header=absent",
    lambda names: csv_lines([names]),
    lambda rows, cells, raw: csv_lines(map(cells, rows), raw=raw),
)

NDJSON = RowFormat(
    "ndjson",
    # https://github.com/ndjson/ndjson-spec, section 3.3.
    "application/x-ndjson",
    "application/x-ndjson",
    lambda names: b"",
    lambda rows, cells, raw: _JSON.encode_lines(rows),
)

FORMATS = (CSV, NDJSON)
