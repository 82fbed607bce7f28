"""Rows as lines of text: CSV after RFC 4180, and NDJSON."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

import msgspec

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
