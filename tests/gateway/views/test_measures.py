"""Derived measures against exact integers, to the limits of 64 bits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from gateway.views.measures import counting_out_of_range, measure
from gateway.views.pieces import whole
from gateway.views.table_builder import TableBuilder
from tests.gateway.views import reference
from tests.gateway.views.generated import DATASET, MEASURES, Generated, SmallRow, table_of, tables
from tests.gateway.views.reference import OUT_OF_RANGE, visible


@settings(deadline=None)
@given(tables())
def test_measures_of_rows_are_those_of_the_reference(generated: Generated) -> None:
    for name in MEASURES:
        expected = [reference.measure(DATASET, row, name) for row in generated.rows]
        assert measure(generated.table, name).python_values() == list(map(visible, expected))
        assert measure(generated.table, name).out_of_range() == expected.count(OUT_OF_RANGE)


@pytest.mark.parametrize(
    ("sold", "deployed", "unassigned", "overdeployed", "rate"),
    [
        (10, 4, 6, 0, 0.4),
        (4, 10, 0, 6, 2.5),
        (0, 3, 0, 3, None),
        (3, 0, 3, 0, 0.0),
        (None, 3, None, None, None),
        (3, None, None, None, None),
        (2**63 - 1, 0, 2**63 - 1, 0, 0.0),
        (2**63 - 1, -1, None, 0, -1 / (2**63 - 1)),
        (0, -(2**63), None, 0, None),
        (-(2**63), 2**63 - 1, 0, None, (2**63 - 1) / -(2**63)),
        # As float64, both would be 2**53.
        (2**53 + 1, 2**53, 1, 0, 2**53 / (2**53 + 1)),
    ],
)
def test_derived_measures(
    sold: int | None, deployed: int | None, unassigned: int | None, overdeployed: int | None, rate: float | None
) -> None:
    table = table_of([SmallRow(licenses_sold=sold, licenses_deployed=deployed)])
    names = ("licensesUnassigned", "licensesOverdeployed", "deploymentRate")
    assert [measure(table, name).python_values()[0] for name in names] == [unassigned, overdeployed, rate]


def test_no_rate_is_negative_zero() -> None:
    """It would be rendered as -0.0, and 0.0 elsewhere."""
    for sold in (-5, -(2**63)):
        table = table_of([SmallRow(licenses_sold=sold, licenses_deployed=0)])
        assert str(measure(table, "deploymentRate").python_values()[0]) == "0.0"


def test_values_beyond_64_bits_are_counted_for_the_warning() -> None:
    large = SmallRow(licenses_sold=2**63 - 1, licenses_deployed=-1)
    table = table_of([large, SmallRow(licenses_sold=1), large])
    assert whole(counting_out_of_range(table, MEASURES)) == 2
    assert whole(counting_out_of_range(table, MEASURES, table.tie_order[:1])) == 1
    assert whole(counting_out_of_range(table, ["licensesSold"])) == 0


def test_another_name_is_refused() -> None:
    with pytest.raises(KeyError, match="licensesLost"):
        measure(table_of([]), "licensesLost")


def test_a_dataset_without_derived_measures_has_only_its_own() -> None:
    table = TableBuilder(replace(DATASET, derived=())).build()
    assert len(measure(table, "licensesSold")) == 0
    with pytest.raises(KeyError, match="deploymentRate"):
        measure(table, "deploymentRate")
