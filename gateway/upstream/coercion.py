"""Coerce JSON values of upstream rows. Values that cannot be read become null and are counted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.clocks.instant import DATE

# The Microsoft page's "long": 64 bits, signed.
MIN_LONG = -(2**63)
MAX_LONG = 2**63 - 1

# A 64-bit integer has at most 19 digits. Reject larger decimals before int(), which could produce an enormous number.
_MAX_LONG_DIGITS = 19

# Sibling endpoints return counts as JSON strings (Partner Center docs, grouped subscription analytics).
_NUMBER_TEXT = re.compile(r"[+-]?[0-9]{1,64}(\.[0-9]{1,64})?([eE][+-]?[0-9]{1,4})?")


def exact(text: str) -> Decimal:
    """Parse a JSON number with a point or an exponent without rounding; return NaN if the exponent is out of range."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def is_date(text: str) -> bool:
    """Return True if ``text`` is a valid date, or date and time, in ISO 8601."""
    match = DATE.fullmatch(text)
    if match is None:
        return False
    try:
        datetime.fromisoformat(f"{match[1]}T{match[2] or '00:00'}")
    except ValueError:
        return False
    return True


def long_of(value: Any) -> int | None:
    """Return an integer, an integral number or its text as a 64-bit integer; None for anything else."""
    if isinstance(value, str):
        value = exact(value) if _NUMBER_TEXT.fullmatch(value) else None
    if isinstance(value, float):
        value = Decimal(value)
    if isinstance(value, Decimal):
        value = _integral(value)
    if isinstance(value, int) and not isinstance(value, bool) and MIN_LONG <= value <= MAX_LONG:
        return value
    return None


def _integral(value: Decimal) -> int | None:
    # Zero with any exponent is zero. For other values, check the exponent first, so that int() stays cheap.
    if not value:
        return 0
    if value.adjusted() >= _MAX_LONG_DIGITS or value != value.to_integral_value():
        return None
    return int(value)


def total_of(values: Iterable[Any]) -> int | None:
    """Return the first non-negative integer in ``values``, or None."""
    counts = (long_of(value) for value in values)
    return next((count for count in counts if count is not None and count >= 0), None)


def text_of(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def date_of(value: Any) -> str | None:
    return value if isinstance(value, str) and is_date(value) else None
