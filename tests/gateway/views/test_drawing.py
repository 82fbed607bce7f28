"""Items of a page, drawn from a table."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.views.drawing import draw
from tests.gateway.views import reference
from tests.gateway.views.generated import DATASET, Generated, SmallItem, SmallRow, table_of, tables


@settings(deadline=None)
@given(tables(), st.data())
def test_items_have_the_values_of_their_rows_and_derived_measures(generated: Generated, data: st.DataObject) -> None:
    """In the order of the row numbers, which may repeat."""
    everything = range(len(generated.rows))
    chosen = data.draw(st.lists(st.sampled_from(everything), max_size=5)) if everything else []
    items = draw(generated.table, np.array(chosen, np.uint32), SmallItem)
    assert [msgspec.to_builtins(item) for item in items] == [
        reference.item(DATASET, generated.rows[number]) for number in chosen
    ]
    assert all(type(item) is SmallItem for item in items)


@settings(deadline=None)
@given(tables())
def test_rows_are_drawn_as_they_were_added(generated: Generated) -> None:
    everything = np.arange(len(generated.rows))
    assert draw(generated.table, everything, SmallRow) == tuple(row for block, _ in generated.blocks for row in block)


def test_a_struct_with_another_field_is_refused() -> None:
    class Other(msgspec.Struct, rename="camel"):
        licenses_lost: int

    with pytest.raises(KeyError, match="licensesLost"):
        draw(table_of([]), np.empty(0, np.uint32), Other)
