"""Derived measures and orders in table and chart, in real Chromium."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.results import (
    CANCELING,
    DEPLOYED,
    SOLD,
    bars,
    column,
    connection,
    drawn,
    headline,
    product,
    results,
    segments,
)

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium, GraphiqlPage

IDLE = {
    "customerName": "Idle",
    SOLD: 0,
    DEPLOYED: 0,
    "licensesUnassigned": 0,
    "licensesOverdeployed": 0,
    "deploymentRate": None,
}
MOST_UNASSIGNED = 6


def test_the_table_shows_rates_in_percent(graphiql: GraphiqlPage) -> None:
    """A column of rates is sorted as numbers. A partial rate is never rounded to 0 or 100."""
    rates = [0.155842, None, 1, 0.99996, 0.0004, 2.5]
    graphiql.answer_with(connection(*({"customerName": f"c{n}", "deploymentRate": r} for n, r in enumerate(rates))))
    graphiql.run()
    graphiql.show("Table")
    assert column(graphiql, 2) == ["15.6%", "–", "100.0%", ">99.9%", "<0.1%", "250.0%"]
    graphiql.page.get_by_role("columnheader", name="deploymentRate").get_by_role("button").click()
    assert column(graphiql, 1) == ["c5", "c2", "c3", "c0", "c4", "c1"]


def test_the_chart_shows_derived_measures(graphiql: GraphiqlPage) -> None:
    """Sold is the sum of deployed and unassigned licenses; over-deployed ones come on top. The rate is text alone."""
    graphiql.answer_with(connection(CANCELING, IDLE))
    graphiql.run()
    graphiql.show("Chart")
    assert bars(graphiql) == [
        ("Both", "85 of 120 · 70.8% · 40 unassigned · 5 over-deployed"),
        ("Idle", "0 of 0 · 0 unassigned"),
    ]
    assert segments(graphiql)[0] == [("sold", 0, 96), ("deployed", 0, 64), ("unassigned", 64, 32), ("over", 96, 4)]
    expect(drawn(graphiql).locator(".legend")).to_have_text(
        [DEPLOYED, SOLD, "licensesUnassigned", "licensesOverdeployed"]
    )
    names = (SOLD, "licensesUnassigned", "deploymentRate")
    rows = [{name: row[name] for name in ("customerName", *names)} for row in (CANCELING, IDLE)]
    graphiql.answer_with(connection(*rows))
    graphiql.run()
    assert bars(graphiql)[0] == ("Both", "120 · 70.8% · 40 unassigned")
    assert segments(graphiql)[0] == [("sold", 0, 100), ("unassigned", 67, 33)]


def test_rates_alone_have_a_scale_of_their_own(graphiql: GraphiqlPage) -> None:
    """It reaches at least 100 %, so that a small rate looks small."""
    graphiql.show("Chart")
    for rates, widths in (((0.4, 0.1), [40, 10]), ((2.0, 0.5, None), [100, 25, 0])):
        rows = [{"customerName": f"c{number}", "deploymentRate": rate} for number, rate in enumerate(rates)]
        graphiql.answer_with(connection(*rows))
        graphiql.run()
        assert segments(graphiql) == [[("rate", 0, width)] for width in widths]
    assert [figures for _, figures in bars(graphiql)] == ["200%", "50%", ""]
    expect(drawn(graphiql).locator(".legend")).to_have_text("deploymentRate")


def test_one_derived_measure_is_drawn_alone(graphiql: GraphiqlPage) -> None:
    graphiql.show("Chart")
    for name, measure, text in (
        ("licensesUnassigned", "unassigned", "40 unassigned"),
        ("licensesOverdeployed", "over", "5 over-deployed"),
    ):
        graphiql.answer_with(connection({"customerName": "Both", name: CANCELING[name]}))
        graphiql.run()
        assert bars(graphiql) == [("Both", text)]
        assert segments(graphiql) == [[(measure, 0, 100)]]
        expect(drawn(graphiql).locator(".legend")).to_have_text(name)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colors such as ``rgb(0, 0, 0)`` (WCAG 2.2, contrast ratio)."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    shares = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)], ids=lambda value: str(value)
)
def test_overdeployment_differs_in_color_and_pattern(chromium: Chromium, scheme: Any, width: int) -> None:
    """The legend explains it, if there is any. Its contrast is that of graphics (WCAG 2.2, 1.4.11)."""
    with chromium.graphiql(viewport={"width": width, "height": 844}, color_scheme=scheme) as graphiql:
        graphiql.open()
        graphiql.show("Chart")
        graphiql.answer_with(connection(product("a", 20, 10)))
        graphiql.run()
        expect(drawn(graphiql).locator(".legend")).to_have_text([DEPLOYED, SOLD])
        expect(drawn(graphiql).locator(".over")).to_have_count(0)
        graphiql.answer_with(connection(product("a", 20, 10), product("b", 10, 14), CANCELING))
        graphiql.run()
        expect(drawn(graphiql).locator(".legend").last).to_have_text("licensesOverdeployed")
        graphiql.answer_with(connection(product("a", 20, 10), product("b", 10, 14)))
        graphiql.run()
        expect(drawn(graphiql).locator(".legend").last).to_have_text("deployed beyond sold")
        over = drawn(graphiql).locator(".bars .over")
        expect(over).to_have_attribute("fill", "url(#over-hatching)")
        colors = [
            graphiql.page.locator(place).first.evaluate(f"element => getComputedStyle(element).{style}")
            for place, style in (
                (".over-stripe", "fill"),
                (".over-ground", "fill"),
                (".bars .deployed", "fill"),
                (".results-scroll", "backgroundColor"),
            )
        ]
        stripe, ground, deployed, surface = colors
        assert stripe != deployed
        assert contrast(stripe, ground) >= 3
        assert contrast(stripe, surface) >= 3
        assert graphiql.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
        graphiql.screenshot(f"over-{scheme}-{width}")
        assert graphiql.complaints == []


def names_of(answer: dict[str, Any]) -> list[str]:
    return [node["customerName"] or "–" for node in answer["data"]["licenseDeployments"]["nodes"]]


def test_the_chart_keeps_the_order_of_an_ordered_query(graphiql: GraphiqlPage) -> None:
    """It is the order of the run, even if the query is edited afterwards. Without an order, the highest come first."""
    graphiql.open_example(MOST_UNASSIGNED, "MostUnassigned")
    names = names_of(graphiql.run())
    graphiql.show("Chart")
    assert [label for label, _ in bars(graphiql)] == names
    assert headline(graphiql) == "Top 20 of 2,061 by unassigned licenses"
    graphiql.screenshot("ordered")
    query = graphiql.query()
    graphiql.type_query("{ licenseDeployments { totalCount } }")
    assert [label for label, _ in bars(graphiql)] == names
    graphiql.type_query(query.replace("DESC", "ASC").replace("UNASSIGNED", "SOLD").replace("first: 20", "first: 30"))
    with graphiql.page.expect_response("**/graphql"):
        answer = graphiql.run()
    assert headline(graphiql) == "First 20 of 2,061 in the query's order"
    expect(results(graphiql).get_by_text("The table has all 30 rows of this answer.")).to_be_visible()
    assert [label for label, _ in bars(graphiql)] == names_of(answer)[:20]
    graphiql.open_example(0, "SoldAndDeployed")
    graphiql.run()
    sold = [int(figures.split(" of ")[1].split(" ")[0].replace(",", "")) for _, figures in bars(graphiql)]
    assert sold == sorted(sold, reverse=True)


def test_the_order_may_be_a_variable_and_in_a_fragment(graphiql: GraphiqlPage) -> None:
    """An empty list or null orders nothing."""
    graphiql.show("Chart")
    graphiql.type_query(
        "query Ordered($order: [LicenseDeploymentOrder!]) { ...List }"
        " fragment List on Query { licenseDeployments(orderBy: $order) { nodes { productName licensesSold } } }"
    )
    graphiql.wait_for_operation("Ordered")
    graphiql.answer_with(connection({"productName": "low", SOLD: 1}, {"productName": "high", SOLD: 9}))
    order = [{"field": "LICENSES_SOLD"}]
    for variables, labels in (
        ({"order": order}, ["low", "high"]),
        ({"order": []}, ["high", "low"]),
        ({}, ["high", "low"]),
    ):
        graphiql.type_variables(json.dumps(variables))
        with graphiql.page.expect_response("**/graphql"):
            graphiql.run()
        expect(drawn(graphiql).locator(".bars .bar-text > span:first-child")).to_have_text(labels)


def test_joined_lists_keep_the_order_of_first_appearance(graphiql: GraphiqlPage) -> None:
    """Rows that differ only in their list stay together, if all lists are ordered. Two lists are compared."""
    ordered = "licenseDeployments(orderBy: [{field: PRODUCT_NAME}]) { nodes { productName licensesSold } }"
    graphiql.type_query(f"{{ x: {ordered} y: {ordered} z: {ordered} }}")
    graphiql.wait_for_operation(None)
    rows = {
        "x": [{"productName": "b", SOLD: 1}, {"productName": "c", SOLD: 7}],
        "y": [{"productName": "a", SOLD: 9}, {"productName": "b", SOLD: 3}],
        "z": [{"productName": "b", SOLD: 4}],
    }
    graphiql.answer_with({"data": {alias: {"nodes": nodes} for alias, nodes in rows.items()}})
    graphiql.show("Chart")
    graphiql.run()
    assert [label for label, _ in bars(graphiql)] == ["x · b", "y · b", "z · b", "x · c", "y · a"]
    graphiql.answer_with({"data": {alias: {"nodes": rows[alias]} for alias in "xy"}})
    graphiql.run()
    assert bars(graphiql) == [("b", "1 → 3 · +2"), ("c", "7 → –"), ("a", "– → 9")]
