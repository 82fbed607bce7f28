"""Orders against a plain sort."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.views.conditions import MeasureComparison
from gateway.views.grouping import grouping
from gateway.views.having import matching
from gateway.views.order import ordering
from gateway.views.order_term import OrderTerm
from gateway.views.pieces import whole
from gateway.views.tie_order import tie_ordering
from tests.gateway.views import reference
from tests.gateway.views.generated import DATASET, DATES, DIMENSIONS, MEASURES, Generated, SmallRow, table_of, tables

terms = st.lists(
    st.builds(OrderTerm, st.sampled_from([*DIMENSIONS, *MEASURES, DATASET.date]), st.booleans()), max_size=3
)


@settings(deadline=None)
@given(tables(), terms)
def test_orders_are_those_of_the_reference(generated: Generated, terms: list[OrderTerm]) -> None:
    """Down to rows with equal fields, which keep their order."""
    assert whole(ordering(generated.table, terms)).tolist() == reference.ordered(DATASET, generated.rows, terms)


@settings(deadline=None)
@given(tables(), terms, st.lists(st.sampled_from(DIMENSIONS), unique=True))
def test_orders_of_groups_are_those_of_the_reference(
    generated: Generated, terms: list[OrderTerm], dimensions: list[str]
) -> None:
    groups = reference.grouped(DATASET, generated.rows, dimensions)
    expected = reference.ordered(DATASET, groups, terms)
    assert whole(ordering(whole(grouping(generated.table, dimensions)), terms)).tolist() == expected


@settings(deadline=None)
@given(tables(), terms)
def test_a_mask_selects_from_the_order_of_all_rows(generated: Generated, terms: list[OrderTerm]) -> None:
    mask = whole(matching(generated.table, MeasureComparison("licensesSold", "gt", 0)))
    everything = whole(ordering(generated.table, terms))
    assert whole(ordering(generated.table, terms, mask)).tolist() == [row for row in everything.tolist() if mask[row]]


@settings(deadline=None)
@given(st.data())
def test_the_order_of_rows_does_not_depend_on_how_they_were_read(data: st.DataObject) -> None:
    """Another replica gives the same page, though its upstream returned the rows in another order."""
    generated, chosen = data.draw(tables()), data.draw(terms.filter(bool))
    shuffled = data.draw(st.permutations([row for block, _ in generated.blocks for row in block]))
    block = [row for block, _ in generated.blocks for row in block]
    pages = [[rows[row] for row in whole(ordering(table_of(rows), chosen))] for rows in (block, shuffled)]
    assert pages[0] == pages[1]
    assert Counter(pages[0]) == Counter(block)


@pytest.mark.parametrize("descending", [False, True])
def test_nulls_come_last_in_both_directions(descending: bool) -> None:
    rows = [SmallRow(), SmallRow(customer_name="a", licenses_sold=1), SmallRow(customer_name="b", licenses_sold=2)]
    for field in ("customerName", "licensesSold"):
        order = whole(ordering(table_of(rows), [OrderTerm(field, descending)])).tolist()
        assert order == ([2, 1, 0] if descending else [1, 2, 0])


def test_the_least_and_the_greatest_long_are_ordered_in_both_directions() -> None:
    numbers = [0, -(2**63), 2**63 - 1, -1, 1]
    table = table_of([SmallRow(licenses_sold=number) for number in numbers])
    for descending in (False, True):
        order = whole(ordering(table, [OrderTerm("licensesSold", descending)]))
        assert [numbers[row] for row in order] == sorted(numbers, reverse=descending)


def test_ties_are_broken_by_more_columns_than_fit_into_one_sort_key() -> None:
    """Nine columns of 300 texts have more combinations than 64 bits."""
    columns = [np.array([(row * (column + 1)) % 300 for row in range(900)]) for column in range(9)]
    order = whole(tie_ordering([(np.arange(300)[::-1], column) for column in columns], [], 900))
    expected = sorted(range(900), key=lambda row: [-int(column[row]) for column in columns])
    assert order.tolist() == expected


def test_with_256_texts_and_null_codes_fit_in_one_byte_and_null_is_still_last() -> None:
    rows = [SmallRow(), *(SmallRow(customer_name=f"{number:03}") for number in range(255))]
    order = whole(ordering(table_of(rows), [OrderTerm("customerName", descending=True)]))
    assert order.tolist() == [*range(255, 0, -1), 0]


def test_texts_with_equal_keys_leave_the_decision_to_the_next_term() -> None:
    """At the end the texts themselves decide, by code point: upper case first."""
    rows = [
        SmallRow(customer_name="straße", licenses_sold=1),
        SmallRow(customer_name="STRASSE", licenses_sold=2),
        SmallRow(customer_name="strasse", licenses_sold=1),
    ]
    by_name = OrderTerm("customerName")
    assert whole(ordering(table_of(rows), [by_name, OrderTerm("licensesSold")])).tolist() == [2, 0, 1]
    assert whole(ordering(table_of(rows), [by_name])).tolist() == [1, 2, 0]


def test_dates_are_ordered_as_instants() -> None:
    """The first three dates are one instant, so that the number decides."""
    rows = [SmallRow(processed_date_time=date, licenses_sold=-number) for number, date in enumerate(DATES)]
    order = whole(ordering(table_of(rows), [OrderTerm(DATASET.date), OrderTerm("licensesSold")]))
    assert order.tolist() == [2, 1, 0, 3, 4]


def test_another_field_is_refused() -> None:
    with pytest.raises(KeyError, match="licensesLost"):
        whole(ordering(table_of([]), [OrderTerm("licensesLost")]))


def test_many_texts_are_sorted_in_steps_to_the_same_order() -> None:
    """More than one step's texts, in pairs with equal keys."""
    names = [name for number in range(6_000) for name in (f"n{number * 7_919 % 6_000:04}", f"N{number:04}")]
    rows = [SmallRow(customer_name=name) for name in names]
    order = whole(ordering(table_of(rows), [OrderTerm("customerName")]))
    assert [names[row] for row in order] == sorted(names, key=lambda name: (name.lower(), name))


