"""Conditions on measures against the reference, and their canonical texts."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.views.conditions import AllOf, AnyOf, Condition, MeasureComparison, Not, Operator, canonical_text
from gateway.views.having import matching
from gateway.views.pieces import whole
from tests.gateway.views import reference
from tests.gateway.views.generated import DATASET, NUMBERS, Generated, SmallRow, table_of, tables

OPERATORS = get_args(Operator)

comparisons: st.SearchStrategy[Condition] = st.builds(
    MeasureComparison,
    st.sampled_from(["licensesSold", "licensesDeployed", "licensesUnassigned", "licensesOverdeployed"]),
    st.sampled_from(OPERATORS),
    st.integers(-3, 3) | st.sampled_from([*NUMBERS, 2**63, -(2**63) - 1, 2**64, 2**100, -(2**100)]),
) | st.builds(
    MeasureComparison,
    st.just("deploymentRate"),
    st.sampled_from(OPERATORS),
    st.sampled_from([0.0, 0.5, 1.0, -1.0]) | st.floats(allow_nan=False),
)


def _junctions(operands: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(operands, max_size=3).map(tuple)
    return st.builds(AllOf, several) | st.builds(AnyOf, several) | st.builds(Not, operands)


conditions = st.recursive(comparisons, _junctions, max_leaves=6)


@settings(deadline=None)
@given(tables(), conditions)
def test_rows_match_as_in_the_reference(generated: Generated, condition: Condition) -> None:
    expected = [reference.holds(DATASET, row, condition) for row in generated.rows]
    assert whole(matching(generated.table, condition)).tolist() == expected


@pytest.mark.parametrize("name", OPERATORS)
def test_a_comparison_with_null_is_false_and_its_negation_true(name: Operator) -> None:
    condition = MeasureComparison("licensesSold", name, 0)
    for has_unreadable in (False, True):
        table = table_of([SmallRow()], has_unreadable=has_unreadable)
        assert whole(matching(table, condition)).tolist() == [False]
        assert whole(matching(table, Not(condition))).tolist() == [True]


@pytest.mark.parametrize("operand", [2**63, 2**64, 2**200])
def test_operands_beyond_64_bits_compare_as_integers(operand: int) -> None:
    functions: dict[Operator, Callable[[int, int], bool]] = {
        "eq": operator.eq, "ne": operator.ne, "gt": operator.gt,
        "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
    }  # fmt: skip
    values = [2**63 - 1, -(2**63), -1, 0]
    table = table_of([SmallRow(licenses_sold=value) for value in values])
    for name, function in functions.items():
        for number in (operand, -operand):
            expected = [function(value, number) for value in values]
            assert whole(matching(table, MeasureComparison("licensesSold", name, number))).tolist() == expected


A, B, C = (MeasureComparison("licensesSold", "gt", number) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (AllOf((A, B)), AllOf((B, A))),
        (AllOf((A, B, A)), AllOf((A, B))),
        (AllOf((A, AllOf((B, C)))), AllOf((A, B, C))),
        (AnyOf((AnyOf((A, B)), C)), AnyOf((A, B, C))),
        (AllOf((A,)), A),
        (AnyOf((A, A)), A),
    ],
)
def test_order_repetition_and_nesting_make_no_difference_to_the_text(one: Condition, other: Condition) -> None:
    assert canonical_text(one) == canonical_text(other)


def test_conditions_that_differ_have_different_texts() -> None:
    different: list[Condition] = [
        A, B, Not(A), Not(Not(A)), AllOf(()), AnyOf(()), AllOf((A, B)), AnyOf((A, B)), Not(AllOf((A, B))),
        AllOf((AnyOf((A, B)), C)), AnyOf((AllOf((A, B)), C)), AllOf((Not(A), B)), AnyOf((A, AllOf((B, C)))),
        MeasureComparison("licensesSold", "gte", 1), MeasureComparison("licensesDeployed", "gt", 1),
    ]  # fmt: skip
    assert len(set(map(canonical_text, different))) == len(different)
    assert canonical_text(AllOf((B, A))) == "all(licensesSold gt 1, licensesSold gt 2)"


@settings(deadline=None)
@given(tables(), conditions, conditions)
def test_conditions_with_equal_texts_select_equal_rows(generated: Generated, one: Condition, other: Condition) -> None:
    if canonical_text(one) == canonical_text(other):
        assert whole(matching(generated.table, one)).tolist() == whole(matching(generated.table, other)).tolist()
