"""Malformed rows, envelopes and JSON, as selected by faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from gateway.sandbox.dataset import SandboxDataset
from gateway.sandbox.dialect import DATE_KEY
from gateway.sandbox.faults import ByteFaults, Faults, ValueFaults
from gateway.sandbox.forms import (
    COUNT_FORMS,
    DATE_FORMS,
    DATE_SPELLINGS,
    JSON_FORMS,
    JUNK_ROWS,
    KEY_FORMS,
    MISSING,
    TOTAL_FORMS,
    VALUE_FORMS,
)
from gateway.sandbox.sandbox_page import SandboxPage, link_value

# Unknown entries. Source of the first: Store analytics.
_EXTRA_ENTRIES: Final[Sequence[tuple[str, object]]] = (
    ("DataFreshnessTimestamp", "2022-07-29T08:42:00"),
    ("unheardOf", [{}]),
)


def encode_page(page: SandboxPage, dataset: SandboxDataset, faults: Faults) -> bytes:
    """Return the body of a page, corrupted as the faults specify. May change the page's rows in place."""
    _change_dates(page, faults.values)
    rows = _corrupt_rows(page.rows, dataset, faults.values)
    envelope = faults.envelope
    entries = [
        (envelope.value_key, VALUE_FORMS[envelope.value] if envelope.value else rows),
        (envelope.link_key, link_value(envelope.link, page)),
        (envelope.total_key, TOTAL_FORMS[envelope.total](page.total) if envelope.total else page.total),
        *(_EXTRA_ENTRIES if faults.values.extra_keys else ()),
    ]
    body = msgspec.json.encode({key: value for key, value in entries if value is not MISSING})
    return _corrupt_json(body, f'"{dataset.measures[0]}":'.encode(), faults.bytes)


def _change_dates(page: SandboxPage, faults: ValueFaults) -> None:
    """Change the dates of rows in place, depending on their place among all rows."""
    if not (faults.sorted_dates or faults.spelled_dates):
        return
    for number, row in enumerate(page.rows, page.link.query.skip):
        if DATE_KEY in row:
            date = datetime.fromisoformat(str(row[DATE_KEY]))
            if faults.sorted_dates:
                date -= timedelta(days=number // faults.sorted_dates)
            spelling = number // faults.spelled_dates % len(DATE_SPELLINGS) if faults.spelled_dates else 0
            row[DATE_KEY] = DATE_SPELLINGS[spelling](date.isoformat())


def _corrupt_rows(rows: list[dict[str, object]], dataset: SandboxDataset, faults: ValueFaults) -> list[object]:
    """Return the rows with the faults' values. May change rows in place."""
    for number, row in enumerate(rows):
        if faults.names:
            _rename(row, dataset.table_names, faults.names)
        if faults.counts:
            for name in row.keys() & {*dataset.measures, *dataset.table_names.values()}:
                row[name] = COUNT_FORMS[faults.counts](int(str(row[name])))
        if faults.dates and DATE_KEY in row:
            row[DATE_KEY] = DATE_FORMS[faults.dates](str(row[DATE_KEY]))
            if row[DATE_KEY] is MISSING:
                del row[DATE_KEY]
        if faults.nulls:
            names = list(row)
            row[names[number % len(names)]] = None
            del row[names[(number * 7 + 3) % len(names)]]
        if faults.extra_keys:
            row.update(market="US", unheardOf={"nested": [1, None]})
    if faults.keys:
        rows = [{KEY_FORMS[faults.keys](key): value for key, value in row.items()} for row in rows]
    junk = JUNK_ROWS[faults.rows_junk][: len(rows)] if faults.rows_junk else []
    return [*junk, *rows[len(junk) :]]


def _rename(row: dict[str, object], table_names: Mapping[str, str], form: str) -> None:
    """Give counts the table's names; in the form "both", the example's name remains, with another number."""
    for name, table_name in table_names.items():
        count = row.pop(name)
        row[table_name] = count
        if form == "both":
            row[name] = int(str(count)) + 1


def _corrupt_json(body: bytes, count_key: bytes, faults: ByteFaults) -> bytes:
    if faults.garbage:
        body = b"\x00\x01\x02 this is no JSON <<<"
    if faults.json:
        body = JSON_FORMS[faults.json](body, count_key)
    return b"\xef\xbb\xbf" + body if faults.bom else body
