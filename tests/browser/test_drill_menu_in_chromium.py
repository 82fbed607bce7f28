"""A bar or a table cell filters, excludes, or drills down, in real Chromium."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.builder import builder, field, rerun, writes
from tests.browser.results import EXAMPLES, SOLD, bars, connection, drawn, product, results
from tests.gateway.sandbox.rows import rows_of

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage


def menu(graphiql: GraphiqlPage) -> Locator:
    return results(graphiql).get_by_role("dialog", name=re.compile("^Go on with "))


def rerun_from_menu(graphiql: GraphiqlPage, name: str) -> None:
    """Press a button of the menu, and wait for the response that follows."""
    with graphiql.page.expect_response("**/graphql"):
        menu(graphiql).get_by_role("button", name=name, exact=True).click()
    expect(menu(graphiql)).to_have_count(0)


def test_a_bar_drills_down(graphiql: GraphiqlPage) -> None:
    """Customers with the most unassigned licenses, then the products of the first one."""
    graphiql.open_example(6, "MostUnassigned")
    graphiql.run()
    graphiql.show("Chart")
    customer = bars(graphiql)[0][0]
    tenant = graphiql.result()["data"]["licenseDeployments"]["nodes"][0]["customerTenantId"]
    drawn(graphiql).locator(".bars .figures").first.click()
    graphiql.screenshot("drill-menu")
    rerun_from_menu(graphiql, "Product name")
    assert writes(graphiql, f'customerName: {{eq: "{customer}"}}')
    assert writes(graphiql, f'customerTenantId: {{eq: "{tenant}"}}')
    assert writes(graphiql, "groupBy: [PRODUCT_NAME]")
    assert writes(graphiql, "nodes { productName licensesSold")
    nodes = graphiql.result()["data"]["licenseDeployments"]["nodes"]
    assert [label for label, _ in bars(graphiql)] == [node["productName"] for node in nodes]
    assert graphiql.focused() == "Chart"


@pytest.mark.parametrize(
    ("number", "name", "part"),
    [
        (6, "MostUnassigned", "Product name"),
        (8, "DeploymentBelow40", "Product name"),
        (10, "TenantsBelow40", "Service code"),
    ],
)
def test_the_parts_of_a_customer_of_an_example_add_up(
    graphiql: GraphiqlPage, number: int, name: str, part: str
) -> None:
    """Other tenants may have the same name: their licenses are not the customer's."""
    tenants: dict[Any, set[Any]] = {}
    for row in rows_of("contoso"):
        tenants.setdefault(row["customerName"], set()).add(row["customerTenantId"])
    graphiql.open_example(number, name)
    [(key, answer)] = graphiql.run()["data"].items()
    wasted: Any = max(answer["nodes"], key=lambda node: len(tenants[node["customerName"]]))
    graphiql.show("Table")
    place = drawn(graphiql).locator(f'[aria-rowindex="{answer["nodes"].index(wasted) + 2}"]')
    place.get_by_role("button", name=wasted["customerName"], exact=True).click()
    rerun_from_menu(graphiql, part)
    parts = graphiql.result()["data"][key]["nodes"]
    counts = [count for count in wasted if count.startswith("licenses")]
    assert [sum(node[count] or 0 for node in parts) for count in counts] == [wasted[count] for count in counts]


def test_drilling_down_leaves_the_conditions_on_the_group_behind(graphiql: GraphiqlPage) -> None:
    """Search and `having` found the customer; applied to its products, they would find nothing."""
    graphiql.open_example(7, "FindCustomer")
    field(graphiql, "Add a number").select_option("Licenses sold")
    graphiql.run()
    graphiql.show("Chart")
    drawn(graphiql).get_by_role("listitem").get_by_role("button").first.click()
    rerun_from_menu(graphiql, "Product name")
    assert graphiql.result()["data"]["licenseDeployments"]["nodes"]
    assert "$words" not in graphiql.query()
    assert "having" not in graphiql.query()


