"""Reads the parameters that the Microsoft page documents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from gateway.sandbox.engine import Question
from gateway.sandbox.odata import Condition, FilterError, parse_filter
from gateway.sandbox.rows import FIELDS, Account

# "The maximum value and the default value if not specified is 10000": the Microsoft page.
MAX_TOP: Final = 10_000
_KNOWN: Final = frozenset({"top", "skip", "filter", "groupby", "processeddatetime"})
_WHOLE: Final = re.compile(r"[0-9]{1,18}")


class ParameterError(ValueError):
    """A parameter with an unusable value; the message is written as the upstream's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request's question, the processed date it names, and its parameters but top and skip for the next link."""

    question: Question
    processed: datetime | None
    others: Sequence[tuple[str, str]]


def read_question(query_string: bytes) -> Asked:
    """Reads a query string; unknown parameters are ignored. Raises ParameterError."""
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise ParameterError("the query string is not valid UTF-8 in percent-encoding") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name.lower() in _KNOWN and given.setdefault(name.lower(), value) != value:
            raise ParameterError(f"{name} parameter is given twice")
    question = Question(_condition(given), _group_by(given), _top(given), _skip(given))
    others = [(name, value) for name, value in pairs if name.lower() in _KNOWN - {"top", "skip"}]
    return Asked(question, _processed(given), others)


def weeks_back(account: Account, processed: datetime, *, newest: int = 0) -> int | None:
    """Which of the account's processed dates that is; None if it has no such date. ``newest`` is -1 or 0."""
    known = {account.processed_at(weeks): weeks for weeks in range(newest, account.history_weeks)}
    return known.get(processed)


def lenient_skip(query_string: bytes) -> int:
    """The skip of a request that may otherwise be wrong; 0 if there is none."""
    found = re.search(rb"(?:^|&)skip=([0-9]{1,18})(?:&|$)", query_string)
    return int(found[1]) if found else 0


def _top(given: Mapping[str, str]) -> int:
    text = given.get("top", str(MAX_TOP))
    if not _WHOLE.fullmatch(text) or int(text) == 0:
        raise ParameterError("top parameter must be a positive integer")
    if int(text) > MAX_TOP:
        raise ParameterError(f"top parameter cannot be more than {MAX_TOP}")
    return int(text)


def _skip(given: Mapping[str, str]) -> int:
    text = given.get("skip", "0")
    if not _WHOLE.fullmatch(text):
        raise ParameterError("skip parameter must be a non-negative integer")
    return int(text)


def _condition(given: Mapping[str, str]) -> Condition | None:
    if "filter" not in given:
        return None
    try:
        return parse_filter(given["filter"])
    except FilterError as error:
        raise ParameterError(f"filter parameter is invalid: {error}") from None


def _group_by(given: Mapping[str, str]) -> tuple[str, ...]:
    if "groupby" not in given:
        return ()
    fields = tuple(dict.fromkeys(part.strip() for part in given["groupby"].split(",")))
    for field in fields:
        if field not in FIELDS:
            raise ParameterError(f"groupby parameter is invalid: {field!r} is none of {', '.join(FIELDS)}")
    return fields


def _processed(given: Mapping[str, str]) -> datetime | None:
    if "processeddatetime" not in given:
        return None
    try:
        parsed = datetime.fromisoformat(given["processeddatetime"])
    except ValueError:
        raise ParameterError("processedDateTime parameter must be an ISO 8601 date") from None
    return parsed.astimezone(UTC).replace(tzinfo=None) if parsed.tzinfo else parsed
