"""Parses the query parameters that the Microsoft page documents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from gateway.sandbox.odata import Condition, FilterError, parse_filter

# Microsoft page: "The maximum value and the default value if not specified is 10000".
MAX_TOP: Final = 10_000
_KNOWN: Final = frozenset({"top", "skip", "filter", "groupby", "processeddatetime"})
_WHOLE: Final = re.compile(r"[0-9]{1,18}")


class ParameterError(ValueError):
    """A parameter has an invalid value. The message imitates the upstream's wording."""


@dataclass(frozen=True, slots=True)
class SandboxQuery:
    """The parsed parameters of one request: a filter, the fields to group by, and a window of rows or groups.

    ``group_by`` is empty for plain rows, and ``processed`` is None for the latest date. ``link_parameters`` are the
    decoded parameters except top and skip, in order; the next link repeats them.
    """

    condition: Condition | None
    group_by: tuple[str, ...]
    top: int
    skip: int
    processed: datetime | None = None
    link_parameters: Sequence[tuple[str, str]] = ()


def parse_parameters(query_string: bytes, fields: Sequence[str]) -> SandboxQuery:
    """Parse a query string for a dataset with ``fields``, ignoring unknown parameters. Raises ParameterError."""
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise ParameterError("the query string is not valid UTF-8 in percent-encoding") from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name.lower() in _KNOWN and values.setdefault(name.lower(), value) != value:
            raise ParameterError(f"{name} parameter is given twice")
    return SandboxQuery(
        condition=_condition(values, fields),
        group_by=_group_by(values, fields),
        top=_top(values),
        skip=_skip(values),
        processed=_processed(values),
        link_parameters=[(name, value) for name, value in pairs if name.lower() in _KNOWN - {"top", "skip"}],
    )


def lenient_skip(query_string: bytes) -> int:
    """Return the skip of a request whose other parameters may be invalid; 0 by default."""
    match = re.search(rb"(?:^|&)skip=([0-9]{1,18})(?:&|$)", query_string)
    return int(match[1]) if match else 0


def _top(values: Mapping[str, str]) -> int:
    text = values.get("top", str(MAX_TOP))
    if not _WHOLE.fullmatch(text) or int(text) == 0:
        raise ParameterError("top parameter must be a positive integer")
    if int(text) > MAX_TOP:
        raise ParameterError(f"top parameter cannot be more than {MAX_TOP}")
    return int(text)


def _skip(values: Mapping[str, str]) -> int:
    text = values.get("skip", "0")
    if not _WHOLE.fullmatch(text):
        raise ParameterError("skip parameter must be a non-negative integer")
    return int(text)


def _condition(values: Mapping[str, str], fields: Sequence[str]) -> Condition | None:
    if "filter" not in values:
        return None
    try:
        return parse_filter(values["filter"], fields)
    except FilterError as error:
        raise ParameterError(f"filter parameter is invalid: {error}") from None


def _group_by(values: Mapping[str, str], fields: Sequence[str]) -> tuple[str, ...]:
    if "groupby" not in values:
        return ()
    group_by = tuple(dict.fromkeys(part.strip() for part in values["groupby"].split(",")))
    for field in group_by:
        if field not in fields:
            raise ParameterError(f"groupby parameter is invalid: {field!r} is none of {', '.join(fields)}")
    return group_by


def _processed(values: Mapping[str, str]) -> datetime | None:
    if "processeddatetime" not in values:
        return None
    try:
        parsed = datetime.fromisoformat(values["processeddatetime"])
    except ValueError:
        raise ParameterError("processedDateTime parameter must be an ISO 8601 date") from None
    return parsed.astimezone(UTC).replace(tzinfo=None) if parsed.tzinfo else parsed
