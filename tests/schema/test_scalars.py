"""The two scalars: dates without a time zone, and 64-bit integers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from graphql import GraphQLScalarType, parse_value
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadUserInput
from gateway.upstream.coercion import is_date
from schema.build import build_schema
from schema.scalars import LONG_MAX, LONG_MIN, upstream_date

TYPES = build_schema()._schema.type_map


def scalar(name: str) -> GraphQLScalarType:
    """Return a scalar of the schema."""
    kind = TYPES[name]
    assert isinstance(kind, GraphQLScalarType)
    return kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2018-10-14", "2018-10-14T00:00:00"),
        ("2018-10-14T00:00:00", "2018-10-14T00:00:00"),
        ("2018-10-14T23:59:59", "2018-10-14T23:59:59"),
        ("2018-10-14T23:59", "2018-10-14T23:59:00"),
        ("2018-10-14T01:30+02:00", "2018-10-13T23:30:00"),
        ("2018-10-14T00:00:00Z", "2018-10-14T00:00:00"),
        ("2018-10-14T00:00:00+00:00", "2018-10-14T00:00:00"),
        ("2018-10-14T00:30:00+02:00", "2018-10-13T22:30:00"),
        ("2018-12-31T20:00:00-05:30", "2019-01-01T01:30:00"),
        ("2018-10-14T00:00:00.1", "2018-10-14T00:00:00"),
        ("2018-10-14T00:00:00.9999999Z", "2018-10-14T00:00:00"),
        ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00"),
        ("2018-10-14T00:00:00.123456789Z", "2018-10-14T00:00:00"),
        ("2018-10-14T00:00:00.123456789123+02:00", "2018-10-13T22:00:00"),
        ("2018-10-14T00:00:00.918+0000", "2018-10-14T00:00:00"),
        ("2018-10-14T00:30:00+0200", "2018-10-13T22:30:00"),
        ("2018-10-14T00:30-0530", "2018-10-14T06:00:00"),
        ("2018-10-14T00:30:00+02", "2018-10-13T22:30:00"),
        ("2018-10-14t00:00:00z", "2018-10-14T00:00:00"),
        ("2018-10-14T00:00:00-00:00", "2018-10-14T00:00:00"),
        ("2020-02-29", "2020-02-29T00:00:00"),
        ("0001-01-01", "0001-01-01T00:00:00"),
        ("9999-12-31T23:59:59", "9999-12-31T23:59:59"),
        ("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00"),
        ("9999-12-31T23:59:59.9999999-01:00", "9999-12-31T23:59:59"),
    ],
)
def test_a_date_is_sent_upstream_in_utc_without_a_zone(text: str, expected: str) -> None:
    assert upstream_date(text, argument="processedDateTime") == expected


@given(moment=st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), minutes=st.integers(-1_439, 1_439))
def test_any_offset_is_converted(moment: datetime, minutes: int) -> None:
    there = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    expected = there.astimezone(UTC).replace(tzinfo=None).isoformat()
    assert upstream_date(there.isoformat(), argument="processedDateTime") == expected


@given(moment=st.datetimes())
def test_converting_a_converted_date_changes_nothing(moment: datetime) -> None:
    once = upstream_date(moment.isoformat(timespec="seconds"), argument="processedDateTime")
    assert upstream_date(once, argument="processedDateTime") == once


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "yesterday",
        "2018",
        "2018-10",
        "20181014",
        "2018-13-01",
        "2018-02-29",
        "0000-01-01",
        "2018-10-14 00:00:00",
        "2018-10-14T",
        "2018-10-14T00",
        "2018-10-14T00:00.5",
        "2018-10-14T25:00:00",
        "2018-10-14T00:00:61",
        "2018-10-14T00:00:00.",
        "2018-10-14T00:00:00,5",
        "2018-10-14T00:00.5Z",
        "2018-10-14T00:00:00+2",
        "2018-10-14T00:00:00+020",
        "2018-10-14T00:00:00+2400",
        "2018-10-14T00:00:00+0260",
        "2018-10-14T00:00:00 02:00",
        "2018-10-14T00:00:00Zz",
        "2018-10-14T00:00:00+24:00",
        "2018-10-14T00:00:00+01:60",
        "2018-10-14Z",
        " 2018-10-14",
        "2018-10-14\n",
        "2018-10-14&top=1",
        "٢٠١٨-١٠-١٤",
        "1" * 100_000,
    ],
)
def test_an_invalid_date_is_a_caller_error_with_its_argument(text: str) -> None:
    with pytest.raises(BadUserInput) as caught:
        upstream_date(text, argument="processedDateTime")
    assert caught.value.facts == {"argument": "processedDateTime"}
    assert "2018-10-14T00:00:00" in caught.value.message
    assert len(caught.value.message) < 200


@given(text=st.text(max_size=30) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]{8,16}(Z|[+-][0-9:]{5}))?"))
def test_any_invalid_date_raises_the_documented_error(text: str) -> None:
    try:
        sent = upstream_date(text, argument="processedDateTime")
    except BadUserInput:
        return
    assert datetime.fromisoformat(sent).isoformat(timespec="seconds") == sent


HOURS = "([01][0-9]|2[0-3]):[0-5][0-9]"


@given(
    day=st.dates() | st.sampled_from([date.min, date.max]),
    time=st.from_regex(rf"(T{HOURS}(:[0-5][0-9](\.[0-9]{{1,7}})?)?(Z|[+-]{HOURS})?)?", fullmatch=True),
)
def test_every_date_that_the_gateway_gives_is_taken_back(day: date, time: str) -> None:
    """The gateway passes on the upstream's spelling of a date, which may have no seconds."""
    assert is_date(f"{day}{time}")
    upstream_date(f"{day}{time}", argument="processedDateTime")


