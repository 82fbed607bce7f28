"""Queries as values: canonical filters, their exact text, and that the sandbox understands the text."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.query import (
    FALSE,
    TRUE,
    Comparison,
    Filter,
    Junction,
    PageQuery,
    admitted_values,
    canonical,
    comparisons,
    encoded,
    negate,
)
from gateway.sandbox import odata
from gateway.sandbox.customer_names import UNUSUAL_NAMES
from tests.gateway.fakes import DATASET, query

FIELDS = ("serviceCode", "channel", "customerName")
ODD_VALUES = (
    *UNUSUAL_NAMES,
    "a",
    "A",
    "a'b",
    "''",
    "100%",
    "%27",
    "a+b c",
    "a&filter=b",
    "' or 'x' eq 'x",
    "(",
    "\u202e",
    "🍰",
)

Row = dict[str, str | None]

VALUES = st.sampled_from(ODD_VALUES) | st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=5)
COMPARISONS: st.SearchStrategy[Filter] = st.builds(
    Comparison, st.sampled_from(FIELDS), st.sampled_from(("eq", "ne")), VALUES
)
FILTERS: st.SearchStrategy[Filter] = st.recursive(
    COMPARISONS,
    lambda inner: st.builds(Junction, st.sampled_from(("and", "or")), st.lists(inner, max_size=4).map(tuple)),
    max_leaves=20,
)


def holds(part: Any, row: Row) -> bool:
    """Evaluate a filter of the gateway or the sandbox for a row; null equals no value and differs from all."""
    if hasattr(part, "value"):
        equal = row[part.field] is not None and row[part.field] == part.value
        return equal is (part.operator == "eq")
    operands = part.terms if isinstance(part, odata.ParsedJunction) else part.operands
    return (all if part.operator == "and" else any)(holds(operand, row) for operand in operands)


def values_in(part: Filter) -> list[str]:
    """Yield every value that a filter compares with."""
    if isinstance(part, Comparison):
        return [part.value]
    return [value for operand in part.operands for value in values_in(operand)]


@st.composite
def filters_and_rows(draw: st.DrawFn) -> tuple[Filter, list[Row]]:
    """Draw a filter, and rows whose values it probably compares with."""
    part = draw(FILTERS)
    cells = st.none() | st.sampled_from([*values_in(part), "other"])
    return part, draw(st.lists(st.fixed_dictionaries(dict.fromkeys(FIELDS, cells)), min_size=1, max_size=8))


def shuffled(part: Filter, chance: random.Random) -> Filter:
    """Draw an equivalent filter with another order, duplicates, double negations and redundant junctions."""
    if isinstance(part, Junction):
        operands = [shuffled(operand, chance) for operand in part.operands]
        operands += [chance.choice(operands)] if operands else []
        chance.shuffle(operands)
        part = Junction(part.operator, tuple(operands))
    if chance.random() < 0.3:
        part = negate(negate(part))
    if chance.random() < 0.3:
        part = Junction(chance.choice(("and", "or")), (part,))
    return part


@settings(max_examples=200, deadline=None)
@given(pair=filters_and_rows())
def test_the_sandbox_parses_back_every_filter_that_the_gateway_writes(pair: tuple[Filter, list[Row]]) -> None:
    part, rows = pair
    written = canonical(part)
    if written in (TRUE, FALSE):
        assert [holds(part, row) for row in rows] == [written == TRUE] * len(rows)
        return
    read = odata.parse_filter(unquote(encoded(written.text())), FIELDS)
    assert [holds(read, row) for row in rows] == [holds(part, row) for row in rows]


@given(part=FILTERS)
def test_canonicalizing_twice_changes_nothing(part: Filter) -> None:
    assert canonical(canonical(part)) == canonical(part)


@given(part=FILTERS, chance=st.randoms(use_true_random=False))
def test_order_duplicates_and_double_negation_give_the_same_query(part: Filter, chance: random.Random) -> None:
    other = shuffled(part, chance)
    assert canonical(other) == canonical(part)
    assert query(filter=canonical(other)).question == query(filter=canonical(part)).question


@given(pair=filters_and_rows())
def test_a_negated_filter_matches_exactly_the_other_rows(pair: tuple[Filter, list[Row]]) -> None:
    part, rows = pair
    assert [holds(canonical(negate(part)), row) for row in rows] == [not holds(part, row) for row in rows]
    assert canonical(negate(negate(part))) == canonical(part)


@given(part=FILTERS)
def test_no_canonical_junction_contains_a_constant_or_its_own_kind(part: Filter) -> None:
    pending = [canonical(part)]
    while pending:
        operand = pending.pop()
        if isinstance(operand, Junction) and operand not in (TRUE, FALSE):
            assert len(operand.operands) >= 2
            assert not any(
                isinstance(inner, Junction) and inner.operator == operand.operator for inner in operand.operands
            )
            assert TRUE not in operand.operands
            assert FALSE not in operand.operands
            pending += operand.operands


@given(text=st.text(st.characters(codec="utf-8")))
def test_percent_encoding_has_no_plus_sign_and_round_trips(text: str) -> None:
    written = encoded(text)
    assert written.isascii()
    assert not set(written) & set("+ '&=#?/(),;")
    assert unquote(written) == text


def test_the_example_of_the_microsoft_page_is_encoded_exactly() -> None:
    question = query(filter=Comparison("customerTenantId", "eq", "0112A436-B14E-4888-967B-CA4BB2CF1234"))
    assert question.query_string.startswith(
        "filter=customerTenantId%20eq%20%270112A436-B14E-4888-967B-CA4BB2CF1234%27&"
    )


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (Comparison("channel", "ne", "O'Neill"), "channel ne 'O''Neill'"),
        (
            Junction("or", (Comparison("channel", "eq", "b"), Comparison("channel", "eq", "a"))),
            "channel eq 'a' or channel eq 'b'",
        ),
    ],
)
def test_a_filter_is_written_as_odata(part: Filter, text: str) -> None:
    assert canonical(part).text() == text


def test_nested_junctions_of_different_kinds_have_parentheses() -> None:
    a, b, c = (Comparison("channel", "eq", value) for value in "abc")
    assert (
        Junction("and", (Junction("or", (a, b)), c)).text() == "(channel eq 'a' or channel eq 'b') and channel eq 'c'"
    )
    assert (
        Junction("or", (Junction("and", (a, b)), c)).text() == "(channel eq 'a' and channel eq 'b') or channel eq 'c'"
    )


@pytest.mark.parametrize(
    ("operator", "operand", "expected"),
    [("and", TRUE, "rest"), ("and", FALSE, FALSE), ("or", TRUE, TRUE), ("or", FALSE, "rest")],
)
def test_constants_are_folded_away(operator: Any, operand: Filter, expected: Any) -> None:
    rest = Comparison("channel", "eq", "a")
    assert canonical(Junction(operator, (rest, operand))) == (rest if expected == "rest" else expected)


def test_the_number_of_comparisons_is_counted_at_any_depth() -> None:
    a = Comparison("channel", "eq", "a")
    assert comparisons(Junction("and", (a, Junction("or", (a, a)), TRUE))) == 3


def test_parameters_follow_the_order_of_the_microsoft_page_if_set() -> None:
    whole = query(
        filter=Comparison("channel", "eq", "a b"),
        group_by=("serviceCode", "channel"),
        processed_date_time="2018-10-14T00:00:00",
        top=10,
        skip=20,
    )
    assert whole.query_string == (
        "filter=channel%20eq%20%27a%20b%27&groupby=serviceCode%2Cchannel"
        "&processedDateTime=2018-10-14T00%3A00%3A00&top=10&skip=20"
    )
    assert parse_qs(whole.query_string)["groupby"] == ["serviceCode,channel"]
    assert query().query_string == "top=10&skip=0"


def test_a_cursor_depends_on_the_whole_query_except_its_range() -> None:
    one = query(filter=Comparison("channel", "eq", "a"), group_by=("serviceCode", "channel"))
    assert one.rows(70, 7).fingerprint == one.fingerprint
    assert one.rows(70, 7).query_string.endswith("top=7&skip=70")
    others = [
        query(group_by=("serviceCode", "channel")),
        query(filter=Comparison("channel", "eq", "b"), group_by=("serviceCode", "channel")),
        query(filter=Comparison("channel", "eq", "a"), group_by=("channel", "serviceCode")),
        query(filter=Comparison("channel", "eq", "a"), group_by=("serviceCode", "channel"), processed_date_time="x"),
    ]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 5
    assert all(len(other.fingerprint) == 8 for other in others)


def test_equal_queries_have_equal_hashes() -> None:
    table: dict[PageQuery, int] = {query(filter=Comparison("channel", "eq", "a")): 1}
    assert table[query(filter=Comparison("channel", "eq", "a"))] == 1
    assert query(filter=Comparison("channel", "eq", "A")) not in table


def test_no_value_can_inject_another_parameter() -> None:
    parameters = parse_qs(query(filter=Comparison("channel", "eq", "x'&top=1&filter=#+%26")).query_string)
    assert parameters == {"filter": ["channel eq 'x''&top=1&filter=#+%26'"], "top": ["10"], "skip": ["0"]}


def test_equal_filters_of_two_datasets_give_different_queries() -> None:
    one, other = (PageQuery(replace(DATASET, name=name), top=10) for name in ("one", "other"))
    assert one.query_string == other.query_string
    assert one.question != other.question
    assert one.fingerprint != other.fingerprint
    assert one.digest != other.digest


FEW = st.sampled_from("abc")
NARROW_FILTERS: st.SearchStrategy[Filter] = st.recursive(
    st.builds(Comparison, st.sampled_from(("serviceCode", "channel")), st.sampled_from(("eq", "ne")), FEW),
    lambda inner: st.builds(Junction, st.sampled_from(("and", "or")), st.lists(inner, max_size=3).map(tuple)),
    max_leaves=8,
)


@given(NARROW_FILTERS)
def test_admitted_values_include_the_value_of_every_row_that_matches(part: Filter) -> None:
    admitted = admitted_values(canonical(part), "channel")
    rows: list[Row] = [{"serviceCode": code, "channel": channel} for code in "abcd" for channel in [*"abcd", None]]
    if admitted is not None:
        assert {row["channel"] for row in rows if holds(part, row)} <= admitted


def _eq(value: str, field: str = "channel") -> Filter:
    return Comparison(field, "eq", value)


@pytest.mark.parametrize(
    ("part", "values"),
    [
        (None, None),
        (_eq("a"), {"a"}),
        (_eq("a", "customerName"), None),
        (negate(_eq("a")), None),
        (Junction("or", (_eq("a"), _eq("b"))), {"a", "b"}),
        (Junction("or", (_eq("a"), _eq("b", "customerName"))), None),
        (Junction("and", (_eq("a"), _eq("b", "customerName"))), {"a"}),
        (Junction("or", (Junction("and", (_eq("a"), _eq("b", "customerName"))), _eq("a"))), {"a"}),
        (Junction("and", (Junction("or", (_eq("a"), _eq("b"))), negate(_eq("b")))), {"a"}),
        (Junction("or", (_eq("a"), _eq("A"))), {"a", "A"}),
        (FALSE, set()),
    ],
)
def test_admitted_values(part: Filter | None, values: set[str] | None) -> None:
    assert admitted_values(part, "channel") == values


@pytest.mark.parametrize(
    ("filter", "group_by", "is_additive", "has_measures"),
    [
        (None, (), False, True),
        (None, ("channel",), False, True),
        (None, ("serviceCode",), False, False),
        (None, ("serviceCode", "channel"), False, True),
        (_eq("a"), (), True, True),
        (_eq("a"), ("serviceCode",), True, True),
        (Junction("or", (_eq("a"), _eq("b"))), ("serviceCode",), False, False),
    ],
)
def test_measures_are_added_over_one_value_of_some_dimensions(
    filter: Filter | None, group_by: tuple[str, ...], is_additive: bool, has_measures: bool
) -> None:
    asked = PageQuery(replace(DATASET, not_additive=("channel",)), filter, group_by)
    assert (asked.is_additive, asked.has_measures) == (is_additive, has_measures)
    anything = PageQuery(DATASET, filter, group_by)
    assert anything.is_additive
    assert anything.has_measures
