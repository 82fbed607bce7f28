"""Malformed rows, envelopes and JSON, as selected by faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from gateway.sandbox.dialect import DATE_KEY
from gateway.sandbox.faults import ByteFaults, EnvelopeFaults, Faults, ValueFaults
from gateway.sandbox.links import link_entry
from gateway.sandbox.page import SandboxPage

_Row = dict[str, object]

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


def encode_page(page: SandboxPage, measures: Sequence[str], faults: Faults) -> bytes:
    """Return the body of a page, corrupted as the faults specify. May change the page's rows in place."""
    rows = _corrupt_rows(page.rows, measures, faults.values)
    envelope = {
        **_value_entry(rows, faults.envelope),
        **link_entry(faults.envelope.link, faults.envelope.link_key, page.link, more=page.has_next, rows=len(rows)),
        **_total_entry(page.total, faults.envelope),
        **_extra_entries(faults.values),
    }
    return _corrupt_json(msgspec.json.encode(envelope), faults.bytes)


def _corrupt_rows(rows: list[_Row], measures: Sequence[str], faults: ValueFaults) -> list[object]:
    """Return the rows with the faults' values. May change rows in place."""
    for number, row in enumerate(rows):
        if faults.counts:
            for name in measures:
                row[name] = _COUNT_FORMS[faults.counts](int(str(row[name])))
        if faults.dates == "none":
            row.pop(DATE_KEY, None)
        elif faults.dates and DATE_KEY in row:
            row[DATE_KEY] = _DATE_FORMS[faults.dates](str(row[DATE_KEY]))
        if faults.nulls:
            names = list(row)
            row[names[number % len(names)]] = None
            del row[names[(number * 7 + 3) % len(names)]]
        if faults.extra_keys:
            row.update(workloadCode="EXO", unheardOf={"nested": [1, None]})
    junk = _junk(faults.rows_junk)[: len(rows)]
    return [*junk, *rows[len(junk) :]]


def _total_entry(total: int, faults: EnvelopeFaults) -> dict[str, object]:
    """Return the envelope's entry for the total; empty if the fault removes it."""
    if faults.total == "missing":
        return {}
    return {faults.total_key: _TOTAL_FORMS[faults.total](total) if faults.total else total}


def _value_entry(rows: list[object], faults: EnvelopeFaults) -> dict[str, object]:
    """Return the envelope's entry for the rows; empty if the fault removes it."""
    if faults.value == "missing":
        return {}
    return {faults.value_key: _VALUE_FORMS[faults.value] if faults.value else rows}


def _extra_entries(faults: ValueFaults) -> dict[str, object]:
    """Return unknown entries for the envelope. Source of the first: Store analytics."""
    if not faults.extra_keys:
        return {}
    return {"DataFreshnessTimestamp": "2022-07-29T08:42:00", "unheardOf": [{}]}


def _junk(form: str | None) -> list[object]:
    if form is None:
        return []
    return list(_JUNK_ROWS.values()) if form == "all" else [_JUNK_ROWS[form]]


def _corrupt_json(body: bytes, faults: ByteFaults) -> bytes:
    """Return the body, damaged as the faults specify."""
    if faults.garbage:
        body = b"\x00\x01\x02 this is no JSON <<<"
    if faults.json:
        body = _JSON_FORMS[faults.json](body)
    return b"\xef\xbb\xbf" + body if faults.bom else body


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