@pytest.mark.parametrize("value", [1, True, 1.5, ["2018-10-14"], {"date": 1}])
def test_a_date_argument_is_text(value: Any) -> None:
    with pytest.raises(TypeError, match="DateTime cannot represent"):
        scalar("DateTime").parse_value(value)


def test_a_date_is_returned_as_the_upstream_wrote_it() -> None:
    assert scalar("DateTime").serialize("2018-10-14T00:00:00.0000000Z") == "2018-10-14T00:00:00.0000000Z"


@pytest.mark.parametrize("value", [0, -1, 2**31, 2**53 + 1, LONG_MIN, LONG_MAX])
def test_a_long_is_exact_over_its_whole_range(value: int) -> None:
    assert scalar("Long").parse_value(value) == value
    assert scalar("Long").parse_literal(parse_value(str(value))) == value
    assert scalar("Long").serialize(value) == value


@pytest.mark.parametrize("value", [0.0, -0.0, 5.0, -7.0, 2.0**53, -(2.0**53)])
def test_a_variable_may_write_an_integer_as_a_float(value: float) -> None:
    parsed = scalar("Long").parse_value(value)
    assert parsed == value
    assert type(parsed) is int


@pytest.mark.parametrize(
    "value",
    [LONG_MAX + 1, LONG_MIN - 1, 10**400, 1.5, 2.0**53 + 2, 1e18, float("nan"), float("inf"), True, "1", None, [1]],
)
def test_a_value_beyond_64_bits_is_not_a_long(value: Any) -> None:
    with pytest.raises(TypeError, match="64-bit integer"):
        scalar("Long").parse_value(value)


@pytest.mark.parametrize("literal", [str(2**63), "1.0", '"1"', "true", "null", "[1]"])
def test_a_literal_beyond_64_bits_is_not_a_long(literal: str) -> None:
    with pytest.raises(TypeError, match="64-bit integer"):
        scalar("Long").parse_literal(parse_value(literal))
