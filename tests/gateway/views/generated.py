"""Generated tables: blocks of rows with difficult texts and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import strategies as st

from gateway.dataset import Dataset, Excess, Measure, Rate
from gateway.row_marks import marks_of
from gateway.views.table import Table
from gateway.views.table_builder import TableBuilder
from tests.gateway.views.reference import UNREADABLE, Row


class SmallRow(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """A row of few dimensions, so that generated rows have much in common."""

    service_code: str | None = None
    customer_name: str | None = None
    product_name: str | None = None
    licenses_deployed: Measure | None = None
    licenses_sold: Measure | None = None
    processed_date_time: str | None = None


class SmallItem(SmallRow, rename="camel", frozen=True, gc=False):
    """A row with its derived measures."""

    licenses_unassigned: Measure | None = None
    licenses_overdeployed: Measure | None = None
    deployment_rate: float | None = None


DATASET = Dataset(
    name="smallLicenses",
    path="analytics/small",
    row=SmallRow,
    dimensions=("serviceCode", "customerName", "productName"),
    measures=("licensesDeployed", "licensesSold"),
    date="processedDateTime",
    service="serviceCode",
    derived=(
        Excess("licensesUnassigned", larger="licensesSold", smaller="licensesDeployed"),
        Excess("licensesOverdeployed", larger="licensesDeployed", smaller="licensesSold"),
        Rate("deploymentRate", dividend="licensesDeployed", divisor="licensesSold"),
    ),
)

DIMENSIONS = DATASET.dimensions
MEASURES = (*DATASET.measures, "licensesUnassigned", "licensesOverdeployed", "deploymentRate")

# Case, ligatures, marks in one or two code points, marks alone, order beyond 16 bits, and keys with white space.
TEXTS = [
    "", "a", "A", "b", "ß", "ss", "SS", "ﬁ", "fi", "İ", "i", "ı", "é", "e\u0301", "E\u0301", "e", "Ⅷ", "viii", "\u0301",
    "x y", "x\u00a0y", "x´y", "z", "z\x00", "\uffff", "\U0001f600", "ｶﾞ", "が", "ΣΑΣ", "σας",
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 3, 2**31, 2**32 - 1, 2**53, 2**53 + 1, 2**62, 2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1]
DATES = ["2018-10-14T00:00:00", "2018-10-14", "2018-10-14T00:00:00Z", "2018-10-21T00:00:00", "soon"]

texts = st.none() | st.sampled_from(TEXTS) | st.text(max_size=3)
longs = st.none() | st.integers(-3, 3) | st.sampled_from(NUMBERS) | st.integers(-(2**63), 2**63 - 1)
rows = st.builds(
    SmallRow,
    service_code=st.sampled_from(["o365", "O365", None]),
    customer_name=texts,
    product_name=st.sampled_from(TEXTS),
    licenses_deployed=longs,
    licenses_sold=longs,
    processed_date_time=st.none() | st.sampled_from(DATES),
)


@dataclass(frozen=True)
class Generated:
    """A table, and its rows for the reference.

    Each block has the numbers of the rows whose null measures could not be read.
    """

    blocks: list[tuple[list[SmallRow], set[int]]]
    dataset: Dataset = DATASET
    table: Table = field(init=False, repr=False)
    rows: list[Row] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        builder = TableBuilder(self.dataset)
        for block, numbers in self.blocks:
            builder.add(block, {name: marks_of(self._nulls(block, numbers, name)) for name in self.dataset.measures})
        object.__setattr__(self, "table", builder.build())
        rows = [self._row(row, number in unread) for block, unread in self.blocks for number, row in enumerate(block)]
        object.__setattr__(self, "rows", rows)

    def _nulls(self, block: list[SmallRow], numbers: set[int], name: str) -> list[int]:
        attribute = self.dataset.attributes[name]
        return [number for number in sorted(numbers) if getattr(block[number], attribute) is None]

    def _row(self, row: SmallRow, is_unreadable: bool) -> Row:
        values: dict[str, Any] = msgspec.to_builtins(row)
        unread = {name: UNREADABLE for name in self.dataset.measures if is_unreadable and values[name] is None}
        return values | unread


def tables(dataset: Dataset = DATASET) -> st.SearchStrategy[Generated]:
    """Generate tables of a few blocks, with or without unreadable values; also empty ones and ones of one row."""
    block = st.lists(rows, max_size=8).flatmap(
        lambda block: (
            st.tuples(st.just(block), st.sets(st.integers(0, len(block) - 1), max_size=2))
            if block
            else st.just((block, set[int]()))
        )
    )
    return st.lists(block, max_size=4).map(lambda blocks: Generated(blocks, dataset))


def table_of(rows: Sequence[SmallRow], *, has_unreadable: bool = False) -> Table:
    """Return the table of one block. With ``has_unreadable``, all null measures could not be read."""
    return Generated([(list(rows), set(range(len(rows))) if has_unreadable else set())]).table
