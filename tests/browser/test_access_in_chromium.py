"""GraphiQL by keyboard and for screen readers, in real Chromium."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.builder import builder, field, open_filter, rerun
from tests.browser.conftest import running_gateway
from tests.browser.results import CANCELING, DEPLOYED, SOLD, connection, drawn, product, results
from tests.schema.http.node_packages import installed

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium, GraphiqlPage

PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
# GraphiQL's own violations, by axe rule: a tab contains its close button, and scrollable editor parts take no focus.
KNOWN: Final = {"nested-interactive": ".graphiql-tabs", "scrollable-region-focusable": ".CodeMirror"}
LAST_HEADER: Final = "rate\ncomputed"
AUDIT: Final = """async known => {
  const { violations } = await axe.run({ elementRef: true });
  return violations.flatMap(({ id, nodes }) =>
    nodes
      .filter(({ element }) => !(id in known && element.closest(known[id])))
      .map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`));
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    """Return axe-core's script, which checks WCAG 2.2 (A, AA) and good practice."""
    place = installed(Path(__file__).parent / "axe")
    return (place / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def faults(graphiql: GraphiqlPage, axe: str) -> list[str]:
    """Return axe's violations on the current page."""
    graphiql.page.evaluate(axe)
    violations: list[str] = graphiql.page.evaluate(AUDIT, KNOWN)
    return violations


@pytest.mark.timeout(300)  # The first test to run waits for npm.
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_audit_finds_no_violations(chromium: Chromium, axe: str, scheme: str) -> None:
    """The audits cover: the first view, each view, an error, several lists, derived measures, and a phone."""
    options: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "color_scheme": scheme}
    with chromium.graphiql(**options) as graphiql:
        graphiql.open()
        assert faults(graphiql, axe) == []
        graphiql.open_example(5, "CompareDates")
        graphiql.run()
        for view in ("JSON", "Table", "Chart"):
            graphiql.show(view)
            expect(graphiql.page.get_by_role("combobox", name="Rows of")).to_be_visible()
            assert faults(graphiql, axe) == [], view
            graphiql.page.get_by_role("button", name="fabrikam").click()
            expect(graphiql.page.get_by_text("This is contoso's answer.")).to_be_visible()
            assert faults(graphiql, axe) == [], f"{view} of another token"
            graphiql.screenshot(f"outdated-{view.lower()}-{scheme}")
            graphiql.page.get_by_role("button", name="contoso").click()
        graphiql.page.get_by_role("button", name="Hide Builder").click()
        graphiql.page.set_viewport_size(PHONE)
        assert faults(graphiql, axe) == []
        graphiql.answer_with(connection(CANCELING, totals={SOLD: 120, "deploymentRate": 0.7}))
        graphiql.run()
        for view in ("Table", "Chart"):
            graphiql.show(view)
            expect(graphiql.page.get_by_text("Total Sold 120 · Deployment 70%")).to_be_visible()
            assert faults(graphiql, axe) == [], f"{view} of derived measures"
        graphiql.page.unroute_all()
        graphiql.type_query("{ licenseDeployments { productName } }")
        graphiql.run()
        expect(graphiql.page.get_by_role("alert")).to_be_visible()
        assert faults(graphiql, axe) == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("options", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": PHONE}])
def test_an_audit_of_pages_saving_waiting_and_tokens_finds_no_violations(
    chromium: Chromium, axe: str, options: dict[str, Any]
) -> None:
    with chromium.graphiql(**options) as graphiql:
        graphiql.open()
        graphiql.page.evaluate("() => { delete window.showSaveFilePicker }")
        graphiql.open_example(1, "NextPage")
        graphiql.run()
        results(graphiql).get_by_role("button", name="Next page").click()
        expect(results(graphiql).get_by_text("Rows 6 to 10 of 12,000")).to_be_visible()
        assert faults(graphiql, axe) == []
        graphiql.page.route("**/export/**", lambda _: None)
        results(graphiql).get_by_role("button", name="Save all 12,000 rows as CSV").click()
        expect(results(graphiql).get_by_role("progressbar")).to_be_visible()
        assert faults(graphiql, axe) == []
        graphiql.page.route("**/graphql", lambda _: None)
        graphiql.page.get_by_role("button", name=re.compile("^Execute query")).click()
        expect(results(graphiql).locator(".awaited")).to_be_visible()
        assert faults(graphiql, axe) == []
    with (
        running_gateway("--upstream", "http://127.0.0.1:9") as url,
        chromium.at(url).graphiql(**options) as graphiql,
    ):
        graphiql.open()
        expect(results(graphiql).get_by_text("Waiting for an access token.")).to_be_visible()
        assert faults(graphiql, axe) == []
        graphiql.page.get_by_label("Paste an access token").fill("tok\N{LATIN SMALL LETTER E WITH ACUTE}n")
        expect(graphiql.page.get_by_text("It is malformed: copy it again.")).to_be_visible()
        assert faults(graphiql, axe) == []
        graphiql.page.goto(address_of_guide(graphiql))
        assert faults(graphiql, axe) == []


def address_of_guide(graphiql: GraphiqlPage) -> str:
    return str(graphiql.page.locator(".bar a").evaluate("link => link.href"))


@pytest.mark.timeout(300)  # The first test to run waits for npm.
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_audit_of_the_builder_finds_no_violations(chromium: Chromium, axe: str, scheme: str) -> None:
    """It covers open filters, conditions, an order, two dates, a syntax error, the menu of a bar, and a phone."""
    options: dict[str, Any] = {"viewport": {"width": 1280, "height": 1400}, "color_scheme": scheme}
    with chromium.graphiql(**options) as graphiql:
        graphiql.open()
        values = open_filter(graphiql, "Product name")
        values.get_by_role("checkbox").first.check()
        field(graphiql, "Add a number").select_option("Licenses sold")
        field(graphiql, "Order by").select_option("Licenses sold")
        field(graphiql, "Compare with").fill("2026-10-23")
        assert faults(graphiql, axe) == []
        graphiql.screenshot(f"builder-{scheme}")
        builder(graphiql).get_by_role("button", name="Remove the date: Compare with").click()
        rerun(graphiql)
        graphiql.show("Chart")
        drawn(graphiql).get_by_role("listitem").get_by_role("button").first.click()
        expect(graphiql.page.get_by_role("dialog")).to_be_visible()
        assert faults(graphiql, axe) == []
        graphiql.screenshot(f"drill-menu-{scheme}")
        graphiql.page.keyboard.press("Escape")
        graphiql.page.set_viewport_size(PHONE)
        expect(builder(graphiql)).to_be_in_viewport()
        assert faults(graphiql, axe) == []
        graphiql.screenshot(f"builder-phone-{scheme}")
        graphiql.page.set_viewport_size({"width": 1280, "height": 800})
        graphiql.type_query("{ licenseDeployments(")
        expect(builder(graphiql)).to_contain_text("syntax error")
        assert faults(graphiql, axe) == []


def test_the_accessibility_audit_finds_a_planted_violation(graphiql: GraphiqlPage, axe: str) -> None:
    """One violation is planted in the panel, one in the bar."""
    graphiql.page.evaluate("() => { document.querySelector('.results-views button').textContent = '' }")
    graphiql.page.evaluate("() => { document.querySelector('.bar p').style.color = '#ccc' }")
    assert {fault.split(":")[0] for fault in faults(graphiql, axe)} == {"button-name", "color-contrast"}


def visited_names(graphiql: GraphiqlPage, key: str, last: str) -> list[str]:
    """Press ``key`` until ``last`` has the focus; return the names of all elements that had it."""
    visited: list[str] = []
    while not visited or visited[-1] != last:
        assert len(visited) < 100, visited
        graphiql.page.keyboard.press(key)
        visited.append(graphiql.focused())
        assert is_outlined(graphiql.page), visited[-1]
    return visited


def is_outlined(page: Page) -> bool:
    """Return whether the focus ring is visible; True for GraphiQL's own controls, which have other styles."""
    script = """() => document.activeElement.closest('.bar, .builder, .results') === null
        || parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2"""
    return bool(page.evaluate(script))


def test_the_keyboard_reaches_every_control_in_both_directions(graphiql: GraphiqlPage) -> None:
    """They follow the page's order, from the tokens through every editor to the rows. No element traps the keyboard."""
    graphiql.answer_with(connection(product("a", 1, 1)))
    graphiql.run()
    graphiql.show("Table")
    graphiql.page.evaluate("() => document.activeElement.blur()")
    graphiql.page.mouse.click(2, 2)
    forward = visited_names(graphiql, "Tab", LAST_HEADER)
    order = [
        "contoso", "fabrikam", "tailspin", "sample", "Show Documentation Explorer", "Licenses sold", "Add a number",
        "Search all texts", "Number of rows", "Run", "SoldAndDeployed", "Query", "Execute query (Ctrl-Enter)",
        "Headers", "JSON", "Table", "Chart", "Copy as curl", "CSV", "Table of licenseDeployments", "productName",
        SOLD, DEPLOYED, LAST_HEADER,
    ]  # fmt: skip
    assert [name for name in forward if name in order] == order
    # The pane's tab and its editor, but not the hidden JSON.
    assert forward.count("Variables") == 2
    assert "Answer" not in forward
    back = visited_names(graphiql, "Shift+Tab", "contoso")
    assert [name for name in back if name in order] == order[-2::-1]


def test_tab_accepts_a_suggestion_if_there_is_one(graphiql: GraphiqlPage) -> None:
    graphiql.type_query("")
    graphiql.page.keyboard.type("{ licenseD")
    expect(graphiql.page.locator(".CodeMirror-hint").first).to_be_visible()
    graphiql.page.keyboard.press("Tab")
    assert graphiql.query().startswith("{ licenseDeployments")
    assert graphiql.focused() == "Query"


def test_editors_have_accessible_names(graphiql: GraphiqlPage) -> None:
    graphiql.show("JSON")
    for name in ("Query", "Variables", "Answer"):
        expect(graphiql.page.get_by_role("textbox", name=name, exact=True)).to_have_count(1)
    graphiql.page.get_by_role("button", name="Headers", exact=True).click()
    expect(graphiql.page.get_by_role("textbox", name="Headers", exact=True)).to_have_count(1)


def test_the_chart_has_a_text_alternative(graphiql: GraphiqlPage) -> None:
    """It is a list labeled with its measures; screen readers skip the drawing."""
    graphiql.answer_with(connection(product("a", 4, 3), product("b", 2, 0)))
    graphiql.run()
    graphiql.show("Chart")
    chart = results(graphiql).get_by_role("region", name="Chart of licenseDeployments")
    expect(chart.get_by_role("list").get_by_role("listitem")).to_have_text(["a3 of 4 · 75%", "b0 of 2 · 0%"])
    expect(chart).to_contain_text(f"{DEPLOYED} of {SOLD}")
    expect(chart.get_by_role("img")).to_have_count(0)


def test_nothing_is_cut_off_on_a_phone(chromium: Chromium) -> None:
    """All buttons of the bars and dialogs are in the viewport. The keyboard skips elements that the docs cover."""
    with chromium.graphiql(viewport=PHONE) as graphiql:
        page = graphiql.page
        graphiql.open()
        graphiql.run()
        graphiql.show("Table")
        for control in page.locator(".bar button, .results-bar button, .graphiql-toolbar button").all():
            expect(control).to_be_in_viewport(ratio=1)
        page.get_by_role("button", name="Open settings dialog").click()
        for control in page.get_by_role("dialog").get_by_role("button").all():
            expect(control).to_be_in_viewport(ratio=1)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Show Documentation Explorer").click()
        expect(page.locator(".graphiql-doc-explorer")).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("^Execute query"))).to_be_hidden()
        page.get_by_role("button", name="Hide Documentation Explorer").click()
        expect(page.get_by_role("button", name=re.compile("^Execute query"))).to_be_visible()
        assert graphiql.complaints == []


def test_the_query_of_an_example_is_visible_on_a_phone(chromium: Chromium) -> None:
    """Before the first response, below a short comment, the first fields of the query are readable."""
    with chromium.graphiql(viewport=PHONE) as graphiql:
        graphiql.open()
        editor = graphiql.page.locator(".graphiql-query-editor .CodeMirror")
        tabs = graphiql.page.get_by_role("tab")
        for number, name in ((1, "NextPage"), (2, "FilterByProduct")):
            tabs.nth(number).click()
            graphiql.wait_for_operation(name)
            expect(editor.get_by_text("totalCount")).to_be_in_viewport(ratio=1)
            graphiql.screenshot(f"phone-{name}")
        empty = editor.bounding_box()
        graphiql.run()
        filled = editor.bounding_box()
        assert empty is not None
        assert filled is not None
        assert filled["height"] < empty["height"]
