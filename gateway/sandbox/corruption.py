"""Malformed rows, envelopes and JSON, as selected by faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from gateway.sandbox.faults import Faults

_Row = dict[str, object]
_DATE: Final = "processedDateTime"
# Age of Dynamics rows. Microsoft's license deployment documents of 2017 show four days; this is a milder case.
_CRM_LAG: Final = timedelta(days=2)

_COUNT_FORMS: Final[Mapping[str, Callable[[int], object]]] = {
    "string": str,
    "float": float,
    "fraction": lambda count: count + 0.5,
    "junk": lambda _: "n/a",
    # A 64-bit integer that a double cannot hold exactly.
    "big": lambda count: 2**53 + 1 + count,
    "huge": lambda _: msgspec.Raw(str(2**64).encode()),
    "negative": lambda count: -1 - count,
}
_DATE_FORMS: Final[Mapping[str, Callable[[str], object]]] = {
    "z": lambda date: f"{date}Z",
    "offset": lambda date: f"{date}+00:00",
    "fraction": lambda date: f"{date}.1234567",
    # Source of the form: Store analytics.
    "junk": lambda _: "3/5/2021 12:48:33 PM",
    "null": lambda _: None,
    "first": lambda _: "0001-01-01T00:00:00",
    "last": lambda _: "9999-12-31T23:59:59.9999999",
}
_JUNK_ROWS: Final[Mapping[str, object]] = {"null": None, "number": 42, "list": [], "text": "row"}
_TOTAL_FORMS: Final[Mapping[str, Callable[[int], object]]] = {
    "null": lambda _: None,
    "text": lambda _: "many",
    "negative": lambda _: -1,
    "float": lambda total: total + 0.5,
    "integral": float,
    "low": lambda total: total // 2,
    "high": lambda total: total + 1000,
    "string": str,
}
_VALUE_FORMS: Final[Mapping[str, object]] = {"null": None, "object": {"rows": []}, "text": "rows"}


def dated_rows(rows: list[_Row], processed: datetime, faults: Faults, *, grouped: bool) -> list[_Row]:
    """Add a date to groups and make Dynamics rows older, if the faults are on. May change rows in place."""
    if grouped and faults.values.groupdate:
        rows = [{_DATE: processed.isoformat(), **row} for row in rows]
    if faults.values.mixed_dates:
        for row in rows:
            if row.get("serviceCode") == "crm" and _DATE in row:
                row[_DATE] = (processed - _CRM_LAG).isoformat()
    return rows


def corrupt_rows(rows: list[_Row], measures: Sequence[str], faults: Faults) -> list[object]:
    """Return the rows with the faults' values. May change rows in place."""
    for number, row in enumerate(rows):
        if faults.values.counts:
            for name in measures:
                row[name] = _COUNT_FORMS[faults.values.counts](int(str(row[name])))
        if faults.values.dates == "none":
            row.pop(_DATE, None)
        elif faults.values.dates and _DATE in row:
            row[_DATE] = _DATE_FORMS[faults.values.dates](str(row[_DATE]))
        if faults.values.nulls:
            names = list(row)
            row[names[number % len(names)]] = None
            del row[names[(number * 7 + 3) % len(names)]]
        if faults.values.extra_keys:
            row.update(workloadCode="EXO", unheardOf={"nested": [1, None]})
    junk = _junk(faults.values.rows_junk)[: len(rows)]
    return [*junk, *rows[len(junk) :]]


def total_entry(total: int, faults: Faults) -> dict[str, object]:
    """Return the envelope's entry for the total; empty if the fault removes it."""
    if faults.envelope.total == "missing":
        return {}
    return {faults.envelope.total_key: _TOTAL_FORMS[faults.envelope.total](total) if faults.envelope.total else total}


def value_entry(rows: list[object], faults: Faults) -> dict[str, object]:
    """Return the envelope's entry for the rows; empty if the fault removes it."""
    if faults.envelope.value == "missing":
        return {}
    return {faults.envelope.value_key: _VALUE_FORMS[faults.envelope.value] if faults.envelope.value else rows}


def extra_entries(faults: Faults) -> dict[str, object]:
    """Return unknown entries for the envelope. Source of the first: Store analytics."""
    if not faults.values.extra_keys:
        return {}
    return {"DataFreshnessTimestamp": "2022-07-29T08:42:00", "unheardOf": [{}]}


def _junk(form: str | None) -> list[object]:
    if form is None:
        return []
    return list(_JUNK_ROWS.values()) if form == "all" else [_JUNK_ROWS[form]]


def corrupt_json(body: bytes, faults: Faults) -> bytes:
    """Return the body, damaged as the faults specify."""
    if faults.bytes.garbage:
        body = b"\x00\x01\x02 this is no JSON <<<"
    if faults.bytes.json:
        body = _JSON_FORMS[faults.bytes.json](body)
    return b"\xef\xbb\xbf" + body if faults.bytes.bom else body


_COUNT_KEY: Final = '"licensesDeployed":'

_JSON_FORMS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "cut": lambda body: body[: len(body) // 2],
    "trailing": lambda body: body + b'{"more":true}',
    "scalar": lambda _: b"42",
    "deep": lambda _: b"[" * 100_000 + b"]" * 100_000,
    "nan": lambda body: body.replace(_COUNT_KEY.encode(), b'"licensesDeployed":NaN,"was":', 1),
    "digits": lambda body: body.replace(_COUNT_KEY.encode(), _COUNT_KEY.encode() + b"9" * 6_000 + b',"was":', 1),
    "badutf8": lambda body: body.replace(b'"channel":"', b'"channel":"\xff\xfe', 1),
    "dupkeys": lambda body: b'{"Value":[],"TotalCount":0,' + body[1:],
}
