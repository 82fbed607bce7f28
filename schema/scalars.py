"""The two scalars that GraphQL lacks: 64-bit integers, and dates without a time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NewType

import strawberry
from graphql import ValueNode, value_from_ast_untyped

from gateway.errors import BadUserInput

# Range of the Microsoft page's "long".
LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1

# JSON encoders of languages that count in floating point write 5 as 5.0. Beyond 2^53 they may have rounded it.
MAX_EXACT_FLOAT = 2.0**53

Long = NewType("Long", int)
DateTime = NewType("DateTime", str)

# RFC 3339, section 5.6: T and Z in either case, and any number of digits in a fraction, as Java and Go write them.
# ISO 8601 also knows dates alone, times without seconds, no offset, and offsets such as +0200 (PHP, C) or +02.
_DATE = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[Tt](?P<time>\d{2}:\d{2}(?P<seconds>:\d{2})?)(?(seconds)(?:\.\d+)?)(?P<zone>[Zz]|[+-]\d{2}(?::?[0-5]\d)?)?)?",
    re.ASCII,
)


def _parse_long(value: Any) -> int:
    """Return a variable's value as an integer, as graphql-core does for ``Int``. Raises TypeError."""
    is_integral = isinstance(value, float) and abs(value) <= MAX_EXACT_FLOAT and value.is_integer()
    return _integer(int(value) if is_integral else value)


def _parse_long_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> int:
    """Return a literal's value; ``5.0`` is refused, as for ``Int`` (GraphQL, section 3.5.1). Raises TypeError."""
    return _integer(value_from_ast_untyped(node, variables))


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not LONG_MIN <= value <= LONG_MAX:
        raise TypeError("Long cannot represent a value that is not a 64-bit integer.")
    return value


def _parse_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("DateTime cannot represent a value that is not text such as 2018-10-14T00:00:00.")
    return value


def _same(value: Any) -> Any:
    return value


SCALARS: dict[object, Any] = {
    Long: strawberry.scalar(
        name="Long",
        description="A 64-bit integer as a JSON number. JavaScript reads numbers exactly up to 2^53. Example: `9`.",
        serialize=_same,
        parse_value=_parse_long,
        parse_literal=_parse_long_literal,
    ),
    DateTime: strawberry.scalar(
        name="DateTime",
        description="ISO 8601 text as the upstream writes it, such as `2018-10-14T00:00:00`. It has no zone: do not"
        " parse it as local time. As an argument, `YYYY-MM-DD` means midnight, and an offset is converted to UTC and"
        " dropped.",
        serialize=_same,
        parse_value=_parse_text,
    ),
}


def upstream_date(text: str, *, argument: str) -> str:
    """Return ``text`` as the upstream expects it: ``YYYY-MM-DDTHH:MM:SS``, in UTC if it had an offset.

    Raises BadUserInput naming ``argument`` if it is not a date. Fractions of a second are dropped.
    """
    match = _DATE.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        zone = (match["zone"] or "").upper()
        moment = datetime.fromisoformat(f"{match['date']}T{match['time'] or '00:00:00'}{zone}")
    except ValueError:
        raise BadUserInput(
            f"{argument} is not a date. Write it as 2018-10-14 or 2018-10-14T00:00:00.", argument=argument
        ) from None
    return _in_utc(moment).isoformat(timespec="seconds")


def _in_utc(moment: datetime) -> datetime:
    """Return ``moment`` in UTC without a zone, or the first or last date that has a year of four digits.

    .NET writes its first date with the local offset, such as ``0001-01-01T00:00:00+01:00``.
    """
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        return datetime.min if moment.year == datetime.min.year else datetime.max
