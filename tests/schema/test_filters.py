"""From the filter input to the canonical filter: all operators, and invalid filters."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strawberry import UNSET

from gateway.errors import BadUserInput
from gateway.query import FALSE, TRUE, Comparison, Filter, encoded
from gateway.sandbox import odata
from gateway.sandbox.datasets.license_deployment import FIELDS
from schema.datasets.license_deployment import LicenseDeploymentFilter
from schema.filters import MAX_DEPTH, StringFilter, to_filter

NAMES = {"and": "and_", "or": "or_", "not": "not_", "in": "in_", "notIn": "not_in", "serviceCode": "service_code"}


def filter_input(filter_json: dict[str, Any]) -> Any:
    """Return the input object of a filter as GraphQL variables have it."""
    return LicenseDeploymentFilter(
        **{NAMES.get(name, name): _operand(name, value) for name, value in filter_json.items()}
    )


def _operand(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in ("and", "or"):
        return [None if item is None else filter_input(item) for item in value]
    return filter_input(value) if name == "not" else _string_filter(value)


def _string_filter(value: dict[str, Any]) -> StringFilter:
    return StringFilter(**{NAMES.get(name, name): operand for name, operand in value.items()})


def read(filter_json: dict[str, Any], max_bytes: int = 8_000) -> Filter:
    """Return the canonical filter of ``filter_json``."""
    return to_filter(filter_input(filter_json), max_bytes=max_bytes)


def refused(filter_json: dict[str, Any], max_bytes: int = 8_000) -> str:
    """Return the message of the BadUserInput that ``filter_json`` must raise."""
    with pytest.raises(BadUserInput) as caught:
        read(filter_json, max_bytes)
    assert caught.value.facts == {"argument": "filter"}
    return caught.value.message


A, B = {"channel": {"eq": "a"}}, {"channel": {"eq": "b"}}


@pytest.mark.parametrize(
    ("filter_json", "text"),
    [
        (A, "channel eq 'a'"),
        ({"channel": {"ne": "a"}}, "channel ne 'a'"),
        ({"channel": {"in": ["b", "a", "b"]}}, "channel eq 'a' or channel eq 'b'"),
        ({"channel": {"in": ["a"]}}, "channel eq 'a'"),
        ({"channel": {"notIn": ["b", "a"]}}, "channel ne 'a' and channel ne 'b'"),
        ({"channel": {"eq": "a", "ne": "b"}}, "channel eq 'a' and channel ne 'b'"),
        ({"channel": {"eq": "a"}, "serviceCode": {"eq": "b"}}, "channel eq 'a' and serviceCode eq 'b'"),
        ({"channel": {"in": ["a", "b"], "ne": "c"}}, "(channel eq 'a' or channel eq 'b') and channel ne 'c'"),
        ({"and": [A, B]}, "channel eq 'a' and channel eq 'b'"),
        ({"or": [B, A]}, "channel eq 'a' or channel eq 'b'"),
        ({"or": [A], "and": [A]}, "channel eq 'a'"),
        ({"not": A}, "channel ne 'a'"),
        ({"not": {"not": A}}, "channel eq 'a'"),
        ({"not": {"or": [A, B]}}, "channel ne 'a' and channel ne 'b'"),
        ({"not": {"and": [A, {"channel": {"ne": "b"}}]}}, "channel eq 'b' or channel ne 'a'"),
        ({"not": {"channel": {"in": ["a", "b"]}}}, "channel ne 'a' and channel ne 'b'"),
        ({"not": {"channel": {"notIn": ["a", "b"]}}}, "channel eq 'a' or channel eq 'b'"),
        ({"or": [{"and": [A, B]}, {"channel": {"eq": "c"}}]}, "(channel eq 'a' and channel eq 'b') or channel eq 'c'"),
        ({"channel": {"eq": ""}}, "channel eq ''"),
        ({"channel": {"eq": "O'Neill"}}, "channel eq 'O''Neill'"),
        ({"channel": {"eq": "Straße"}}, "channel eq 'Straße'"),
    ],
)
def test_a_filter_is_converted_to_odata(filter_json: dict[str, Any], text: str) -> None:
    assert read(filter_json).text() == text


@pytest.mark.parametrize(
    "filter_json",
    [
        {},
        {"and": []},
        {"and": [{}, {}]},
        {"channel": {}},
        {"channel": {"notIn": []}},
        {"not": {"channel": {"in": []}}},
        {"not": {"or": []}},
        {"or": [{}, A]},
    ],
)
def test_a_filter_that_every_row_matches_is_true(filter_json: dict[str, Any]) -> None:
    assert read(filter_json) == TRUE


@pytest.mark.parametrize(
    "filter_json",
    [
        {"or": []},
        {"channel": {"in": []}},
        {"channel": {"in": [], "eq": "a"}},
        {"not": {}},
        {"not": {"channel": {}}},
        {"not": {"channel": {"notIn": []}}},
        {"and": [A, {"or": []}]},
        {"or": [{"channel": {"in": []}}, {"not": {}}]},
    ],
)
def test_a_filter_that_no_row_matches_is_false(filter_json: dict[str, Any]) -> None:
    assert read(filter_json) == FALSE


def test_an_empty_filter_is_recognized_despite_unset_variables() -> None:
    assert to_filter(LicenseDeploymentFilter(channel=UNSET, or_=UNSET), max_bytes=64) == TRUE


@pytest.mark.parametrize(
    ("filter_json", "path"),
    [
        ({"channel": None}, "filter.channel"),
        ({"not": None}, "filter.not"),
        ({"and": None}, "filter.and"),
        ({"or": None}, "filter.or"),
        ({"or": [A, None]}, "filter.or[1]"),
        ({"channel": {"eq": None}}, "filter.channel.eq"),
        ({"channel": {"in": None}}, "filter.channel.in"),
        ({"channel": {"notIn": ["a", None]}}, "filter.channel.notIn"),
        ({"and": [A, {"not": {"serviceCode": {"ne": None}}}]}, "filter.and[1].not.serviceCode.ne"),
    ],
)
def test_a_null_inside_a_filter_is_refused_with_its_position(filter_json: dict[str, Any], path: str) -> None:
    assert refused(filter_json).startswith(f"{path} is null.")


@pytest.mark.parametrize("character", ["\0", "\n", "\t", "\x1b", "\x7f", "\x85", "\ud800"])
@pytest.mark.parametrize("operator", ["eq", "ne", "in", "notIn"])
def test_control_characters_and_lone_surrogates_are_refused(operator: str, character: str) -> None:
    value = f"a{character}b"
    message = refused({"or": [{"channel": {operator: [value] if "in" in operator.lower() else value}}]})
    assert message.startswith(f"filter.or[0].channel.{operator} holds a control character")
    assert character not in message


@given(value=st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=30))
def test_any_other_value_gives_one_comparison_with_that_value(value: str) -> None:
    filter_value = read({"channel": {"eq": value}})
    assert filter_value == Comparison("channel", "eq", value)
    assert odata.parse_filter(filter_value.text(), FIELDS) == odata.ParsedComparison("channel", "eq", value)


def test_the_bound_counts_encoded_bytes_and_is_inclusive() -> None:
    size_bytes = len(encoded("channel eq 'é'"))
    assert read({"channel": {"eq": "é"}}, size_bytes)
    assert f"{size_bytes} bytes" in refused({"channel": {"eq": "é"}}, size_bytes - 1)


def test_the_error_for_a_long_filter_says_how_many_values_fit() -> None:
    values = [f"00000000-0000-0000-0000-{number:012}" for number in range(400)]
    message = refused({"channel": {"in": values}})
    match = re.search(r"About (\d+) of its 400 values fit", message)
    assert match, message
    assert read({"channel": {"in": values[: int(match[1])]}})
    assert refused({"channel": {"in": values[: int(match[1]) + 2]}})


def test_reading_stops_early_in_a_filter_that_is_far_too_long() -> None:
    message = refused({"channel": {"in": ["the same"] * 1_000_000}})
    match = re.search(
        r"bytes in its first (\d+) values alone, more than 8000\. About (\d+) of its \1 values fit", message
    )
    assert match, message
    assert int(match[2]) < int(match[1]) < 2_000


def test_a_single_value_over_the_limit_is_refused() -> None:
    assert "About 0 of its 1 values fit" in refused({"channel": {"eq": "x" * 8_001}})


def nested(levels: int, *, wrapper: str = "not") -> dict[str, Any]:
    """Return a filter with ``levels`` objects around the innermost."""
    filter_value: dict[str, Any] = A
    for _ in range(levels):
        filter_value = {wrapper: filter_value if wrapper == "not" else [filter_value]}
    return filter_value


@pytest.mark.parametrize("wrapper", ["not", "and", "or"])
def test_the_nesting_of_a_filter_is_bounded(wrapper: str) -> None:
    assert read(nested(MAX_DEPTH, wrapper=wrapper)) == Comparison("channel", "eq", "a")
    for levels in (MAX_DEPTH + 1, 200):
        assert refused(nested(levels, wrapper=wrapper)) == "The filter is nested deeper than 50 levels. Flatten it."


def alternating(levels: int) -> dict[str, Any]:
    """Return a filter in which AND and OR alternate, so that no level can be merged with the next."""
    filter_value: dict[str, Any] = A
    for level in range(levels):
        filter_value = {"serviceCode": {"eq": str(level)}, "or": [{"channel": {"eq": str(level)}}, filter_value]}
    return filter_value


@pytest.mark.parametrize("levels", range(1, MAX_DEPTH + 2))
def test_a_filter_of_any_depth_is_understood_by_the_sandbox_or_refused(levels: int) -> None:
    if levels > MAX_DEPTH // 2:
        assert "nested deeper" in refused(alternating(levels), 100_000)
    else:
        assert odata.parse_filter(read(alternating(levels), 100_000).text(), FIELDS)
