"""A table is the same after it was bytes, also what is computed from it later."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.views.grouping import grouping
from gateway.views.pieces import whole
from gateway.views.table import Table
from gateway.views.table_bytes import from_bytes, to_bytes
from tests.gateway.views.generated import DATASET, DIMENSIONS, Generated, SmallRow, table_of, tables


def check_same(table: Table) -> None:
    copy = from_bytes(DATASET, to_bytes(table))
    # Both compute it; the copy brings another one with it.
    brought = vars(copy).pop("digest")
    assert copy.digest == brought == table.digest
    assert len(copy) == len(table)
    for name, measure in table.measures.items():
        assert copy.measures[name].python_values() == measure.python_values()
        assert copy.measures[name].full_states().tolist() == measure.full_states().tolist()
        assert copy.measures[name].stored.dtype == measure.stored.dtype
    for name, text in table.texts.items():
        assert copy.texts[name].dictionary.values == text.dictionary.values
        assert copy.texts[name].codes.dtype == text.codes.dtype
    assert copy.tie_order.tolist() == table.tie_order.tolist()


@settings(deadline=None)
@given(tables(), st.lists(st.sampled_from(DIMENSIONS), unique=True))
def test_a_table_and_its_groups_survive(generated: Generated, dimensions: list[str]) -> None:
    check_same(generated.table)
    check_same(whole(grouping(generated.table, dimensions)))


def test_dates_are_ordered_as_instants_afterwards() -> None:
    dates = ["2018-10-14T00:00:00", "2018-10-14", "2018-10-13T23:00:00", None]
    check_same(table_of([SmallRow(processed_date_time=date) for date in dates]))


def test_text_that_is_not_unicode_has_no_bytes() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        to_bytes(table_of([SmallRow(customer_name="\ud800")]))
