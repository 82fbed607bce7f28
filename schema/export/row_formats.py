"""Rows as lines of text: CSV after RFC 4180, and NDJSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from schema.export.spreadsheet_formulas import HarmlessTexts

_JSON = msgspec.json.Encoder()

# RFC 4180, section 2: fields with line breaks, quotes or commas are quoted.
_needs_no_quotes = re.compile(r'[^",\r\n]*').fullmatch


def csv_lines(rows: Iterable[Iterable[Any]], *, raw: bool = False) -> bytes:
    """Return one line for each row; null is an empty cell. Formulas in text get a ``'`` in front unless ``raw``."""
    columns = list(zip(*rows, strict=True))
    harmless = None if raw else HarmlessTexts()
    cells = [map(_Cells(harmless, is_alone=len(columns) == 1).__getitem__, column) for column in columns]
    return "".join([f"{line}\r\n" for line in map(",".join, zip(*cells, strict=True))]).encode()


class _Cells(dict[Any, str]):
    """Maps each value of a column to its cell, written once however often the value occurs.

    Values that are equal must have equal cells: a column has values of one type.
    """

    def __init__(self, harmless: HarmlessTexts | None, *, is_alone: bool) -> None:
        super().__init__()
        self._harmless = harmless
        # A reader would skip an empty line.
        self._empty = '""' if is_alone else ""

    def __missing__(self, value: Any) -> str:
        if value is None:
            cell = self._empty
        elif value.__class__ is str:
            cell = self._quoted(value if self._harmless is None else self._harmless[value]) or self._empty
        else:
            # A negative number is not a formula.
            cell = str(value)
        self[value] = cell
        return cell

    @staticmethod
    def _quoted(text: str) -> str:
        return text if _needs_no_quotes(text) else '"' + text.replace('"', '""') + '"'


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
    # https://github.com/ndjson/ndjson-spec, section 3.3. The format is always UTF-8, but Windows PowerShell 5.1 reads
    # text without a charset as ISO-8859-1.
    "application/x-ndjson; charset=utf-8",
    "application/x-ndjson; charset=utf-8",
    lambda names: b"",
    # A list, because the library never frees the iterator of anything else.
    lambda rows, cells, raw: _JSON.encode_lines(list(rows)),
)

FORMATS = (CSV, NDJSON)
