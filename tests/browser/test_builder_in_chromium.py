"""The builder writes operations, and follows what is typed, in real Chromium."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Route, expect

from tests.browser.builder import (
    builder,
    chip,
    counts,
    field,
    open_filter,
    pressed,
    rerun,
    section,
    variables,
    writes,
)
from tests.browser.conftest import running_gateway
from tests.browser.results import SOLD
from tests.gateway.sandbox.rows import rows_of

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium, GraphiqlPage

EARLIER = "2026-10-23"


def sums(dimension: str, **wanted: str) -> Counter[Any]:
    """Return the licenses sold by the values of a dimension, of the rows with the wanted values."""
    found: Counter[Any] = Counter()
    for row in rows_of("contoso"):
        if all(row[name] == value for name, value in wanted.items()):
            found[row[dimension]] += int(row[SOLD] or 0)
    return found


def test_the_builder_is_open_until_its_user_closes_it(chromium: Chromium, tmp_path: Path) -> None:
    with chromium.graphiql_in(tmp_path / "profile", viewport={"width": 1280, "height": 800}) as graphiql:
        graphiql.open()
        expect(builder(graphiql)).to_be_in_viewport(ratio=0.5)
        graphiql.page.get_by_role("button", name="Hide Builder").click()
        expect(builder(graphiql)).to_be_hidden()
        graphiql.open()
        expect(builder(graphiql)).to_be_hidden()
        graphiql.page.get_by_role("button", name="Show Builder").click()
        graphiql.open()
        expect(builder(graphiql)).to_be_in_viewport(ratio=0.5)
        assert graphiql.complaints == []


def test_on_a_phone_the_builder_opens_on_demand_and_makes_room_for_the_answer(chromium: Chromium) -> None:
    with chromium.graphiql(viewport={"width": 390, "height": 844}) as graphiql:
        graphiql.open()
        expect(builder(graphiql)).to_be_hidden()
        graphiql.page.get_by_role("button", name="Show Builder").click()
        assert graphiql.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
        open_filter(graphiql, "Product name")
        graphiql.screenshot("builder-phone")
        assert rerun(graphiql)["licenseDeployments"]["nodes"]
        expect(builder(graphiql)).to_be_hidden()
        expect(graphiql.page.get_by_role("region", name="Views of the answer")).to_be_in_viewport()


def test_nothing_is_sent_without_a_click(graphiql: GraphiqlPage) -> None:
    """Only the introspection is sent, whatever the builder shows."""
    sent: list[str] = []
    graphiql.page.on("request", lambda request: sent.append(request.post_data or ""))
    for name in ("MostUnassigned", "DeploymentBelow40"):
        graphiql.page.get_by_role("tab", name=name).click()
        graphiql.wait_for_operation(name)
    chip(graphiql, "Group by", "Channel").click()
    field(graphiql, "Search all texts").fill("contoso")
    assert sent == []


def test_chips_write_the_groups_and_the_fields_that_rows_show(graphiql: GraphiqlPage) -> None:
    """The fields follow the groups: others would be null."""
    chip(graphiql, "Group by", "Customer name").click()
    assert writes(graphiql, "licenseDeployments(groupBy: [PRODUCT_NAME, CUSTOMER_NAME] first: 1000)")
    assert writes(graphiql, "nodes { productName customerName licensesSold licensesDeployed }")
    chip(graphiql, "Group by", "Product name").click()
    chip(graphiql, "Show", "Licenses unassigned").click()
    chip(graphiql, "Show", "Licenses deployed").click()
    assert writes(graphiql, "groupBy: [CUSTOMER_NAME]")
    assert writes(graphiql, "nodes { customerName licensesSold licensesUnassigned }")
    assert "# Welcome." in graphiql.query()
    nodes = rerun(graphiql)["licenseDeployments"]["nodes"]
    assert {node["customerName"]: node[SOLD] for node in nodes}.items() <= sums("customerName").items()
    graphiql.screenshot("builder")


def test_chips_follow_what_is_typed(graphiql: GraphiqlPage) -> None:
    assert pressed(graphiql, "Group by") == ["Product name"]
    assert pressed(graphiql, "Show") == ["Licenses deployed", "Licenses sold"]
    graphiql.type_query('{ licenseDeployments(groupBy: CHANNEL, search: "a b") { edges { node { deploymentRate } } } }')
    expect(chip(graphiql, "Group by", "Channel")).to_have_attribute("aria-pressed", "true")
    assert pressed(graphiql, "Group by") == ["Channel"]
    assert pressed(graphiql, "Show") == ["Deployment rate"]
    expect(field(graphiql, "Search all texts")).to_have_value("a b")
    chip(graphiql, "Show", "Licenses sold").click()
    assert writes(graphiql, "edges { node { deploymentRate licensesSold } }")


def test_a_filter_offers_the_most_frequent_values_with_counts(graphiql: GraphiqlPage) -> None:
    """One grouped call finds them, under the other filters of the operation."""
    graphiql.type_query(
        '{ licenseDeployments(filter: {channel: {eq: "direct"}, productName: {eq: "POWER BI PRO"}}) '
        "{ nodes { licensesSold } } }"
    )
    sent: list[Any] = []
    graphiql.page.on("request", lambda request: sent.append(request.post_data_json))
    values = open_filter(graphiql, "Product name")
    expected = sums("productName", channel="direct")
    assert counts(values)[:3] == [(name, f"{count:,}") for name, count in expected.most_common(3)]
    expect(builder(graphiql).get_by_text(f"50 of {len(expected)} values, counted by licenses sold")).to_be_visible()
    assert [request["variables"] for request in sent] == [{"filter": {"channel": {"eq": "direct"}}}]
    expect(values.get_by_role("checkbox", checked=True)).to_have_count(1)
    field(graphiql, "Find values of Product name").fill("e5")
    assert {name for name, _ in counts(values)} == {name for name in expected if name and "E5" in name}


def test_values_become_conditions(graphiql: GraphiqlPage) -> None:
    values = open_filter(graphiql, "Product name")
    [first, second] = [name for name, _ in counts(values)[:2]]
    values.get_by_role("checkbox").nth(0).check()
    assert writes(graphiql, f'filter: {{productName: {{eq: "{first}"}}}}')
    values.get_by_role("checkbox").nth(1).check()
    assert writes(graphiql, f'filter: {{productName: {{in: ["{first}", "{second}"]}}}}')
    assert {node["productName"] for node in rerun(graphiql)["licenseDeployments"]["nodes"]} == {first, second}
    field(graphiql, "Condition on Product name").select_option("is not")
    assert writes(graphiql, f'filter: {{productName: {{notIn: ["{first}", "{second}"]}}}}')
    values.get_by_role("checkbox").nth(0).uncheck()
    assert writes(graphiql, f'filter: {{productName: {{ne: "{second}"}}}}')
    field(graphiql, "Find values of Product name").fill("Invented")
    builder(graphiql).get_by_role("button", name="Use “Invented” as typed").click()
    assert writes(graphiql, f'filter: {{productName: {{notIn: ["{second}", "Invented"]}}}}')
    builder(graphiql).get_by_role("button", name="Remove the filter on Product name").click()
    assert "filter" not in graphiql.query()


def test_counts_say_when_the_other_filters_have_changed(graphiql: GraphiqlPage) -> None:
    values = open_filter(graphiql, "Channel")
    before = counts(values)
    product = '{productName: {eq: "POWER BI PRO"}}'
    graphiql.type_query(f"{{ licenseDeployments(filter: {product}) {{ nodes {{ licensesSold }} }} }}")
    expect(builder(graphiql).get_by_text("The other filters have changed since.")).to_be_visible()
    assert counts(values) == before
    builder(graphiql).get_by_role("button", name="Count again").click()
    expect(builder(graphiql).get_by_text("The other filters have changed since.")).to_be_hidden()
    counted = f"{sums('channel', productName='POWER BI PRO').most_common(1)[0][1]:,}"
    expect(values.locator(".value-count", has_text=counted)).to_be_visible()


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ("{}", "This query needs a token. Choose a token at the top of this page."),
        ("{", "The headers are not JSON."),
    ],
)
def test_a_missing_token_and_broken_headers_are_explained(graphiql: GraphiqlPage, headers: str, problem: str) -> None:
    graphiql.type_headers(headers)
    section(graphiql, "Filter").get_by_role("button", name="Channel").click()
    expect(builder(graphiql).get_by_role("alert")).to_contain_text(problem)
    # Chromium reports the status 401 as an error.
    assert all("401" in complaint for complaint in graphiql.complaints)
    graphiql.complaints.clear()


def test_thresholds_become_conditions_on_measures(graphiql: GraphiqlPage) -> None:
    field(graphiql, "Add a number").select_option("Licenses unassigned")
    assert writes(graphiql, "having: {licensesUnassigned: {gt: 0}}")
    field(graphiql, "Number for Licenses unassigned").fill("5000")
    field(graphiql, "Condition on Licenses unassigned").select_option("at least")
    field(graphiql, "Add a number").select_option("Deployment rate")
    field(graphiql, "Condition on Deployment rate").select_option("less than")
    field(graphiql, "Number for Deployment rate").fill("0.5")
    assert writes(graphiql, "having: {licensesUnassigned: {gte: 5000}, deploymentRate: {lt: 0.5}}")
    nodes = rerun(graphiql)["licenseDeployments"]["nodes"]
    assert nodes
    assert all(node["licensesUnassigned"] >= 5000 and node["deploymentRate"] < 0.5 for node in nodes)
    builder(graphiql).get_by_role("button", name="Remove the condition on Licenses unassigned").click()
    assert writes(graphiql, "having: {deploymentRate: {lt: 0.5}}")


def test_search_order_and_number_of_rows(graphiql: GraphiqlPage) -> None:
    field(graphiql, "Search all texts").fill("office 365")
    field(graphiql, "Order by").select_option("Licenses unassigned")
    field(graphiql, "Then by").select_option("Product name")
    field(graphiql, "Number of rows").fill("3")
    assert writes(graphiql, 'search: "office 365"')
    steps = "{field: LICENSES_UNASSIGNED, direction: DESC}, {field: PRODUCT_NAME, direction: ASC}"
    assert writes(graphiql, f"orderBy: [{steps}]")
    assert writes(graphiql, "first: 3")
    nodes = rerun(graphiql)["licenseDeployments"]["nodes"]
    assert [node["licensesUnassigned"] for node in nodes] == sorted(
        (node["licensesUnassigned"] for node in nodes), reverse=True
    )
    assert len(nodes) == 3
    assert all("OFFICE 365" in node["productName"] for node in nodes)
    # Groups have no product then, and the order would be refused.
    chip(graphiql, "Group by", "Customer name").click()
    chip(graphiql, "Group by", "Product name").click()
    assert writes(graphiql, "orderBy: [{field: LICENSES_UNASSIGNED, direction: DESC}]")


def test_a_date_and_its_comparison_with_an_earlier_one(graphiql: GraphiqlPage) -> None:
    """One field is for each date; edits apply to both, and without the comparison, one is left."""
    field(graphiql, "As of").fill(EARLIER)
    assert writes(graphiql, f'processedDateTime: "{EARLIER}"')
    builder(graphiql).get_by_role("button", name="Remove the date: As of").click()
    assert "processedDateTime" not in graphiql.query()
    field(graphiql, "Compare with").fill(EARLIER)
    chip(graphiql, "Show", "Licenses deployed").click()
    assert writes(
        graphiql, f'earlier: licenseDeployments(groupBy: [PRODUCT_NAME] first: 1000 processedDateTime: "{EARLIER}")'
    )
    assert writes(graphiql, "later: licenseDeployments(groupBy: [PRODUCT_NAME] first: 1000)")
    assert graphiql.query().count("nodes {\n      productName\n      licensesSold\n    }") == 2
    data = rerun(graphiql)
    assert sum(node[SOLD] for node in data["earlier"]["nodes"]) < sum(node[SOLD] for node in data["later"]["nodes"])
    builder(graphiql).get_by_role("button", name="Remove the date: Compare with").click()
    assert writes(graphiql, "{ licenseDeployments(groupBy: [PRODUCT_NAME] first: 1000)")
    assert "earlier" not in graphiql.query()


def test_dates_with_rows_are_found_and_one_is_chosen(graphiql: GraphiqlPage) -> None:
    """Two operations find them; the sandbox has rows for eight weeks."""
    sent: list[Any] = []
    graphiql.page.on("request", lambda request: sent.append(request.post_data_json))
    find = builder(graphiql).get_by_role("button", name="Find earlier dates")
    find.click()
    expect(section(graphiql, "Date").get_by_role("status")).to_have_text("Dates with rows before 2026-11-20:")
    days = [date(2026, 11, 20) - timedelta(weeks=weeks) for weeks in range(1, 8)]
    found = section(graphiql, "Date").locator(".chip")
    expect(found).to_have_text([day.isoformat() for day in days])
    assert len(sent) == 2
    chip(graphiql, "Date", EARLIER).click()
    expect(field(graphiql, "Compare with")).to_have_value(EARLIER)
    assert writes(
        graphiql, f'earlier: licenseDeployments(groupBy: [PRODUCT_NAME] first: 1000 processedDateTime: "{EARLIER}")'
    )
    chip(graphiql, "Date", EARLIER).click()
    assert "processedDateTime" not in graphiql.query()
    graphiql.page.get_by_role("button", name="tailspin", exact=True).click()
    expect(found).to_have_count(0)
    find.click()
    expect(section(graphiql, "Date").get_by_role("status")).to_have_text("The latest rows have no date.")


def test_values_of_variables_are_written_to_the_variables(graphiql: GraphiqlPage) -> None:
    graphiql.type_query(
        "query Q($name: String, $least: Long, $words: String!, $n: Int = 7, $after: String) { licenseDeployments("
        "filter: {productName: {eq: $name}} having: {licensesSold: {gt: $least}} search: $words first: $n after: $after"
        ") { totalCount } }"
    )
    typed = {"name": "POWER BI PRO", "least": 5, "words": "power", "after": "cursor"}
    graphiql.type_variables(json.dumps(typed))
    before = graphiql.query()
    expect(field(graphiql, "Search all texts")).to_have_value("power")
    expect(field(graphiql, "Number of rows")).to_have_value("7")
    expect(section(graphiql, "Keep rows with")).to_contain_text("from $least")
    field(graphiql, "Number for Licenses sold").fill("10")
    field(graphiql, "Search all texts").fill("bi")
    field(graphiql, "Number of rows").fill("9")
    # A cursor of other rows would mean nothing.
    assert variables(graphiql) == {"name": "POWER BI PRO", "least": 10, "words": "bi", "after": None, "n": 9}
    assert graphiql.query() == before
    values = open_filter(graphiql, "Product name")
    values.get_by_role("checkbox", checked=True).click()
    assert "$name" not in graphiql.query()
    assert "name" not in variables(graphiql)


def test_values_of_another_token_are_not_shown(graphiql: GraphiqlPage) -> None:
    values = open_filter(graphiql, "Channel")
    graphiql.page.get_by_role("button", name="tailspin", exact=True).click()
    expect(values).to_have_count(0)


def test_without_introspection_there_is_no_builder(chromium: Chromium) -> None:
    with running_gateway(GATEWAY_INTROSPECTION="off") as url, chromium.at(url).graphiql() as graphiql:
        graphiql.open()
        expect(builder(graphiql)).to_contain_text("The builder needs the schema, which did not arrive.")
        expect(builder(graphiql).get_by_role("button")).to_have_count(0)


def test_what_the_builder_does_not_know_is_kept(graphiql: GraphiqlPage) -> None:
    """Fragments, aliases, other fields and operations stay, and so do conditions without a control."""
    graphiql.type_query("""# First.
