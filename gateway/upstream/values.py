"""Single values of upstream rows: what is read, and what becomes null and is counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

# The Microsoft page's "long": 64 bits, signed.
MIN_LONG = -(2**63)
MAX_LONG = 2**63 - 1

# A long has 19 digits at most; a decimal with more before its point is none, and its int() may be enormous.
_MAX_LONG_DIGITS = 19

# Counts come as JSON text from sibling endpoints (Partner Center docs, grouped subscription analytics).
_NUMBER_TEXT = re.compile(r"[+-]?[0-9]{1,64}(\.[0-9]{1,64})?([eE][+-]?[0-9]{1,4})?")

# ISO 8601 as the upstream and its siblings write it: a day, or a moment with up to seven digits of fraction (.NET
# ticks) and no zone, Z or an offset. Python's own parser knows neither seven digits nor hour-only text in the same way.
_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d)?)(?:(?<=:\d\d:\d\d)\.\d{1,7})?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?)?",
    re.ASCII,
)


def exact(text: str) -> Decimal:
    """A JSON number with a point or an exponent, unrounded; NaN when its exponent is beyond reason."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def is_long(value: int) -> bool:
    """True for what 64 bits hold."""
    return MIN_LONG <= value <= MAX_LONG


def is_date(text: str) -> bool:
    """True for ISO 8601 text that names a real day and time."""
    found = _DATE.fullmatch(text)
    if found is None:
        return False
    try:
        datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00'}")
    except ValueError:
        return False
    return True


def long_of(value: Any) -> int | None:
    """An integer, an integral number or the text of one, when 64 bits hold it; else None."""
    if isinstance(value, str):
        value = exact(value) if _NUMBER_TEXT.fullmatch(value) else None
    if isinstance(value, float):
        value = Decimal(value)
    if isinstance(value, Decimal):
        value = _integral(value)
    if isinstance(value, int) and not isinstance(value, bool) and is_long(value):
        return value
    return None


def _integral(value: Decimal) -> int | None:
    # A zero of any exponent is zero; elsewhere the exponent bounds the digits before int() writes them out.
    if not value:
        return 0
    if value.adjusted() >= _MAX_LONG_DIGITS or value != value.to_integral_value():
        return None
    return int(value)


def total_of(values: Iterable[Any]) -> int | None:
    """The first value that is a count, else None."""
    counts = (long_of(value) for value in values)
    return next((count for count in counts if count is not None and count >= 0), None)


class Reader:
    """Reads rows field by field. ``fields`` maps an upstream name to an attribute name and a kind."""

    def __init__(self, fields: Mapping[str, tuple[str, str]]) -> None:
        self._fields = tuple((name, attribute, kind) for name, (attribute, kind) in fields.items())

    def read(self, row: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """Values by attribute name, and how many could not be read. Null and missing fields can."""
        values: dict[str, Any] = {}
        faults = 0
        for name, attribute, kind in self._fields:
            given = row.get(name)
            if given is None:
                continue
            value = _READERS[kind](given)
            if value is None:
                faults += 1
            else:
                values[attribute] = value
        return values, faults


def _text_of(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _date_of(value: Any) -> str | None:
    return value if isinstance(value, str) and is_date(value) else None


_READERS = {"long": long_of, "text": _text_of, "date": _date_of}
