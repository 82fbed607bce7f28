"""Two lists of one query, such as those of two dates, compared row by row, in real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.results import (
    DEPLOYED,
    SOLD,
    bars,
    column,
    download,
    drawn,
    headline,
    measures,
    product,
    results,
    widths,
)

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage


def two_dates(earlier: list[Any], later: list[Any], /, **totals: int) -> dict[str, Any]:
    """Return a response with the later date first."""
    dates = {"later": ("2026-11-20T00:00:00", later), "earlier": ("2026-10-23T00:00:00", earlier)}
    return {
        "data": {
            alias: {"nodes": [{"processedDateTime": date, **row} for row in rows]}
            | ({"totalCount": totals[alias]} if alias in totals else {})
            for alias, (date, rows) in dates.items()
        }
    }


def test_the_date_example_shows_two_dates(graphiql: GraphiqlPage) -> None:
    """A group is one row and one pair of bars. The highest come first, and all share one scale."""
    graphiql.open_example(5, "CompareDates")
    data = graphiql.run()["data"]
    graphiql.show("Chart")
    earlier = {node["serviceName"]: node[SOLD] for node in data["earlier"]["nodes"]}
    latest = {node["serviceName"]: node[SOLD] for node in data["latest"]["nodes"]}
    names = sorted(latest, key=lambda name: -latest[name])
    assert bars(graphiql) == [
        (name, f"{earlier[name]:,} → {latest[name]:,} · +{latest[name] - earlier[name]:,}") for name in names
    ]
    numbers = [number for name in names for number in (earlier[name], latest[name])]
    assert widths(graphiql) == pytest.approx([100 * number / max(numbers) for number in numbers], abs=1)
    expect(drawn(graphiql).locator(".legend")).to_have_text(["earlier", "latest"])
    graphiql.screenshot("compare")
    graphiql.show("Table")
    expect(graphiql.page.get_by_role("columnheader")).to_have_text(["serviceName", "earlier", "latest", "change"])
    graphiql.page.get_by_role("columnheader", name="change").get_by_role("button").click()
    assert column(graphiql, 1) == names
    assert column(graphiql, 4) == [f"+{latest[name] - earlier[name]:,}" for name in names]
    graphiql.screenshot("compare-table")
    name, saved, _ = download(graphiql)
    assert name == "CompareDates.csv"
    assert saved[0] == ["serviceName", "earlier", "latest", "change"]
    assert saved[1][3] == str(latest[names[0]] - earlier[names[0]])


def test_the_dates_name_the_columns(graphiql: GraphiqlPage) -> None:
    """The earlier date comes first, whatever the order of the query."""
    graphiql.answer_with(two_dates([product("a", 10, 5)], [product("a", 8, 6)]))
    graphiql.run()
    graphiql.show("Table")
    headers = graphiql.page.get_by_role("columnheader")
    expect(headers).to_have_text(["productName", "2026-10-23", "2026-11-20", "change"])
    assert [column(graphiql, number) for number in (2, 3, 4)] == [["10"], ["8"], ["−2"]]


def test_the_compared_measure_can_be_chosen(graphiql: GraphiqlPage) -> None:
    """It is the same in table and chart. The change of a rate is in percentage points."""
    graphiql.answer_with(two_dates([product("a", 10, 5)], [product("a", 8, 6)]))
    graphiql.run()
    graphiql.show("Table")
    assert headline(graphiql) == "Compared in this answer: licenses sold"
    for text, expected in (
        ("licenses deployed", ["5", "6", "+1"]),
        ("deployment rate, computed", ["50.0%", "75.0%", "+25 points"]),
    ):
        measures(graphiql).select_option(text)
        assert [column(graphiql, number)[0] for number in (2, 3, 4)] == expected
    graphiql.show("Chart")
    assert bars(graphiql) == [("a", "50.0% → 75.0% · +25 points")]
    assert widths(graphiql) == [67, 100]


def test_two_dates_are_compared_by_what_the_query_orders_them_by(graphiql: GraphiqlPage) -> None:
    """The names leave room for both dates and the change beside them."""
    field = "licenseDeployments(orderBy: [{field: LICENSES_UNASSIGNED, direction: DESC}] first: 2"
    rows = (
        "groupBy: [CUSTOMER_NAME, PRODUCT_NAME]) { nodes { customerName productName licensesSold licensesUnassigned } }"
    )
    graphiql.type_query(f'{{ earlier: {field} processedDateTime: "2026-10-23" {rows} later: {field} {rows} }}')
    graphiql.wait_for_operation(None)
    data = graphiql.run()["data"]
    unassigned = [node["licensesUnassigned"] for node in data["later"]["nodes"]]
    assert headline(graphiql) == "The 2 rows here by unassigned licenses"
    assert [figures.split(" ")[2] for _, figures in bars(graphiql)] == [f"{number:,}" for number in unassigned]
    graphiql.show("Table")
    for header in graphiql.page.get_by_role("columnheader").all():
        expect(header).to_be_in_viewport(ratio=1)


def test_a_group_of_one_list_has_a_change_if_both_lists_are_whole(graphiql: GraphiqlPage) -> None:
    """Beyond a part of a list nothing is known, and the page says so."""
    lists = ([product("old", 10, 5)], [product("new", 8, 6)])
    graphiql.answer_with(two_dates(*lists, earlier=1, later=1))
    graphiql.run()
    graphiql.show("Chart")
    assert bars(graphiql) == [("old", "10 → – · −10"), ("new", "– → 8 · +8")]
    assert headline(graphiql) == "2 rows by licenses sold"
    note = results(graphiql).get_by_text("Rows outside this answer are not compared.")
    expect(note).to_have_count(0)
    graphiql.answer_with(two_dates(*lists, earlier=1, later=9))
    graphiql.run()
    assert bars(graphiql) == [("old", "10 → –"), ("new", "– → 8 · +8")]
    assert headline(graphiql) == "The 2 rows here by licenses sold"
    expect(note).to_be_visible()


def test_rows_with_equal_texts_are_one_group(graphiql: GraphiqlPage) -> None:
    """Their numbers are added up, and the rate is that of the sums."""
    later = [product("a", 30, 10) | {"deploymentRate": 1 / 3}, product("a", 10, 10) | {"deploymentRate": 1}]
    graphiql.answer_with(two_dates([product("a", 4, 1) | {"deploymentRate": 0.25}], later, earlier=1, later=2))
    graphiql.run()
    graphiql.show("Table")
    assert headline(graphiql) == "Compared: licenses sold"
    for text, expected in (
        ("licenses sold", ["4", "40", "+36"]),
        ("deployment rate", ["25.0%", "50.0%", "+25 points"]),
    ):
        measures(graphiql).select_option(text)
        assert [column(graphiql, number)[0] for number in (2, 3, 4)] == expected


def test_thousands_of_groups_are_compared(graphiql: GraphiqlPage) -> None:
    rows = [product(f"plan {number}", number, 0) for number in range(5_000)]
    later = [row | {SOLD: row[SOLD] + 1, DEPLOYED: 1} for row in rows]
    graphiql.answer_with(two_dates(rows, later, earlier=5_000, later=5_000))
    graphiql.run()
    graphiql.show("Chart")
    assert headline(graphiql) == "Top 20 of 5,000 by licenses sold"
    assert bars(graphiql)[0] == ("plan 4999", "4,999 → 5,000 · +1")
    expect(results(graphiql).get_by_text("The table has all 5,000 rows of this answer.")).to_be_visible()
