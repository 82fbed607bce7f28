"""The rows that an operation holds, estimated from its document and variables."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse

from gateway.paging.blocks import BlockSizes
from schema.execution.cost import held_rows

SIZES = BlockSizes(1_000, 10_000)


def rows_of(text: str, **variables: Any) -> int:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return held_rows(document, operation, variables, SIZES, 10_000)


def fields(count: int, arguments: str) -> str:
    return "{" + " ".join(f"f{number}: licenseDeployments{arguments} {{ totalCount }}" for number in range(count)) + "}"


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (fields(1, "(first: 20)"), 0),
        (fields(1, ""), 0),
        (fields(1, '(first: 1000, after: "x")'), 0),
        (fields(1, "(first: 1001)"), 10_000),
        (fields(1, "(first: 10000)"), 10_000),
        (fields(1, "(first: 10000, offset: 5000)"), 20_000),
        (fields(1, "(last: 10000)"), 20_000),
        (fields(5, "(first: 20)"), 5_000),
        (fields(5, "(first: 20, offset: 50000)"), 100_000),
        (fields(10, "(first: 10000)"), 100_000),
        ("{ __typename licenseDeployments(first: 20) { totalCount } }", 0),
        ("{ __typename }", 0),
        (f"{{ ...Two }} fragment Two on Query {fields(2, '')}", 2_000),
    ],
)  # fmt: skip
def test_an_operation_holds_the_blocks_that_its_pages_lie_in(text: str, rows: int) -> None:
    assert rows_of(text) == rows


def test_variables_and_their_defaults_count() -> None:
    text = "query Q($n: Int = 10000) { licenseDeployments(first: $n) { totalCount } }"
    assert rows_of(text) == 10_000
    assert rows_of(text, n=20) == 0