@pytest.mark.parametrize("largest", [2**16 - 1, 2**16, 2**32 - 1, 2**32, 2**63 - 1])
@pytest.mark.parametrize("lowest", [0, -1, -(2**31)])
@pytest.mark.parametrize("descending", [False, True])
def test_numbers_of_any_size_are_ordered(largest: int, lowest: int, descending: bool) -> None:
    """They are sorted in digits of 16 bits."""
    numbers = [largest, lowest, 0, 2**16 - 1, 2**16 - 2, lowest, 255, largest - 1, largest]
    table = table_of([SmallRow(customer_name=str(place), licenses_sold=n) for place, n in enumerate(numbers)])
    order = whole(ordering(table, [OrderTerm("licensesSold", descending)])).tolist()
    assert order == sorted(range(len(numbers)), key=lambda place: -numbers[place] if descending else numbers[place])


def test_columns_that_cannot_break_a_tie_are_not_ranked() -> None:
    """Each customer has one name, but not each product."""
    rows = [
        SmallRow(service_code=str(number % 100), customer_name=f"of {number % 100}", product_name=str(number % 7))
        for number in range(1_000)
    ]
    table = table_of(rows)
    order = whole(ordering(table, [OrderTerm("productName")])).tolist()
    assert order == sorted(range(1_000), key=lambda row: (rows[row].product_name, rows[row].service_code, row))
    ranked = {name for name, text in table.texts.items() if text.dictionary.is_ranked}
    assert ranked == {"serviceCode", "productName"}
    whole(table.ranking(["customerName"]))
    assert table.texts["customerName"].dictionary.is_ranked