query One {
  kind: __typename
  mine: licenseDeployments(
    filter: {or: [{channel: {eq: "a"}}, {channel: {eq: "b"}}]}
    first: 5
  ) {
    nodes {
      who: customerName
      ...Counts
    }
  }
}

# Second.
query Two { licenseDeployments(first: 1) { totalCount } }

fragment Counts on LicenseDeployment { licensesSold }
""")
    expect(builder(graphiql)).to_contain_text("Every click changes mine of One.")
    expect(section(graphiql, "Filter")).to_contain_text("or as typed")
    chip(graphiql, "Show", "Licenses deployed").click()
    field(graphiql, "Number of rows").fill("6")
    assert writes(graphiql, "first: 6) { nodes { who: customerName ...Counts licensesDeployed } }")
    for kept in (
        "# First.",
        "kind: __typename",
        '{or: [{channel: {eq: "a"}}, {channel: {eq: "b"}}]}',
        "# Second.\nquery Two { licenseDeployments(first: 1) { totalCount } }",
        "fragment Counts on LicenseDeployment { licensesSold }",
    ):
        assert kept in graphiql.query()


def test_one_of_several_fields_is_chosen(graphiql: GraphiqlPage) -> None:
    graphiql.type_query(
        "{ a: licenseDeployments(first: 1) { totalCount } b: licenseDeployments(first: 2) { totalCount } }"
    )
    expect(field(graphiql, "Number of rows")).to_have_value("1")
    field(graphiql, "Field to build").select_option("b")
    field(graphiql, "Number of rows").fill("3")
    assert writes(graphiql, "{ a: licenseDeployments(first: 1) { totalCount } b: licenseDeployments(first: 3) {")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{ licenseDeployments(", "The operation has a syntax error in line 1. Correct it, and the builder goes on."),
        ("fragment F on Query { __typename }", "The text has no operation."),
    ],
)
def test_a_text_that_is_no_operation_is_left_alone(graphiql: GraphiqlPage, text: str, problem: str) -> None:
    graphiql.type_query(text)
    expect(builder(graphiql).get_by_text(problem)).to_be_visible()
    expect(builder(graphiql).get_by_role("button")).to_have_count(0)


def test_broken_variables_are_left_alone(graphiql: GraphiqlPage) -> None:
    graphiql.type_variables("{")
    expect(builder(graphiql).get_by_text("The variables are not a JSON object.")).to_be_visible()
    expect(builder(graphiql).get_by_role("button")).to_have_count(0)


@pytest.mark.parametrize("text", ["", "# A comment\n", "{ kind: __typename }"])
def test_the_builder_starts_a_query(graphiql: GraphiqlPage, text: str) -> None:
    """An empty text gets an operation; an operation gets one more field."""
    graphiql.type_query(text or " ")
    builder(graphiql).get_by_role("button", name="Start with licenseDeployments").click()
    assert graphiql.query().startswith("# A comment" if "#" in text else "{")
    assert ("kind: __typename" in graphiql.query()) == ("kind" in text)
    graphiql.wait_for_operation(None)
    assert len(rerun(graphiql)["licenseDeployments"]["nodes"]) == 20


def with_second_dataset(route: Route) -> None:
    """Answer the introspection as a gateway with one more dataset would."""
    if route.request.method != "POST":
        route.continue_()
        return
    response = route.fetch()
    answer = response.json()
    schema = (answer.get("data") or {}).get("__schema")
    if schema:
        fields = next(kind for kind in schema["types"] if kind["name"] == "Query")["fields"]
        fields.append({**fields[0], "name": "otherDeployments"})
    route.fulfill(response=response, json=answer)


def test_a_second_dataset_needs_no_code(chromium: Chromium) -> None:
    with chromium.graphiql(viewport={"width": 1280, "height": 800}) as graphiql:
        graphiql.page.route("**/graphql", with_second_dataset)
        graphiql.open()
        field(graphiql, "Dataset").select_option("otherDeployments")
        assert writes(graphiql, "query SoldAndDeployed { otherDeployments(first: 20) { totalCount nodes {")
        chip(graphiql, "Group by", "Channel").click()
        assert writes(graphiql, "otherDeployments(first: 20 groupBy: [CHANNEL])")
        assert graphiql.complaints == []