def test_a_bar_filters_and_excludes(graphiql: GraphiqlPage) -> None:
    graphiql.run()
    graphiql.show("Chart")
    first, second, third = (label for label, _ in bars(graphiql)[:3])
    for excluded in (first, second):
        drawn(graphiql).get_by_role("button", name=excluded, exact=True).click()
        rerun_from_menu(graphiql, f"Exclude {excluded}")
        expect(drawn(graphiql).get_by_role("button", name=excluded, exact=True)).to_have_count(0)
    assert writes(graphiql, f'filter: {{productName: {{notIn: ["{first}", "{second}"]}}}}')
    drawn(graphiql).get_by_role("button", name=third, exact=True).click()
    rerun_from_menu(graphiql, f"Filter by {third}")
    assert writes(graphiql, f'filter: {{productName: {{eq: "{third}"}}}}')
    assert [label for label, _ in bars(graphiql)] == [third]


def test_a_cell_filters_rows(graphiql: GraphiqlPage) -> None:
    """Rows without groups are filtered by the cell alone, and grouped on demand."""
    graphiql.open_example(4, "JumpToPage")
    nodes = graphiql.run()["data"]["licenseDeployments"]["nodes"]
    graphiql.show("Table")
    cell = drawn(graphiql).get_by_role("button", name=nodes[0]["productName"], exact=True).first
    cell.click()
    expect(menu(graphiql).get_by_role("button", name="Customer name", exact=True)).to_be_visible()
    rerun_from_menu(graphiql, f"Filter by {nodes[0]['productName']}")
    assert writes(graphiql, f'filter: {{productName: {{eq: "{nodes[0]["productName"]}"}}}}')
    assert "customerName: {" not in graphiql.query()
    expect(drawn(graphiql).locator("tbody.rows td:nth-child(2)").first).to_have_text(nodes[0]["productName"])


def test_the_menu_works_by_keyboard(graphiql: GraphiqlPage) -> None:
    """The focus goes into the menu, and returns with Escape."""
    graphiql.answer_with(connection(product("a", 2, 1), product("b", 1, 1)))
    graphiql.run()
    graphiql.show("Chart")
    drawn(graphiql).get_by_role("button", name="a", exact=True).press("Enter")
    assert graphiql.focused() == "Filter by a"
    graphiql.page.keyboard.press("Tab")
    assert graphiql.focused() == "Exclude a"
    graphiql.page.keyboard.press("Escape")
    expect(menu(graphiql)).to_have_count(0)
    assert graphiql.focused() == "a"


def test_what_cannot_be_filtered_by_has_no_menu(graphiql: GraphiqlPage) -> None:
    """Null equals nothing, numbers are no dimensions, and lists of other operations have none."""
    graphiql.answer_with(connection(product(None, 2, 1)))
    graphiql.run()
    graphiql.show("Table")
    expect(drawn(graphiql).locator("tbody.rows tr")).to_have_count(1)
    expect(drawn(graphiql).locator(".pick")).to_have_count(0)
    graphiql.page.unroute_all()
    graphiql.type_query("{ __schema { types { name } } }")
    graphiql.wait_for_operation(None)
    with graphiql.page.expect_response("**/graphql"):
        graphiql.run()
    expect(drawn(graphiql)).to_contain_text("LicenseDeployment")
    expect(drawn(graphiql).locator(".pick")).to_have_count(0)


def test_the_most_wasteful_customer_is_found_without_typing_graphql(graphiql: GraphiqlPage) -> None:
    """Which customer wastes most, of which product, and how did that change since October?"""
    graphiql.page.get_by_role("button", name="New tab").click()
    expect(graphiql.page.get_by_role("tab")).to_have_count(EXAMPLES + 1)
    group = builder(graphiql).get_by_role("group", name="Group by")
    group.get_by_role("button", name="Customer name").click()
    field(graphiql, "Order by").select_option("Licenses unassigned")
    customer = rerun(graphiql)["licenseDeployments"]["nodes"][0]["customerName"]
    graphiql.show("Chart")
    drawn(graphiql).get_by_role("button", name=customer, exact=True).click()
    rerun_from_menu(graphiql, "Product name")
    worst = bars(graphiql)[0][0]
    field(graphiql, "Compare with").fill("2026-10-23")
    data = rerun(graphiql)
    assert data["later"]["nodes"][0]["productName"] == worst
    measure = results(graphiql).get_by_role("combobox", name="Measure")
    measure.select_option("unassigned licenses")
    earlier, later = (
        {node["productName"]: node["licensesUnassigned"] for node in data[side]["nodes"]}[worst]
        for side in ("earlier", "later")
    )
    assert (worst, f"{earlier:,} → {later:,} · +{later - earlier:,}") in bars(graphiql)
    assert SOLD in graphiql.query()
