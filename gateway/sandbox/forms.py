"""Forms of values and bodies that an upstream may send, by the name that a fault selects them with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import formatdate
from typing import Final

import msgspec

MISSING: Final = object()
"""Stands for an entry that is left out."""

RETRY_AFTER_FORMS: Final[Mapping[str, Callable[[int], str | None]]] = {
    "seconds": str,
    "date": lambda seconds: formatdate(time.time() + seconds, usegmt=True),
    "absent": lambda _: None,
    "junk": lambda _: "soon",
    "negative": lambda seconds: f"-{seconds}",
    "huge": lambda _: "99999999999999999999",
}

COUNT_FORMS: Final[Mapping[str, Callable[[int], object]]] = {
    "string": str,
    "float": float,
    "fraction": lambda count: count + 0.5,
    "junk": lambda _: "n/a",
    # A 64-bit integer that a double cannot hold exactly.
    "big": lambda count: 2**53 + 1 + count,
    "huge": lambda _: msgspec.Raw(str(2**64).encode()),
    "negative": lambda count: -1 - count,
}

DATE_FORMS: Final[Mapping[str, Callable[[str], object]]] = {
    "z": lambda date: f"{date}Z",
    "offset": lambda date: f"{date}+00:00",
    "fraction": lambda date: f"{date}.1234567",
    # Source of the form: Store analytics.
    "junk": lambda _: "3/5/2021 12:48:33 PM",
    "null": lambda _: None,
    "none": lambda _: MISSING,
    "first": lambda _: "0001-01-01T00:00:00",
    "last": lambda _: "9999-12-31T23:59:59.9999999",
}

# Spellings of the same instant. The sandbox's dates are in UTC, without a zone.
DATE_SPELLINGS: Final[Sequence[Callable[[str], str]]] = (
    str,
    lambda date: f"{date}Z",
    lambda date: f"{date}.0000000",
    lambda date: f"{date}+00:00",
    lambda date: f"{datetime.fromisoformat(date) + timedelta(hours=2)}".replace(" ", "T") + "+02:00",
)

KEY_FORMS: Final[Mapping[str, Callable[[str], str]]] = {
    "pascal": lambda key: key[:1].upper() + key[1:],
    "upper": str.upper,
    "unknown": lambda key: f"_{key}",
}

JUNK_ROWS: Final[Mapping[str, list[object]]] = {
    "null": [None],
    "number": [42],
    "list": [[]],
    "text": ["row"],
    "all": [None, 42, [], "row"],
}

TOTAL_FORMS: Final[Mapping[str, Callable[[int], object]]] = {
    "missing": lambda _: MISSING,
    "null": lambda _: None,
    "text": lambda _: "many",
    "negative": lambda _: -1,
    "float": lambda total: total + 0.5,
    "integral": float,
    "low": lambda total: total // 2,
    "high": lambda total: total + 1000,
    "string": str,
}

VALUE_FORMS: Final[Mapping[str, object]] = {"null": None, "missing": MISSING, "object": {"rows": []}, "text": "rows"}

# The functions get the body, and the key of a count as it is in the body.
JSON_FORMS: Final[Mapping[str, Callable[[bytes, bytes], bytes]]] = {
    "cut": lambda body, _: body[: len(body) // 2],
    "trailing": lambda body, _: body + b'{"more":true}',
    "scalar": lambda *_: b"42",
    "deep": lambda *_: b"[" * 100_000 + b"]" * 100_000,
    "nan": lambda body, key: body.replace(key, key + b'NaN,"was":', 1),
    "badutf8": lambda body, _: body.replace(b'"channel":"', b'"channel":"\xff\xfe', 1),
    "dupkeys": lambda body, _: b'{"Value":[],"TotalCount":0,' + body[1:],
    "digits": lambda body, key: body.replace(key, key + b"9" * 6_000 + b',"was":', 1),
}
