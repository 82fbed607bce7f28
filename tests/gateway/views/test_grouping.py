"""Groups and totals against the reference."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.views.conditions import MeasureComparison
from gateway.views.drawing import draw
from gateway.views.grouping import grouping
from gateway.views.having import matching
from gateway.views.measures import counting_out_of_range, measure
from gateway.views.order import ordering
from gateway.views.order_term import OrderTerm
from gateway.views.pieces import whole
from gateway.views.totals import totaling
from tests.gateway.views import reference
from tests.gateway.views.generated import (
    DATASET,
    DIMENSIONS,
    MEASURES,
    Generated,
    SmallItem,
    SmallRow,
    table_of,
    tables,
)
from tests.gateway.views.reference import OUT_OF_RANGE, visible

dimension_lists = st.lists(st.sampled_from(DIMENSIONS), unique=True)


@settings(deadline=None)
@given(tables(), dimension_lists)
def test_groups_are_those_of_the_reference(generated: Generated, dimensions: list[str]) -> None:
    expected = reference.grouped(generated.dataset, generated.rows, dimensions)
    groups = whole(grouping(generated.table, dimensions))
    items = draw(groups, whole(ordering(groups, [])), SmallItem)
    assert list(map(msgspec.to_builtins, items)) == [reference.item(DATASET, row) for row in expected]
    for name in MEASURES:
        count = [reference.measure(DATASET, row, name) for row in expected].count(OUT_OF_RANGE)
        assert whole(counting_out_of_range(groups, [name])) == count


@settings(deadline=None)
@given(tables(), st.none() | dimension_lists, st.booleans())
def test_totals_are_those_of_the_reference(generated: Generated, dimensions: list[str] | None, selects: bool) -> None:
    """Of rows or of groups, all of them or a selection."""
    rows, table = generated.rows, generated.table
    if dimensions is not None:
        rows, table = reference.grouped(generated.dataset, rows, dimensions), whole(grouping(table, dimensions))
    mask = whole(matching(table, MeasureComparison("licensesUnassigned", "gt", 0))) if selects else None
    if mask is not None:
        rows = [row for row, is_selected in zip(rows, mask, strict=True) if is_selected]
    expected = reference.totals(generated.dataset, rows)
    result = whole(totaling(table, mask))
    assert result.values == {name: visible(value) for name, value in expected.items()}
    assert set(result.out_of_range) == {name for name, value in expected.items() if value is OUT_OF_RANGE}
    if mask is not None:
        assert whole(totaling(table, whole(ordering(table, [], mask)))) == result


@settings(deadline=None)
@given(tables(), dimension_lists)
def test_a_grouped_table_has_the_digest_of_the_same_rows(generated: Generated, dimensions: list[str]) -> None:
    """The digest covers the values, except null columns, and not the earlier row numbers."""
    again = Generated([([row for block, _ in generated.blocks for row in block], set())])
    if not any(unreadable for _, unreadable in generated.blocks):
        assert whole(grouping(generated.table, dimensions)).digest == whole(grouping(again.table, dimensions)).digest


def test_over_deployed_products_do_not_hide_unassigned_licenses() -> None:
    rows = [
        SmallRow(customer_name="a", licenses_sold=10, licenses_deployed=4),
        SmallRow(customer_name="a", licenses_sold=1, licenses_deployed=6),
    ]
    (group,) = draw(whole(grouping(table_of(rows), ["customerName"])), np.array([0]), SmallItem)
    assert (group.licenses_sold, group.licenses_deployed) == (11, 10)
    assert (group.licenses_unassigned, group.licenses_overdeployed) == (6, 5)
    assert group.deployment_rate == 10 / 11


@pytest.mark.parametrize(
    ("sold", "total"),
    [
        ([2**63 - 1, 0], 2**63 - 1),
        ([2**63 - 1, 1], None),
        ([2**63 - 1, 1, -1], 2**63 - 1),
        ([2**63 - 1] * 4, None),
        ([-(2**63), -1], None),
        ([-(2**63), -1, 1], -(2**63)),
        ([None, 5, None], 5),
        ([None, None], None),
        ([], 0),
    ],
)
def test_sums_are_exact_or_null(sold: list[int | None], total: int | None) -> None:
    result = whole(totaling(table_of([SmallRow(licenses_sold=number) for number in sold])))
    assert result.values["licensesSold"] == total
    is_out_of_range = total is None and any(number is not None for number in sold)
    assert set(result.out_of_range) == ({"licensesSold", "deploymentRate"} if is_out_of_range else set())


def test_totals_of_no_rows_are_0_with_a_null_rate() -> None:
    assert whole(totaling(table_of([]))).values == {**dict.fromkeys(MEASURES, 0), "deploymentRate": None}


def test_an_unreadable_value_makes_the_total_null_and_a_null_does_not() -> None:
    rows = [SmallRow(licenses_sold=5, licenses_deployed=2), SmallRow(licenses_sold=7)]
    assert whole(totaling(table_of(rows))).values["licensesDeployed"] == 2
    unreadable = whole(totaling(table_of(rows, has_unreadable=True)))
    assert unreadable.values == {**dict.fromkeys(MEASURES), "licensesSold": 12}
    assert unreadable.out_of_range == ()


def test_groups_over_a_dimension_that_measures_must_not_be_added_over_have_none() -> None:
    """Not even where each group happens to have one value: the total of the groups would be wrong."""
    table = table_of([SmallRow(customer_name=name, licenses_sold=5, licenses_deployed=1) for name in "ab"])
    groups = whole(grouping(table, ["customerName"], has_measures=False))
    for name in MEASURES:
        assert measure(groups, name).python_values() == [None, None]
    assert whole(totaling(groups)).values == dict.fromkeys(MEASURES)


def test_many_possible_groups_are_numbered_like_few() -> None:
    """600 x 600 combinations, of which 600 occur."""
    rows = [
        SmallRow(customer_name=f"c{number % 600}", product_name=f"p{number * 7 % 600}", licenses_sold=number)
        for number in range(1_200)
    ]
    groups = whole(grouping(table_of(rows), ["customerName", "productName"]))
    assert measure(groups, "licensesSold").python_values() == [2 * number + 600 for number in range(600)]


def test_rows_and_their_groups_may_be_ordered_at_the_same_time() -> None:
    """In two threads: the rows may be many, and the groups few. Ranking the rows' texts orders the groups here."""
    table = table_of([SmallRow(customer_name=name) for name in "cab"])
    groups = whole(grouping(table, ["customerName"]))
    by_name = [OrderTerm("customerName")]
    orders: list[list[int]] = []

    def key(text: str) -> str:
        if not orders:
            orders.append(whole(ordering(groups, by_name)).tolist())
        return text

    object.__setattr__(table.texts["customerName"].dictionary, "sort_key", key)
    assert whole(ordering(table, by_name)).tolist() == orders[0] == [1, 2, 0]


def test_groups_of_ordered_rows_use_their_ranks() -> None:
    table = table_of([SmallRow(customer_name=name) for name in "cab"])
    whole(ordering(table, [OrderTerm("customerName")]))
    dictionary = whole(grouping(table, ["customerName"])).texts["customerName"].dictionary
    assert dictionary.is_ranked
    assert dictionary.ranks.tolist() == [2, 0, 1]


def test_a_null_beside_an_unreadable_value_is_still_skipped() -> None:
    """Only the group with the unreadable value is unknown, and so is the total."""
    rows = [
        SmallRow(customer_name="a", licenses_sold=5),
        SmallRow(customer_name="a"),
        SmallRow(customer_name="b", licenses_sold=7),
        SmallRow(customer_name="b"),
    ]
    table = Generated([(rows, {3})]).table
    assert whole(grouping(table, ["customerName"])).measures["licensesSold"].python_values() == [5, None]
    assert whole(totaling(table)).values["licensesSold"] is None
