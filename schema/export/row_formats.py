"""Rows as lines of text: CSV after RFC 4180, and NDJSON."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from operator import attrgetter
from typing import Any

import msgspec

from gateway.query import Dataset

# Spreadsheets may run a cell that begins with one of these as a formula (OWASP, "CSV Injection").
_FORMULA_STARTS = frozenset("=+-@\t\r")

_JSON = msgspec.json.Encoder()


def csv_lines(rows: Iterable[Sequence[Any]], *, raw: bool = False) -> bytes:
    """Return one line for each row; null is an empty cell. Text like a formula gets a ``'`` prefix unless ``raw``."""
    text = StringIO(newline="")
    csv.writer(text).writerows(rows if raw else map(_guarded, rows))
    return text.getvalue().encode()


def ndjson_lines(rows: Iterable[Any]) -> bytes:
    """Return one JSON object on a line for each row, a struct or a dict."""
    return _JSON.encode_lines(rows)


def _guarded(row: Sequence[Any]) -> list[Any]:
    # Only text is prefixed: a negative number is not a formula.
    return [cell if cell.__class__ is not str or cell[:1] not in _FORMULA_STARTS else f"'{cell}" for cell in row]


@dataclass(frozen=True, slots=True)
class RowFormat:
    """A file format: filename extension, media types, and functions that write the header and some rows.

    ``continued_media_type`` is the type of a response without the header.
    """

    extension: str
    media_type: str
    continued_media_type: str
    head: Callable[[Dataset], bytes]
    lines: Callable[[Dataset, Sequence[Any], bool], bytes]


def _csv_head(dataset: Dataset) -> bytes:
    return csv_lines([list(dataset.attributes)])


def _csv(dataset: Dataset, rows: Sequence[Any], raw: bool) -> bytes:
    return csv_lines(map(attrgetter(*dataset.attributes.values()), rows), raw=raw)


FORMATS = (
    # RFC 4180, section 3.
    RowFormat(
        "csv",
        "text/csv; charset=utf-8; header=present",
        "text/csv; charset=utf-8; header=absent",
        _csv_head,
        _csv,
    ),
    # https://github.com/ndjson/ndjson-spec, section 3.3.
    RowFormat(
        "ndjson",
        "application/x-ndjson",
        "application/x-ndjson",
        lambda _: b"",
        lambda _, rows, raw: ndjson_lines(rows),
    ),
)
