"""Describe a response in words of a closed set, without values of the upstream."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from gateway.cli.doctor.prober import Answer
from gateway.dataset import Dataset
from gateway.upstream.codec import LINK_NAMES, ROWS_NAMES, TOTAL_NAMES

_DATES = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"), "as documented"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "without a time"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+"), "with fractions of a second"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)"), "with a time zone"),
)


def rows_of(answer: Answer) -> list[Any] | None:
    """Return the rows of an answer, or None without a list of rows."""
    rows = _member(answer.document, ROWS_NAMES)[1]
    return rows if isinstance(rows, list) else None


def objects_of(answer: Answer) -> list[dict[str, Any]]:
    return [row for row in rows_of(answer) or () if isinstance(row, dict)]


def with_own_names(row: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Return ``row`` with the documented names in place of their other spellings. The documented ones win."""
    named = dict(row)
    for other, name in dataset.other_spellings:
        if other in named:
            named.setdefault(name, named.pop(other))
    return named


def envelope(answer: Answer) -> str:
    """Return the documented names that the envelope has."""
    groups = (ROWS_NAMES, LINK_NAMES, TOTAL_NAMES)
    return ", ".join(_member(answer.document, names)[0] or f"no {names[0]}" for names in groups)


def total_form(answer: Answer) -> str:
    name, total = _member(answer.document, TOTAL_NAMES)
    if not name:
        return "missing"
    if isinstance(total, int) and not isinstance(total, bool):
        return "a negative number" if total < 0 else "a whole number"
    return _kind(total)


def link_form(answer: Answer, origin: str) -> str:
    """Return the form of the link to the next page."""
    name, link = _member(answer.document, LINK_NAMES)
    if not isinstance(link, str):
        return _kind(link) if name else "missing"
    try:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            own = urlsplit(origin)
            return "absolute, to the same host" if parts.netloc == own.netloc else "absolute, to another host"
    except ValueError:
        return "text that is no URL"
    spelling = "not encoded" if " " in link or "'" in link else "encoded, or nothing to encode"
    return f"{'from the root' if link.startswith('/') else 'relative'}, {spelling}"


def dates_form(rows: Iterable[dict[str, Any]], dataset: Dataset) -> str:
    return _forms([_date(row[dataset.date]) if dataset.date in row else "missing" for row in rows])


def _date(value: Any) -> str:
    if not isinstance(value, str):
        return _kind(value)
    return next((words for pattern, words in _DATES if pattern.fullmatch(value)), "text of another form")


def counts_form(rows: Iterable[dict[str, Any]], dataset: Dataset) -> str:
    named = (with_own_names(row, dataset) for row in rows)
    return _forms([_kind(row[name]) if name in row else "missing" for row in named for name in dataset.measures])


def keys_form(rows: Sequence[dict[str, Any]], dataset: Dataset) -> str:
    """Return how the keys of rows differ from the documented ones."""
    documented = set(dataset.attributes)
    lower = {name.lower() for name in documented}
    findings = []
    if any(other in row for row in rows for other, _ in dataset.other_spellings):
        findings.append("another spelling that the page uses, too")
    rows = [with_own_names(row, dataset) for row in rows]
    keys = {key for row in rows for key in row}
    if {key for key in keys - documented if key.lower() in lower}:
        findings.append("documented ones in another case")
    if {key for key in keys if key.lower() not in lower}:
        findings.append("further ones")
    if any(documented - row.keys() for row in rows):
        findings.append("some missing")
    return ", ".join(findings) or ("as documented" if rows else "unknown, without rows")


def ids_form(answer: Answer) -> str:
    """Return which request ids the response echoes."""
    sent = {"MS-RequestId": answer.ids.request, "MS-CorrelationId": answer.ids.correlation}
    words = []
    for name, value in sent.items():
        echoed = answer.headers.get(name)
        state = "missing" if echoed is None else "echoed" if echoed.strip().lower() == value.lower() else "another"
        words.append(f"{name} {state}")
    return ", ".join(words)


def sum_of(rows: Iterable[dict[str, Any]], measure: str) -> int | None:
    """Return the sum of a measure, or None unless all values are whole numbers."""
    values = [whole_number(row.get(measure)) for row in rows]
    return None if None in values else sum(value for value in values if value is not None)


def whole_number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value, re.ASCII) else None


def _member(document: Any, names: Sequence[str]) -> tuple[str, Any]:
    found = [name for name in names if isinstance(document, dict) and name in document]
    return (found[0], document[found[0]]) if found else ("", None)


def _kind(value: Any) -> str:
    kinds: list[tuple[Callable[[Any], bool], str]] = [
        (lambda it: it is None, "null"),
        (lambda it: isinstance(it, bool), "true or false"),
        (lambda it: isinstance(it, int), "whole numbers"),
        (lambda it: isinstance(it, float), "decimal numbers"),
        (lambda it: isinstance(it, str), "text"),
    ]
    return next((words for holds, words in kinds if holds(value)), "an object or a list")


def _forms(words: Iterable[str]) -> str:
    return ", ".join(sorted(set(words))) or "unknown, without rows"
