"""Documents rewritten for an export: the parts that remain, and documents that cannot be exported."""

from __future__ import annotations

import pytest
from graphql import parse, print_ast

from schema.datasets.license_deployment import LICENSE_DEPLOYMENTS
from schema.export.document import Column, NotExportable, dataset_columns, export_document


def printed(text: str) -> str:
    """A document as graphql-core writes it."""
    return print_ast(parse(text))


def test_paging_and_fields_beside_rows_are_replaced() -> None:
    exported = export_document("""
        query Mine($first: Int!, $after: String, $day: DateTime) {
          mine: licenseDeployments(first: $first, after: $after, processedDateTime: $day, groupBy: [CHANNEL]) {
            edges { cursor node { ...Row } } totalCount nodes { channel } pageInfo { endCursor }
          }
          __typename
        }
        fragment Row on LicenseDeployment { channel ... on LicenseDeployment { sold: licensesSold } }
        fragment Unused on LicenseDeployment { productName }
    """)
    assert printed(exported.text) == printed("""
        query Mine($exportFirst: Int, $exportAfter: String, $day: DateTime) {
          mine: licenseDeployments(
            first: $exportFirst, after: $exportAfter, processedDateTime: $day, groupBy: [CHANNEL]
          ) {
            totalCount
            pageInfo { hasNextPage endCursor }
            nodes { channel sold: licensesSold }
          }
        }
    """)
    assert exported.field == "mine"
    assert exported.columns == (Column("channel", False), Column("sold", True))


@pytest.mark.parametrize(
    ("arguments", "fields", "expected"),
    [
        ("filter: {}", "licensesUnassigned", False),
        ("groupBy: [CHANNEL]", "licensesSold", False),
        ("groupBy: [CHANNEL]", "wasted: licensesUnassigned", True),
        ('search: "a"', "channel", True),
        ("having: {}", "channel", True),
        ("orderBy: []", "channel", True),
    ],
)
def test_an_operation_shows_whether_all_rows_are_read_first(arguments: str, fields: str, expected: bool) -> None:
    exported = export_document(f"{{ licenseDeployments({arguments}) {{ nodes {{ {fields} }} }} }}")
    assert exported.reads_all_rows is expected


def test_a_dataset_has_a_column_for_each_field() -> None:
    columns = dataset_columns(LICENSE_DEPLOYMENTS)
    assert [column.name for column in columns] == list(LICENSE_DEPLOYMENTS.attributes)
    assert [column.name for column in columns if column.is_number] == list(LICENSE_DEPLOYMENTS.measures)


def test_variables_in_nested_values_are_kept() -> None:
    exported = export_document("query ($c: String!) { x(filter: {channel: {in: [$c]}}) { nodes { a } } }")
    assert "$c: String!" in exported.text


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "fragment F on X { a }",
        "query A { x { nodes { a } } } query B { x { nodes { a } } }",
        "mutation { x { nodes { a } } }",
        "{ x { nodes { a } } y { nodes { a } } }",
        "{ __typename }",
        "{ x { totalCount } }",
        "{ x { edges { cursor } } }",
        "{ x { nodes { a @skip(if: true) } } }",
        "{ x { nodes { ...F @include(if: true) } } } fragment F on X { a }",
        "{ x { nodes { ...F } } } fragment F on X { ...F }",
        "{ x { nodes { ...Missing } } }",
        "{ x { nodes { a { b } } } }",
        "{ x { nodes { one: a one: b } } }",
        "{" * 3_000,
    ],
)
def test_what_has_not_one_connection_with_fixed_columns_is_refused(text: str) -> None:
    with pytest.raises(NotExportable) as caught:
        export_document(text)
    assert str(caught.value)


def test_derived_measures_are_numbers() -> None:
    exported = export_document("{ licenseDeployments { nodes { waste: licensesUnassigned deploymentRate channel } } }")
    waste, rate, channel = exported.columns
    assert (waste.is_number, waste.is_rate) == (True, False)
    assert (rate.is_number, rate.is_rate) == (True, True)
    assert not channel.is_number
