"""The example operations do what their comments say, in real Chromium; the rows are compared with the sandbox's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.browser.results import results, sold_to
from tests.gateway.sandbox.rows import rows_of

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage

FIELDS = ("customerName", "productName", "licensesSold", "licensesDeployed")


def rows(start: int, count: int) -> list[dict[str, Any]]:
    """Return the rows of the token contoso as the examples select them."""
    return [{field: row[field] for field in FIELDS} for row in rows_of("contoso")[start : start + count]]


def connection_of(answer: dict[str, Any]) -> dict[str, Any]:
    connection: dict[str, Any] = answer["data"]["licenseDeployments"]
    return connection


def test_paging_continues_at_the_cursor(graphiql: GraphiqlPage) -> None:
    """The cursor of one page goes into the variables of the next, also without the button."""
    graphiql.open_example(1, "NextPage")
    graphiql.show("JSON")
    first = connection_of(graphiql.run())
    assert [edge["node"] for edge in first["edges"]] == rows(0, 5)
    graphiql.type_variables(json.dumps({"first": 5, "after": first["pageInfo"]["endCursor"]}))
    with graphiql.page.expect_response("**/graphql"):
        graphiql.run()
    expect(graphiql.page.locator(".result-window")).not_to_contain_text(first["edges"][0]["cursor"])
    assert [edge["node"] for edge in connection_of(graphiql.result())["edges"]] == rows(5, 5)


def customers_of(*products: str) -> set[str]:
    return {str(row["customerName"]) for row in rows_of("contoso") if row["productName"] in products}


def test_the_filter_example_lists_the_customers_of_one_product(graphiql: GraphiqlPage) -> None:
    """All customers are listed, and the operators that the comment suggests instead of eq work."""
    graphiql.open_example(2, "FilterByProduct")
    graphiql.show("JSON")
    connection = connection_of(graphiql.run())["nodes"]
    assert {node["customerName"] for node in connection} == customers_of("OFFICE 365 E3")
    assert len(connection) == len(customers_of("OFFICE 365 E3"))
    assert 'in: ["A", "B"]' in graphiql.query()
    graphiql.type_query(graphiql.query().replace('eq: "OFFICE 365 E3"', 'in: ["POWER BI PRO", "VISIO PLAN 2"]'))
    with graphiql.page.expect_response("**/graphql"):
        graphiql.run()
    expect(graphiql.page.locator(".result-window")).not_to_be_empty()
    several = customers_of("POWER BI PRO", "VISIO PLAN 2")
    expect(results(graphiql).get_by_text(f"{len(several)} rows", exact=True)).to_be_visible()


def test_a_filter_field_without_matches_shows_a_reason(graphiql: GraphiqlPage) -> None:
    """For a filter on product names, the text refers to the first tab, which lists these names."""
    graphiql.open_example(2, "FilterByProduct")
    graphiql.type_query(graphiql.query().replace("OFFICE 365 E3", "Office"))
    graphiql.run()
    status = results(graphiql).locator(".about").get_by_role("status")
    start = "No row fits. The filter compares whole values"
    expect(status).to_have_text(f"{start}; the first tab lists the products' names.")
    graphiql.type_query(graphiql.query().replace("productName: { eq", "customerName: { eq"))
    with graphiql.page.expect_response("**/graphql"):
        graphiql.run()
    expect(status).to_have_text(f"{start}.")


def test_the_group_example_covers_all_customers(graphiql: GraphiqlPage) -> None:
    graphiql.open_example(3, "GroupByCustomer")
    connection = connection_of(graphiql.run())
    ids = {row["customerTenantId"] for row in rows_of("contoso")}
    assert {node["customerTenantId"] for node in connection["nodes"]} == ids
    assert connection["totalCount"] == len(connection["nodes"])


def test_the_jump_example_returns_the_rows_at_its_offset(graphiql: GraphiqlPage) -> None:
    graphiql.open_example(4, "JumpToPage")
    assert connection_of(graphiql.run())["nodes"] == rows(500, 10)


def test_the_date_example_returns_two_dates(graphiql: GraphiqlPage) -> None:
    """The latest date has the sandbox's current totals, the earlier one lower totals."""
    graphiql.open_example(5, "CompareDates")
    totals = {
        alias: sum(node["licensesSold"] for node in connection["nodes"])
        for alias, connection in graphiql.run()["data"].items()
    }
    assert totals["latest"] == sold_to("contoso")
    assert 0 < totals["earlier"] < totals["latest"]


def groups_of_customers() -> dict[str, list[tuple[int, int]]]:
    """Return the numbers sold and deployed of each row, by customer."""
    groups: dict[str, list[tuple[int, int]]] = {}
    for row in rows_of("contoso"):
        numbers = (int(row["licensesSold"] or 0), int(row["licensesDeployed"] or 0))
        groups.setdefault(str(row["customerTenantId"]), []).append(numbers)
    return groups


def test_the_order_example_lists_the_customers_with_the_most_unassigned_licenses(graphiql: GraphiqlPage) -> None:
    graphiql.open_example(6, "MostUnassigned")
    connection = connection_of(graphiql.run())
    unassigned = [sum(max(0, sold - used) for sold, used in rows) for rows in groups_of_customers().values()]
    assert [node["licensesUnassigned"] for node in connection["nodes"]] == sorted(unassigned, reverse=True)[:20]
    assert connection["totalCount"] == len(unassigned)


def test_the_search_example_finds_customers(graphiql: GraphiqlPage) -> None:
    """Neither case nor accents matter, as the comment says; other words go into the variables."""
    graphiql.open_example(7, "FindCustomer")
    graphiql.show("JSON")
    names = {node["customerName"] for node in connection_of(graphiql.run())["nodes"]}
    assert names == {"Straße & Söhne GmbH", "STRASSE & SÖHNE GMBH"}
    graphiql.type_variables('{"words": "topaz software"}')
    with graphiql.page.expect_response("**/graphql"):
        graphiql.run()
    expect(graphiql.page.locator(".result-window")).to_contain_text("Topaz Software A/S")


def test_the_having_example_lists_customers_with_a_low_deployment(graphiql: GraphiqlPage) -> None:
    graphiql.open_example(8, "DeploymentBelow40")
    nodes = connection_of(graphiql.run())["nodes"]
    sums = [tuple(map(sum, zip(*rows, strict=True))) for rows in groups_of_customers().values()]
    expected = sorted((sold for sold, used in sums if sold >= 1000 and used / sold < 0.4), reverse=True)
    assert [node["licensesSold"] for node in nodes] == expected
    assert all(node["deploymentRate"] < 0.4 for node in nodes)


def test_the_totals_example_has_the_sums_of_its_groups(graphiql: GraphiqlPage) -> None:
    graphiql.open_example(9, "Totals")
    connection = connection_of(graphiql.run())
    for field in ("licensesSold", "licensesDeployed"):
        assert connection["totals"][field] == sum(node[field] for node in connection["nodes"])
    assert connection["totals"]["licensesSold"] == sold_to("contoso")
