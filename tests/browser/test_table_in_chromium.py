"""The table view of a response and the panel's messages, in real Chromium."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.results import (
    COMPUTED,
    COMPUTED_OF_GROUPS,
    DEPLOYED,
    ROWS,
    SOLD,
    bars,
    column,
    connection,
    download,
    drawn,
    measures,
    product,
    results,
)

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium, GraphiqlPage

NOTHING_ASKED = "Press ▶ (or Ctrl-Enter), and the answer appears here."


def test_the_rows_of_a_response_are_shown_in_a_table(graphiql: GraphiqlPage) -> None:
    """The headers are field names, numbers are right-aligned, and the number of rows is shown."""
    graphiql.open_example(4, "JumpToPage")
    nodes = graphiql.run()["data"]["licenseDeployments"]["nodes"]
    graphiql.show("Table")
    expect(graphiql.page.get_by_role("columnheader")).to_have_text([*nodes[0], *COMPUTED])
    assert column(graphiql, 1) == [node["customerName"] for node in nodes]
    assert column(graphiql, 3) == [f"{node[SOLD]:,}" for node in nodes]
    expect(drawn(graphiql).locator("tbody.rows td:nth-child(3)").first).to_have_css("text-align", "right")
    expect(results(graphiql).get_by_text("10 of 12,000 rows")).to_be_visible()
    expect(graphiql.page.locator(".result-window .CodeMirror").last).to_be_hidden()
    graphiql.screenshot("table-light")
    graphiql.show("JSON")
    expect(graphiql.page.locator(".result-window .CodeMirror").last).to_be_in_viewport(ratio=0.9)


def test_clicking_a_header_sorts(graphiql: GraphiqlPage) -> None:
    """Numbers sort from the highest, text from A.

    A second click reverses the order; a third restores the response's order.
    """
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
    # The row without a number sold has no computed numbers either.
    expect(graphiql.page.get_by_role("img", name="no value")).to_have_count(4)


@pytest.mark.parametrize("count", [0, 1, 1_001, 10_000])
def test_every_row_of_an_answer_can_be_scrolled_to(graphiql: GraphiqlPage, count: int) -> None:
    """Only the rows near the visible ones are rendered. Screen readers get the number of all rows."""
    rows = [product(f"plan {number}", number, 0) for number in range(count)]
    graphiql.answer_with(connection(*rows, totalCount=count))
    graphiql.run()
    graphiql.show("Table")
    status = results(graphiql).locator(".about").get_by_role("status")
    expect(status).to_have_text({0: "No row fits.", 1: "1 row"}.get(count, f"{count:,} rows"))
    table = graphiql.page.get_by_role("table")
    if count == 0:
        expect(table).to_have_count(0)
        return
    expect(table).to_have_attribute("aria-rowcount", str(count + 1))
    expect(rendered(graphiql).first).to_have_attribute("aria-rowindex", "2")
    assert rendered(graphiql).count() <= 100
    drawn(graphiql).focus()
    graphiql.page.keyboard.press("End")
    last = drawn(graphiql).get_by_text(f"plan {count - 1}", exact=True)
    expect(last).to_be_in_viewport(ratio=1)
    expect(rendered(graphiql).last).to_have_attribute("aria-rowindex", str(count + 1))
    assert rendered(graphiql).count() <= 100
    header = graphiql.page.get_by_role("columnheader", name=SOLD)
    expect(header).to_be_in_viewport(ratio=1)
    header.get_by_role("button").click()
    expect(drawn(graphiql).get_by_text(f"plan {count - 1}", exact=True)).to_be_in_viewport(ratio=1)
    assert drawn(graphiql).evaluate("box => box.scrollTop") == 0
    assert column(graphiql, 2)[0] == f"{count - 1:,}"
    _, saved, _ = download(graphiql)
    assert [row[1] for row in saved[1:]] == [str(number) for number in reversed(range(count))]


def rendered(graphiql: GraphiqlPage) -> Locator:
    return drawn(graphiql).locator("tbody.rows tr")


def test_the_focus_stays_in_a_table_whose_focused_row_disappears(graphiql: GraphiqlPage) -> None:
    """Otherwise the keyboard could not scroll on."""
    rows = [{"customerTenantId": f"{number:08X}-DAE4-4550-8201-E2BD73AB4876", SOLD: number} for number in range(1000)]
    graphiql.answer_with(connection(*rows))
    graphiql.run()
    graphiql.show("Table")
    graphiql.page.get_by_role("button", name="Copy 00000003").focus()
    drawn(graphiql).evaluate("box => { box.scrollTop = box.scrollHeight }")
    expect(drawn(graphiql)).to_be_focused()


def test_ids_and_dates_are_short(graphiql: GraphiqlPage) -> None:
    """The title of an id is the whole id, which a button copies. A date has no midnight. Each row is one line."""
    guid = "965EDA32-DAE4-4550-8201-E2BD73AB4876"
    row = {"customerTenantId": guid, "processedDateTime": "2026-11-20T00:00:00", "customerName": "Topaz " * 30}
    graphiql.answer_with(connection(row, row | {"customerName": "Topaz"}))
    graphiql.run()
    graphiql.show("Table")
    assert column(graphiql, 1) == ["965EDA32…"] * 2
    assert column(graphiql, 2) == ["2026-11-20"] * 2
    expect(rendered(graphiql).locator("td").first).to_have_attribute("title", guid)
    expect(rendered(graphiql).locator("td").nth(2)).to_have_attribute("title", "Topaz " * 30)
    heights = rendered(graphiql).evaluate_all("all => all.map(row => row.getBoundingClientRect().height)")
    assert len(set(heights)) == 1
    graphiql.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    graphiql.page.get_by_role("button", name=f"Copy {guid}").first.click()
    expect(results(graphiql).get_by_text(f"Copied {guid}.")).to_be_visible()
    assert graphiql.page.evaluate("() => navigator.clipboard.readText()") == guid


def test_unassigned_licenses_and_rates_are_computed_if_the_answer_lacks_them(graphiql: GraphiqlPage) -> None:
    """They are marked, sortable, and no part of the file."""
    graphiql.type_query(ROWS)
    graphiql.wait_for_operation(None)
    graphiql.answer_with(connection(product("a", 10, 4), product("b", 5, 8), product("c", 0, None)))
    graphiql.run()
    graphiql.show("Table")
    assert [column(graphiql, number) for number in (4, 5)] == [["6", "0", "–"], ["40.0%", "160.0%", "–"]]
    header = graphiql.page.get_by_role("columnheader", name="rate").get_by_role("button")
    expect(header).to_have_attribute("title", re.compile("^Computed by this page: "))
    header.click()
    assert column(graphiql, 1) == ["b", "a", "c"]
    _, saved, _ = download(graphiql)
    assert saved[0] == ["productName", SOLD, DEPLOYED]
    graphiql.answer_with(connection(product("a", 10, 4) | {"deploymentRate": 0.4}))
    graphiql.run()
    expect(graphiql.page.get_by_role("columnheader")).to_have_text(
        ["productName", SOLD, DEPLOYED, "deploymentRate", COMPUTED[0]]
    )


def test_the_computed_difference_of_groups_is_not_called_unassigned(graphiql: GraphiqlPage) -> None:
    """Over-deployed products hide unused licenses in it; a tip says what to select instead."""
    graphiql.type_query(f"{{ licenseDeployments(groupBy: CHANNEL) {{ nodes {{ channel {SOLD} {DEPLOYED} }} }} }}")
    graphiql.wait_for_operation(None)
    graphiql.answer_with(connection(product("a", 10, 4), product("b", 5, 8), product("c", 0, None)))
    graphiql.run()
    graphiql.show("Table")
    expect(graphiql.page.get_by_role("columnheader")).to_have_text(["productName", SOLD, DEPLOYED, *COMPUTED_OF_GROUPS])
    assert column(graphiql, 4) == ["6", "-3", "–"]
    tip = re.compile("hide unused ones. Select licensesUnassigned for the sum of unused licenses.$")
    header = graphiql.page.get_by_role("columnheader", name="sold − deployed").get_by_role("button")
    expect(header).to_have_attribute("title", tip)
    graphiql.show("Chart")
    measures(graphiql).select_option("sold − deployed")
    expect(measures(graphiql)).to_have_attribute("title", tip)
    assert bars(graphiql)[0] == ("a", "4 of 10 · 40% · sold − deployed: 6")
    assert bars(graphiql)[1] == ("b", "8 of 5 · 160% · sold − deployed: -3 · 3 over-deployed")
    legend = drawn(graphiql).locator(".legend.unassigned")
    expect(legend).to_have_text("sold − deployed")
    expect(legend).to_have_attribute("title", tip)


def test_bars_and_legend_say_that_unassigned_licenses_of_rows_are_computed(graphiql: GraphiqlPage) -> None:
    graphiql.type_query(ROWS)
    graphiql.wait_for_operation(None)
    graphiql.answer_with(connection(product("a", 10, 4), product("b", 5, 8)))
    graphiql.run()
    graphiql.show("Chart")
    measures(graphiql).select_option("unassigned licenses, computed")
    assert [figures for _, figures in bars(graphiql)] == [
        "4 of 10 · 40% · 6 unassigned, computed",
        "8 of 5 · 160% · 0 unassigned, computed · 3 over-deployed",
    ]
    expect(drawn(graphiql).locator(".legend.unassigned")).to_have_text("unassigned, computed")


def test_a_phone_shows_names_and_numbers_first(chromium: Chromium) -> None:
    guid = "965EDA32-DAE4-4550-8201-E2BD73AB4876"
    row = {"customerTenantId": guid, "processedDateTime": "2026-11-20", "channel": "direct"}
    with chromium.graphiql(viewport={"width": 390, "height": 844}) as graphiql:
        graphiql.open()
        graphiql.answer_with(connection(row | {"customerName": "Topaz Software", "n": 1} | product("POWER BI", 2, 1)))
        graphiql.run()
        graphiql.show("Table")
        headers = graphiql.page.get_by_role("columnheader")
        first = ["customerName", "productName", "n", SOLD, DEPLOYED, *COMPUTED_OF_GROUPS]
        expect(headers).to_have_text([*first, "channel", "processedDateTime", "customerTenantId"])
        for number in range(3):
            expect(headers.nth(number)).to_be_in_viewport(ratio=1)
        assert graphiql.complaints == []


def test_one_of_several_connections_is_chosen(graphiql: GraphiqlPage) -> None:
    """Aliases do not matter. The choice applies to later responses and to the file."""
    graphiql.open_example(5, "CompareDates")
    data = graphiql.run()["data"]
    graphiql.show("Table")
    choice = graphiql.page.get_by_role("combobox", name="Rows of")
    assert choice.locator("option").all_inner_texts() == ["earlier + latest", "earlier", "latest"]
    choice.select_option("earlier")
    assert column(graphiql, 2) == [f"{node[SOLD]:,}" for node in data["earlier"]["nodes"]]
    choice.select_option("latest")
    latest = [f"{node[SOLD]:,}" for node in data["latest"]["nodes"]]
    assert column(graphiql, 2) == latest
    graphiql.run()
    assert column(graphiql, 2) == latest
    name, rows, _ = download(graphiql)
    assert name == "CompareDates-latest.csv"
    assert [row[1] for row in rows] == [SOLD, *(str(node[SOLD]) for node in data["latest"]["nodes"])]


def test_only_connections_with_equal_columns_share_a_table(graphiql: GraphiqlPage) -> None:
    """Lists with other columns, empty lists, and the two lists of one connection are not joined."""
    alike, other = [product("a", 2, 1)], [{"customerName": "b", SOLD: 1}]
    choice = graphiql.page.get_by_role("combobox", name="Rows of").locator("option")
    graphiql.show("Table")
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"x": {"nodes": alike, "totalCount": 5}, "y": {"edges": [{"node": alike[0]}], "totalCount": 2}}, "x + y"),
        ({"x": {"nodes": alike, "totalCount": 5}, "y": {"nodes": [product("b", 2, 1)], "totalCount": 2}}, "x + y"),
        ({"x": {"nodes": alike}, "y": {"nodes": other}}, "x"),
        ({"x": {"nodes": alike}, "y": {"nodes": []}}, "x"),
        ({"x": {"nodes": alike, "edges": [{"node": alike[0]}]}}, "x.nodes"),
    )
    for data, names in cases:
        graphiql.answer_with({"data": data})
        graphiql.run()
        expect(choice.first).to_have_text(names)
        if names == "x + y":
            # Lists without a common group, such as two pages, are not compared.
            is_comparable = "edges" in data["y"]
            expect(results(graphiql).get_by_text("1 row" if is_comparable else "2 of 7 rows")).to_be_visible()
            first = "productName" if is_comparable else "alias"
            expect(graphiql.page.get_by_role("columnheader").first).to_have_text(first)


def test_edges_are_shown_like_nodes(graphiql: GraphiqlPage) -> None:
    """They may have any alias, and their cursors are not shown.

    If the query selects nodes too, edges are a separate list.
    """
    edges = [{"cursor": "abc", "n": product("a", 2, 1)}]
    graphiql.answer_with({"data": {"page": {"totalCount": 1, "all": edges, "nodes": [product("b", 1, 1)]}}})
    graphiql.run()
    graphiql.show("Table")
    assert column(graphiql, 1) == ["a"]
    expect(graphiql.page.get_by_role("columnheader")).to_have_text(["productName", SOLD, DEPLOYED, *COMPUTED_OF_GROUPS])
    choice = graphiql.page.get_by_role("combobox", name="Rows of")
    assert choice.locator("option").all_inner_texts() == ["page.all", "page.nodes"]


def test_each_tab_shows_its_own_rows(graphiql: GraphiqlPage) -> None:
    graphiql.run()
    graphiql.show("Table")
    graphiql.open_example(4, "JumpToPage")
    expect(results(graphiql).get_by_text(NOTHING_ASKED)).to_be_visible()
    graphiql.run()
    expect(results(graphiql).get_by_text("10 of 12,000 rows")).to_be_visible()
    graphiql.open_example(0, "SoldAndDeployed")
    expect(results(graphiql).get_by_text("176 rows")).to_be_visible()


@pytest.mark.parametrize("view", ["JSON", "Table", "Chart"])
def test_every_state_has_a_text(graphiql: GraphiqlPage, view: str) -> None:
    """The states: not run, running, no rows, an error, an error with rows, and a response without a list.

    The permanent live region has the text, so that screen readers announce it. Errors are alerts.
    """
    page = graphiql.page
    graphiql.open_example(1, "NextPage")
    graphiql.show(view)
    status = results(graphiql).locator(".about").get_by_role("status")
    expect(status).to_have_text(NOTHING_ASKED)
    status.evaluate("element => { element.dataset.same = 'yes' }")
    waiting: list[Any] = []
    page.route("**/graphql", lambda route: waiting.append(route))
    page.get_by_role("button", name=re.compile("^Execute query")).click()
    expect(status).to_have_text("Waiting for the answer …")
    waiting.pop().fulfill(json=connection(totalCount=0))
    expect(status).to_have_text("No row fits.")
    error = {
        "message": "The token is not known. Send 'Authorization: Bearer <access token>'.",
        "extensions": {"code": "UNAUTHENTICATED"},
    }
    for data, rows in (
        ({"licenseDeployments": None}, "There is no data in this answer."),
        ({"a": None, "b": {"nodes": [product("x", 1, 1)]}}, "1 row"),
    ):
        graphiql.answer_with({"data": data, "errors": [error]})
        graphiql.run()
        shown = "UNAUTHENTICATED The token is not known. Choose a token at the top of this page."
        expect(page.get_by_role("alert")).to_have_text(shown)
        expect(status).to_have_text(rows)
    graphiql.answer_with({"data": {"__typename": "Query"}})
    graphiql.run()
    expect(status).to_have_text("There is no list of rows in this answer: select nodes or edges.")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(status).to_have_attribute("data-same", "yes")
    page.get_by_role("button", name="CSV", exact=True).click()
    expect(results(graphiql).get_by_text("There are no rows to save.")).to_be_visible()


def test_warnings_are_shown_above_their_rows(graphiql: GraphiqlPage) -> None:
    """Otherwise a chart of half the data would look complete. The first five problems are shown."""
    warning = {"code": "UPSTREAM_INCOMPLETE", "message": "The upstream ended early.", "path": ["licenseDeployments"]}
    answer = connection(product("a", 1, 1)) | {"extensions": {"warnings": [warning]}}
    graphiql.answer_with(answer)
    graphiql.run()
    graphiql.show("Chart")
    expect(graphiql.page.get_by_role("alert")).to_have_text("UPSTREAM_INCOMPLETE The upstream ended early.")
    assert bars(graphiql) == [("a", "1 of 1 · 100%")]
    graphiql.answer_with({"errors": [{"message": f"fault {number}"} for number in range(8)]})
    graphiql.run()
    problems = graphiql.page.get_by_role("alert").get_by_role("listitem")
    expect(problems).to_have_text([*(f"ERROR fault {number}" for number in range(5)), "and 3 more in JSON"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dark", {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"}),
        ("phone", {"viewport": {"width": 390, "height": 844}}),
        ("phone-dark", {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}),
    ],
)
def test_table_and_chart_follow_the_color_scheme(chromium: Chromium, name: str, options: dict[str, Any]) -> None:
    """In the dark theme and at phone width, the whole panel is visible and long content scrolls inside it."""
    with chromium.graphiql(**options) as graphiql:
        graphiql.open()
        graphiql.run()
        for view in ("Table", "Chart"):
            graphiql.show(view)
            expect(graphiql.page.get_by_role("region", name=f"{view} of licenseDeployments")).to_be_in_viewport(ratio=1)
            expect(graphiql.page.locator(".graphiql-query-editor .CodeMirror")).to_be_in_viewport(ratio=0.9)
            assert graphiql.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
            graphiql.screenshot(f"{view.lower()}-{name}")
        assert graphiql.complaints == []
