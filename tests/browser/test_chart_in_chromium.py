"""The bar chart of a response, in real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.results import DEPLOYED, SOLD, bars, connection, product, results, segments, widths

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage


def percentage(part: int, whole: int) -> str:
    rounded = int(100 * part / whole + 0.5)
    return ">99%" if rounded == 100 and part < whole else f"{rounded}%"


def test_partial_shares_are_not_rounded_to_0_or_100_percent(graphiql: GraphiqlPage) -> None:
    pairs = [(9000, 9000), (8000, 8001), (3187, 3172), (1000, 1), (900, 0)]
    graphiql.answer_with(connection(*(product(f"plan {sold}", sold, deployed) for sold, deployed in pairs)))
    graphiql.run()
    graphiql.show("Chart")
    assert [figures.split(" · ")[1] for _, figures in bars(graphiql)] == ["100%", ">100%", ">99%", "<1%", "0%"]


def test_a_chart_of_some_rows_says_that_they_are_not_the_largest(graphiql: GraphiqlPage) -> None:
    """The note is above the bars. A chart of all rows has no note."""
    graphiql.open_example(4, "JumpToPage")
    graphiql.run()
    graphiql.show("Chart")
    note = results(graphiql).get_by_text("not the largest")
    expect(note).to_have_text("These are 10 of 12,000 rows in the report's order, not the largest.")
    expect(note).to_be_in_viewport(ratio=1)
    graphiql.screenshot("part")
    graphiql.open_example(2, "FilterByProduct")
    graphiql.run()
    bars(graphiql)
    expect(note).to_have_count(0)


def test_a_grouped_response_is_drawn_as_bars(graphiql: GraphiqlPage) -> None:
    """One bar per group, highest first, scaled to the longest; the text beside it has the same figures."""
    nodes = graphiql.run()["data"]["licenseDeployments"]["nodes"]
    graphiql.show("Chart")
    nodes = sorted(nodes, key=lambda node: -node[SOLD])[:20]
    assert bars(graphiql) == [
        (
            node["productName"] or "–",
            f"{node[DEPLOYED]:,} of {node[SOLD]:,} · {percentage(node[DEPLOYED], node[SOLD])}",
        )
        for node in nodes
    ]
    highest = nodes[0][SOLD]
    expected = [100 * node[measure] / highest for node in nodes for measure in (SOLD, DEPLOYED)]
    assert widths(graphiql) == pytest.approx(expected, abs=1)
    graphiql.screenshot("chart-light")


def test_groups_of_customers_are_labeled_by_name(graphiql: GraphiqlPage) -> None:
    """Ids are not used as labels; the note says which rows are shown."""
    graphiql.open_example(3, "GroupByCustomer")
    nodes = graphiql.run()["data"]["licenseDeployments"]["nodes"]
    graphiql.show("Chart")
    highest = sorted(nodes, key=lambda node: -node[SOLD])[:20]
    assert [label for label, _ in bars(graphiql)] == [node["customerName"] for node in highest]
    expect(results(graphiql).get_by_text("The 20 highest licensesSold; the table has all.")).to_be_visible()
    graphiql.answer_with(connection(*(product(f"plan {n}", n, 0) for n in range(30)), totalCount=9000))
    graphiql.run()
    note = "The 20 highest licensesSold among the 30 rows here; the table has all."
    expect(results(graphiql).get_by_text(note)).to_be_visible()


def test_the_date_example_shows_two_dates(graphiql: GraphiqlPage) -> None:
    """A group's bars are below one another, groups are sorted by their highest bar, and all share one scale."""
    graphiql.open_example(5, "CompareDates")
    data = graphiql.run()["data"]
    graphiql.show("Chart")
    latest = sorted(data["latest"]["nodes"], key=lambda node: -node[SOLD])
    earlier = {node["serviceName"]: node for node in data["earlier"]["nodes"]}
    pairs = [(earlier[node["serviceName"]], node) for node in latest]
    assert [label for label, _ in bars(graphiql)] == [
        f"{alias} · {pair[0]['serviceName']}" for pair in pairs for alias in ("earlier", "latest")
    ]
    flat = [node[measure] for pair in pairs for node in pair for measure in (SOLD, DEPLOYED)]
    assert widths(graphiql) == pytest.approx([100 * value / max(flat) for value in flat], abs=1)
    graphiql.screenshot("compare")


def test_zero_sold_and_null_values_are_drawn_without_a_share_or_bar(graphiql: GraphiqlPage) -> None:
    """Zero sold has no share. Null and negative values lack a bar."""
    graphiql.answer_with(
        connection(product("over", 10, 20), product("none", 0, 5), product("idle", 0, 0), product(None, -4, None))
    )
    graphiql.run()
    graphiql.show("Chart")
    assert bars(graphiql) == [
        ("over", "20 of 10 · 200% · 10 over-deployed"),
        ("none", "5 of 0 · 5 over-deployed"),
        ("idle", "0 of 0"),
        ("–", "– of -4"),
    ]
    assert segments(graphiql) == [
        [("sold", 0, 50), ("deployed", 0, 50), ("over", 50, 50)],
        [("sold", 0, 0), ("deployed", 0, 0), ("over", 0, 25)],
        [("sold", 0, 0), ("deployed", 0, 0)],
        [("sold", 0, 0), ("deployed", 0, 0)],
    ]


def test_a_chart_uses_the_columns_that_differ_between_rows(graphiql: GraphiqlPage) -> None:
    """Dates and constant columns are not used. Ids are used only if the rows have no names."""
    ids = ("965EDA32-DAE4-4550-8201-E2BD73AB4876", "11FA2AC0-079D-D25A-49FE-85B0834C687A")
    rows = [
        {"customerTenantId": id_, "customerName": name, "channel": "direct", "sold": 3, "processedDateTime": date}
        for id_, name, date in zip(ids, ("Topaz", "Walnut"), ("2026-11-20T00:00:00", "2026-11-13"), strict=True)
    ]
    graphiql.answer_with(connection(*rows))
    graphiql.run()
    graphiql.show("Chart")
    assert bars(graphiql) == [("Topaz", "3"), ("Walnut", "3")]
    graphiql.answer_with(connection(*({"customerTenantId": id_, "sold": 3} for id_ in ids)))
    graphiql.run()
    expect(results(graphiql).get_by_text(ids[1])).to_be_visible()
    graphiql.answer_with(connection({"customerName": "Topaz"}))
    graphiql.run()
    expect(results(graphiql).get_by_text("Bars need numbers: select licensesSold")).to_be_visible()
