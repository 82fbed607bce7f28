"""Rows as lines of text: CSV after RFC 4180, and NDJSON."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

import msgspec

# Where a cell begins so, spreadsheets may take it for a formula (OWASP, "CSV Injection").
_FORMULA_STARTS = frozenset("=+-@\t\r")

_JSON = msgspec.json.Encoder()


def csv_lines(rows: Iterable[Sequence[Any]], *, raw: bool = False) -> bytes:
    """One line for each row, null as an empty cell. Text that begins like a formula gets a ``'`` unless ``raw``."""
    text = StringIO(newline="")
    csv.writer(text).writerows(rows if raw else map(_guarded, rows))
    return text.getvalue().encode()


def ndjson_lines(rows: Iterable[Any]) -> bytes:
    """One JSON object for each row, a struct or a dict."""
    return _JSON.encode_lines(rows)


def _guarded(row: Sequence[Any]) -> list[Any]:
    # Numbers stay numbers: a sum below zero is no formula.
    return [cell if cell.__class__ is not str or cell[:1] not in _FORMULA_STARTS else f"'{cell}" for cell in row]
