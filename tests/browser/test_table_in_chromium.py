"""An answer as a table, and what the panel that holds it says, in real Chromium."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.results import DEPLOYED, SOLD, bars, column, connection, download, product, results

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium, GraphiqlPage


def test_the_rows_of_an_answer_stand_in_a_table(graphiql: GraphiqlPage) -> None:
    """With the names of the fields over them, numbers to the right, and how many there are besides."""
    nodes = graphiql.run()["data"]["licenseDeployments"]["nodes"]
    graphiql.show("Table")
    expect(graphiql.page.get_by_role("columnheader")).to_have_text(list(nodes[0]))
    assert column(graphiql, 1) == [node["customerName"] for node in nodes]
    assert column(graphiql, 4) == [str(node[SOLD]) for node in nodes]
    expect(graphiql.page.get_by_role("cell", name="21", exact=True)).to_have_css("text-align", "right")
    expect(results(graphiql).get_by_text("10 of 12,000 rows")).to_be_visible()
    expect(graphiql.page.locator(".result-window .CodeMirror").last).to_be_hidden()
    graphiql.screenshot("table-light")
    graphiql.show("JSON")
    expect(graphiql.page.locator(".result-window .CodeMirror").last).to_be_in_viewport(ratio=0.9)


def test_a_press_on_a_header_sorts(graphiql: GraphiqlPage) -> None:
    """By keyboard as by mouse: numbers from the highest, text from A, back at the next press, then as it came."""
    rows = [product("plan 10", 9, 1), product(None, None, 0), product("Plan 9", 1500, 0), product("edu", 100, 5)]
    graphiql.answer_with(connection(*rows))
    graphiql.run()
    graphiql.show("Table")
    sold = graphiql.page.get_by_role("columnheader", name=SOLD)
    expect(sold).to_have_attribute("aria-sort", "none")
    for state, expected in (
        ("descending", ["1,500", "100", "9", "–"]),
        ("ascending", ["9", "100", "1,500", "–"]),
        ("none", ["9", "–", "1,500", "100"]),
    ):
        sold.get_by_role("button").press("Enter")
        expect(sold).to_have_attribute("aria-sort", state)
        assert column(graphiql, 2) == expected
    name = graphiql.page.get_by_role("columnheader", name="productName")
    name.get_by_role("button").click()
    expect(name).to_have_attribute("aria-sort", "ascending")
    expect(sold).to_have_attribute("aria-sort", "none")
    assert column(graphiql, 1) == ["edu", "Plan 9", "plan 10", "–"]
    expect(graphiql.page.get_by_role("img", name="no value")).to_have_count(2)


def test_the_keyboard_goes_from_the_bar_through_the_headers_into_the_rows(graphiql: GraphiqlPage) -> None:
    """In the order in which they stand there, and never into the hidden JSON."""
    graphiql.answer_with(connection(product("a", 1, 1)))
    graphiql.run()
    graphiql.page.get_by_role("button", name="JSON", exact=True).focus()
    visited: list[str] = []
    for _ in range(9):
        graphiql.page.keyboard.press("Tab")
        if not visited:
            graphiql.page.keyboard.press("Space")  # on Table
        visited.append(
            graphiql.page.evaluate("() => document.activeElement.ariaLabel ?? document.activeElement.innerText")
        )
    assert visited[:8] == [
        "Table", "Chart", "Copy as curl", "CSV", "Table of licenseDeployments", "productName", SOLD, DEPLOYED,
    ]  # fmt: skip
    assert graphiql.page.evaluate("() => document.activeElement.closest('.result-window')") is None


def test_long_answers_show_their_first_thousand_rows_and_save_all(graphiql: GraphiqlPage) -> None:
    graphiql.answer_with(connection(*(product(f"plan {number}", number, 0) for number in range(1500)), totalCount=9000))
    graphiql.run()
    graphiql.show("Table")
    expect(graphiql.page.locator(".results tbody tr")).to_have_count(1000)
    note = "1,500 of 9,000 rows; the first 1,000 are shown, CSV has them all"
    expect(results(graphiql).get_by_text(note)).to_be_visible()
    graphiql.page.get_by_role("columnheader", name=SOLD).get_by_role("button").click()
    assert column(graphiql, 2)[0] == "1,499"
    _, rows, _ = download(graphiql)
    assert [row[1] for row in rows[1:]] == [str(number) for number in reversed(range(1500))]
    graphiql.show("Chart")
    assert [label for label, _ in bars(graphiql)] == [f"plan {number}" for number in reversed(range(1480, 1500))]
    expect(results(graphiql).get_by_text("The 20 with the highest licensesSold; the table has all.")).to_be_visible()


def test_one_of_several_connections_is_chosen(graphiql: GraphiqlPage) -> None:
    """Whatever their aliases; the choice stays for the next answer, and for the file."""
    graphiql.open_example(5, "CompareDates")
    data = graphiql.run()["data"]
    graphiql.show("Table")
    choice = graphiql.page.get_by_role("combobox", name="Rows of")
    assert choice.locator("option").all_inner_texts() == ["earlier", "latest"]
    assert column(graphiql, 2) == [f"{node[SOLD]:,}" for node in data["earlier"]["nodes"]]
    choice.select_option("latest")
    latest = [f"{node[SOLD]:,}" for node in data["latest"]["nodes"]]
    assert column(graphiql, 2) == latest
    graphiql.run()
    assert column(graphiql, 2) == latest
    name, rows, _ = download(graphiql)
    assert name == "latest.csv"
    assert [row[1] for row in rows] == [SOLD, *(str(node[SOLD]) for node in data["latest"]["nodes"])]


def test_edges_are_rows_like_nodes(graphiql: GraphiqlPage) -> None:
    """Under any alias and without their cursors; asked for beside nodes they are a list of their own."""
    edges = [{"cursor": "abc", "n": product("a", 2, 1)}]
    graphiql.answer_with({"data": {"page": {"totalCount": 1, "all": edges, "nodes": [product("b", 1, 1)]}}})
    graphiql.run()
    graphiql.show("Table")
    assert column(graphiql, 1) == ["a"]
    expect(graphiql.page.get_by_role("columnheader")).to_have_text(["productName", SOLD, DEPLOYED])
    choice = graphiql.page.get_by_role("combobox", name="Rows of")
    assert choice.locator("option").all_inner_texts() == ["page.all", "page.nodes"]


def test_each_tab_shows_its_own_rows(graphiql: GraphiqlPage) -> None:
    graphiql.run()
    graphiql.show("Table")
    graphiql.open_example(3, "GroupByProduct")
    expect(results(graphiql).get_by_text("Run an operation, and its rows will stand here.")).to_be_visible()
    graphiql.run()
    expect(results(graphiql).get_by_text("20 of 176 rows")).to_be_visible()
    graphiql.open_example(0, "SoldAndDeployed")
    expect(results(graphiql).get_by_text("10 of 12,000 rows")).to_be_visible()


@pytest.mark.parametrize("view", ["Table", "Chart"])
def test_every_state_says_what_it_is(graphiql: GraphiqlPage, view: str) -> None:
    """Nothing asked, waiting, no rows, an error, an error beside rows, and no list at all."""
    page = graphiql.page
    graphiql.show(view)
    expect(results(graphiql).get_by_text("Run an operation, and its rows will stand here.")).to_be_visible()
    waiting: list[Any] = []
    page.route("**/graphql", lambda route: waiting.append(route))
    page.get_by_role("button", name=re.compile("^Execute query")).click()
    expect(results(graphiql).get_by_text("Waiting for the answer …")).to_be_visible()
    waiting.pop().fulfill(json=connection(totalCount=0))
    expect(results(graphiql).get_by_text("no rows", exact=True)).to_be_visible()
    error = {"message": "The token is not known.", "extensions": {"code": "UNAUTHENTICATED"}}
    for data, shown in (
        ({"licenseDeployments": None}, "UNAUTHENTICATED The token is not known."),
        ({"a": None, "b": {"nodes": [product("x", 1, 1)]}}, "UNAUTHENTICATED The token is not known."),
    ):
        graphiql.answer_with({"data": data, "errors": [error]})
        graphiql.run()
        expect(page.get_by_role("alert")).to_have_text(shown)
    expect(results(graphiql).get_by_text("1 row", exact=True)).to_be_visible()
    graphiql.answer_with({"data": {"__typename": "Query"}})
    graphiql.run()
    expect(results(graphiql).get_by_text("There is no list of rows in this answer")).to_be_visible()
    page.get_by_role("button", name="CSV", exact=True).click()
    expect(results(graphiql).get_by_text("There are no rows to save.")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dark", {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"}),
        ("phone", {"viewport": {"width": 390, "height": 844}}),
        ("phone-dark", {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}),
    ],
)
def test_table_and_chart_follow_the_screen(
    chromium: Chromium, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    """In the dark, and at phone width, all of the panel is in view and what is long scrolls inside it."""
    with chromium.graphiql(tmp_path / "profile", **options) as graphiql:
        graphiql.open()
        graphiql.open_example(3, "GroupByProduct")
        graphiql.run()
        for view in ("Table", "Chart"):
            graphiql.show(view)
            expect(graphiql.page.get_by_role("region", name=f"{view} of licenseDeployments")).to_be_in_viewport(ratio=1)
            expect(graphiql.page.locator(".graphiql-query-editor .CodeMirror")).to_be_in_viewport(ratio=0.9)
            assert graphiql.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
            graphiql.screenshot(f"{view.lower()}-{name}")
        assert graphiql.complaints == []
