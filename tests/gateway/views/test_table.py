"""Tables: they hold every value, whatever the blocks, and count their memory."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.views.measures import measure
from gateway.views.order import ordering
from gateway.views.order_term import OrderTerm
from gateway.views.pieces import whole
from gateway.views.search import containing
from gateway.views.table_builder import TableBuilder
from schema.datasets.license_deployment import LICENSE_DEPLOYMENTS
from tests.gateway.sandbox.rows import rows_of
from tests.gateway.views.generated import DATASET, DIMENSIONS, Generated, SmallRow, rows, table_of, tables
from tests.gateway.views.reference import visible


@settings(deadline=None)
@given(tables())
def test_a_table_holds_every_value(generated: Generated) -> None:
    table = generated.table
    assert len(table) == len(generated.rows)
    for name, column in table.texts.items():
        assert [column.dictionary.values[code] for code in column.codes] == [row[name] for row in generated.rows]
    for name, stored in table.measures.items():
        assert stored.python_values() == [visible(row[name]) for row in generated.rows]


@settings(deadline=None)
@given(st.lists(rows, max_size=12), st.lists(st.integers(0, 12), max_size=3))
def test_the_digest_does_not_depend_on_the_blocks(all_rows: list[SmallRow], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(all_rows)]
    blocks = [(all_rows[start:stop], set[int]()) for start, stop in pairwise(edges)]
    assert Generated(blocks).table.digest == table_of(all_rows).digest
    assert len(table_of(all_rows).digest) == 8


@settings(deadline=None)
@given(st.lists(rows, max_size=4), st.lists(rows, max_size=4))
def test_tables_have_equal_digests_only_if_their_rows_are_equal(one: list[SmallRow], other: list[SmallRow]) -> None:
    assert (table_of(one).digest == table_of(other).digest) == (one == other)


def test_a_changed_value_row_or_order_changes_the_digest() -> None:
    rows = [SmallRow(customer_name="a", licenses_sold=1), SmallRow(customer_name="b", licenses_sold=2)]
    variants = [
        rows,
        rows[::-1],
        rows[:1],
        [*rows, rows[1]],
        [rows[0], SmallRow(customer_name="B", licenses_sold=2)],
        [rows[0], SmallRow(customer_name="b", licenses_sold=3)],
        [rows[0], SmallRow(product_name="b", licenses_sold=2)],
        [rows[0], SmallRow(customer_name="b", licenses_deployed=2)],
        [rows[0], SmallRow(customer_name="b", licenses_sold=2, licenses_deployed=0)],
        [],
        [SmallRow()],
        [SmallRow(customer_name="")],
    ]
    assert len({table_of(variant).digest for variant in variants}) == len(variants)


def test_a_null_that_may_be_unreadable_has_the_digest_of_a_null() -> None:
    """The rows look equal, and which block a null is in may depend on the sizes of the blocks."""
    row = SmallRow(customer_name="a")
    assert table_of([row], has_unreadable=True).digest == table_of([row]).digest


def test_codes_have_the_smallest_type_for_the_number_of_distinct_texts() -> None:
    for count, item_bytes in ((1, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 4)):
        column = table_of([SmallRow(customer_name=str(number)) for number in range(count)]).texts["customerName"]
        assert column.codes.itemsize == item_bytes
        assert [column.dictionary.values[code] for code in column.codes] == list(map(str, range(count)))


def test_the_size_counts_arrays_texts_and_what_is_kept_for_later() -> None:
    texts = [f"customer {number}" for number in range(1_000)]
    table = table_of([SmallRow(customer_name=text, licenses_sold=1, licenses_deployed=None) for text in texts])
    text_bytes = sum(map(sys.getsizeof, texts))
    # Per row: codes of 2 bytes and three of 1, two measures of 1, states of 1, a pointer for each distinct text.
    expected = text_bytes + 1_000 * (2 + 3 + 2 * 1 + 1 + 8) + 3 * 8
    assert table.size_bytes == expected

    whole(ordering(table, [OrderTerm("customerName")]))
    # A rank for each text, the order that breaks ties, and the rank of one single value: two others cannot break a tie.
    expected += 1_000 * (2 + 4) + 1
    assert table.size_bytes == expected

    whole(containing(table, ["customer"], ["customerName"]))
    assert table.size_bytes == expected


def test_measures_have_the_smallest_type_for_their_values() -> None:
    for values, item_bytes in (
        *(((), 1), ((0, 255), 1), ((-1, 127), 1), ((-1, 128), 2), ((0, 256), 2), ((65_536, None), 4)),
        *(((-1, 2**31), 8), ((0, 2**32 - 1), 4), ((-(2**63), 2**63 - 1), 8)),
    ):
        column = table_of([SmallRow(licenses_sold=value) for value in values]).measures["licensesSold"]
        assert column.stored.itemsize == item_bytes
        assert column.values.dtype == np.int64
        assert column.python_values() == list(values)


def test_rows_of_a_large_account_take_at_most_60_bytes() -> None:
    """The target for the sandbox's largest account."""
    sample = rows_of("fabrikam")
    builder = TableBuilder(LICENSE_DEPLOYMENTS)
    attributes = LICENSE_DEPLOYMENTS.attributes
    structs = [LICENSE_DEPLOYMENTS.row(**{attributes[name]: row[name] for name in attributes}) for row in sample]
    builder.add(structs, {})
    table = builder.build()
    whole(ordering(table, [OrderTerm("customerName")]))
    assert table.size_bytes <= 60 * len(table)


def test_a_builder_without_rows_builds_an_empty_table() -> None:
    table = TableBuilder(DATASET).build()
    assert len(table) == 0
    assert list(table.texts) == [*DIMENSIONS, DATASET.date]
    assert len(measure(table, "deploymentRate")) == 0
