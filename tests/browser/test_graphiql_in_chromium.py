"""GraphiQL in real Chromium against a real gateway, with all other addresses blocked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Response, Route, expect

from tests.browser.results import EXAMPLES, sold_to

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium, GraphiqlPage


# The sandbox's rows for the token contoso, and the sums of its groups.
ROWS, PRODUCTS = 12_000, 176
# The first example without the totals, for which all 250,000 rows of fabrikam would be read.
ONE_CALL = (
    "query SoldAndDeployed { licenseDeployments(groupBy: [PRODUCT_NAME], first: 1000) { nodes { licensesSold } } }"
)


def sold(answer: dict[str, Any]) -> int:
    """Return the sums over the groups of a response; they identify the account."""
    return sum(node["licensesSold"] for node in answer["data"]["licenseDeployments"]["nodes"])


def test_the_first_query_shows_sold_and_deployed_licenses(graphiql: GraphiqlPage) -> None:
    """Running the first example shows every product with its licenses."""
    assert "query SoldAndDeployed" in graphiql.query()
    assert json.loads(graphiql.headers()) == {"Authorization": "Bearer contoso"}
    answer = graphiql.run()
    assert answer["data"]["licenseDeployments"]["totalCount"] == PRODUCTS
    assert len(answer["data"]["licenseDeployments"]["nodes"]) == PRODUCTS
    assert sold(answer) == sold_to("contoso")
    graphiql.show("JSON")
    graphiql.screenshot("light")


def test_control_enter_runs_the_query(graphiql: GraphiqlPage) -> None:
    graphiql.page.locator(".graphiql-query-editor .CodeMirror").click()
    graphiql.page.keyboard.press("ControlOrMeta+Enter")
    assert sold(graphiql.result()) == sold_to("contoso")


def test_docs_describe_the_schema(graphiql: GraphiqlPage) -> None:
    """The docs show the fields of a row, each with an example value."""
    graphiql.page.get_by_role("button", name="Show Documentation Explorer").click()
    docs = graphiql.page.locator(".graphiql-doc-explorer")
    docs.get_by_text("LicenseDeploymentConnection", exact=True).click()
    expect(docs.locator(".graphiql-doc-explorer-title")).to_have_text("LicenseDeploymentConnection")
    expect(docs.get_by_text("totalCount", exact=True)).to_be_visible()
    docs.get_by_text("LicenseDeployment", exact=True).first.click()
    expect(docs.locator(".graphiql-doc-explorer-title")).to_have_text("LicenseDeployment")
    fields = docs.locator(".graphiql-doc-explorer-item")
    expect(fields).to_have_count(13)
    for field in fields.all():
        expect(field).to_contain_text("Example: ")
    graphiql.screenshot("docs")


def test_every_example_runs(graphiql: GraphiqlPage) -> None:
    """Each example has a tab, and its response has data and no errors."""
    tabs = graphiql.page.get_by_role("tab")
    assert tabs.count() == EXAMPLES
    for number in range(tabs.count()):
        tabs.nth(number).click()
        graphiql.wait_for_operation(tabs.nth(number).inner_text())
        answer = graphiql.run()
        assert "errors" not in answer, graphiql.query()
        for connection in answer["data"].values():
            assert connection.get("nodes") or connection.get("edges"), graphiql.query()


def test_token_leaves_no_trace_in_the_browser(chromium: Chromium, tmp_path: Path) -> None:
    """After typing, sending and reloading, neither storage, URLs, history nor the profile's files contain the token."""
    canary = "canary0token0that0must0not0stay"
    profile = tmp_path / "profile"
    with chromium.graphiql_in(profile) as graphiql:
        graphiql.open()
        graphiql.type_headers(json.dumps({"Authorization": f"Bearer {canary}"}))
        with graphiql.page.expect_request(lambda request: canary in request.headers.get("authorization", "")):
            graphiql.run()
        # GraphiQL stores its tabs half a second after the last change; this outlasts it.
        graphiql.page.wait_for_timeout(1000)
        traces = [stored(graphiql)]
        graphiql.open()
        traces += [stored(graphiql), graphiql.headers(), graphiql.page.content()]
        assert [trace for trace in traces if canary in trace] == []
        assert "Bearer contoso" in graphiql.headers()
    assert [path for path in profile.rglob("*") if path.is_file() and canary.encode() in path.read_bytes()] == []


def stored(graphiql: GraphiqlPage) -> str:
    """Return everything that the page has stored or put into the address, as text."""
    in_page = graphiql.page.evaluate("() => JSON.stringify([{...sessionStorage}, history.state, location.href])")
    return str(in_page) + json.dumps(graphiql.page.context.storage_state(indexed_db=True))


def test_only_the_theme_is_stored(graphiql: GraphiqlPage) -> None:
    graphiql.run()
    graphiql.page.get_by_role("button", name="Open settings dialog").click()
    graphiql.page.get_by_role("button", name="Dark", exact=True).click()
    graphiql.page.keyboard.press("Escape")
    graphiql.open()
    expect(graphiql.page.locator("body")).to_have_class(re.compile("graphiql-dark"))
    (origin,) = graphiql.page.context.storage_state(indexed_db=True)["origins"]
    assert origin["localStorage"] == [{"name": "graphiql:theme", "value": "dark"}]
    assert not origin.get("indexedDB")


def test_a_lost_connection_is_shown_in_the_result_pane(chromium: Chromium) -> None:
    with chromium.graphiql() as graphiql:
        graphiql.open()
        graphiql.page.route("**/graphql", lambda route: route.abort())
        assert graphiql.run()["errors"][0]["extensions"]["code"] == "NETWORK_ERROR"
        expect(graphiql.page.get_by_role("button", name=re.compile("^Execute query"))).to_be_visible()


def test_the_page_works_under_a_proxys_path(chromium: Chromium) -> None:
    """A proxy that adds the prefix /tools/licenses and strips it again needs no setting."""

    def strip(route: Route) -> None:
        route.continue_(url=route.request.url.replace("/tools/licenses/", "/"))

    with chromium.graphiql(path="/tools/licenses") as graphiql:
        graphiql.page.route("**/tools/licenses/**", strip)
        requested: list[str] = []
        graphiql.page.on("request", lambda request: requested.append(request.url))
        graphiql.open()
        assert sold(graphiql.run()) == sold_to("contoso")
        assert [url for url in requested if "/tools/licenses/" not in url and not url.startswith("data:")] == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dark", {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"}),
        ("phone", {"viewport": {"width": 390, "height": 844}}),
    ],
)
def test_the_layout_follows_the_screen_width(chromium: Chromium, name: str, options: dict[str, Any]) -> None:
    """Everything is visible and works in the system's dark theme and at phone width."""
    with chromium.graphiql(**options) as graphiql:
        graphiql.open()
        graphiql.run()
        assert graphiql.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
        graphiql.show("JSON")
        for pane in (".graphiql-query-editor", ".result-window"):
            expect(graphiql.page.locator(f"{pane} .CodeMirror").last).to_be_in_viewport(ratio=0.9)
        graphiql.screenshot(name)


def shown_token(graphiql: GraphiqlPage) -> Any:
    """The Authorization header in the Headers pane."""
    return json.loads(graphiql.headers())["Authorization"]


def test_a_token_that_was_sent_applies_to_every_tab(graphiql: GraphiqlPage) -> None:
    """Unedited tabs show and send the token; a tab with another token keeps its own."""
    tabs = graphiql.page.get_by_role("tab")
    graphiql.type_query(ONE_CALL)
    graphiql.type_headers('{"Authorization": "Bearer fabrikam"}')
    assert sold(graphiql.run()) == sold_to("fabrikam")
    tabs.nth(1).click()
    graphiql.wait_for_operation("NextPage")
    assert shown_token(graphiql) == "Bearer fabrikam"
    assert graphiql.run()["data"]["licenseDeployments"]["totalCount"] == 250_000
    graphiql.type_headers('{"Authorization": "Bearer tailspin", "X-Locale": "de"}')
    graphiql.run()
    tabs.nth(2).click()
    graphiql.wait_for_operation("FilterByProduct")
    assert shown_token(graphiql) == "Bearer tailspin"
    tabs.nth(0).click()
    graphiql.wait_for_operation("SoldAndDeployed")
    assert shown_token(graphiql) == "Bearer fabrikam"


def test_a_button_in_the_bar_chooses_the_token(graphiql: GraphiqlPage) -> None:
    """It works by mouse and keyboard, applies to this tab and unedited ones, and preserves other headers."""
    contoso, fabrikam, sample = (
        graphiql.page.get_by_role("button", name=name, exact=True) for name in ("contoso", "fabrikam", "sample")
    )
    expect(contoso).to_have_attribute("aria-pressed", "true")
    graphiql.type_query(ONE_CALL)
    fabrikam.click()
    expect(fabrikam).to_have_attribute("aria-pressed", "true")
    expect(contoso).to_have_attribute("aria-pressed", "false")
    assert sold(graphiql.run()) == sold_to("fabrikam")
    graphiql.page.get_by_role("tab").nth(4).click()
    graphiql.wait_for_operation("JumpToPage")
    assert shown_token(graphiql) == "Bearer fabrikam"
    graphiql.type_headers('{"X-Locale": "de", "authorization": "Bearer contoso"}')
    expect(contoso).to_have_attribute("aria-pressed", "true")
    sample.focus()
    graphiql.page.keyboard.press("Enter")
    assert json.loads(graphiql.headers()) == {"Authorization": "Bearer sample", "X-Locale": "de"}
    assert graphiql.run()["data"]["licenseDeployments"]["totalCount"] == 2
    graphiql.page.get_by_role("tab").nth(0).click()
    graphiql.wait_for_operation("SoldAndDeployed")
    assert shown_token(graphiql) == "Bearer sample"


def test_a_new_tab_starts_with_a_query_that_runs(graphiql: GraphiqlPage) -> None:
    """The new tab has the token of the other tabs."""
    graphiql.page.get_by_role("button", name="fabrikam", exact=True).click()
    graphiql.page.get_by_role("button", name="New tab").click()
    expect(graphiql.page.get_by_role("tab")).to_have_count(EXAMPLES + 1)
    assert graphiql.focused() == "Query"
    graphiql.wait_for_operation(None)
    assert shown_token(graphiql) == "Bearer fabrikam"
    assert graphiql.run()["data"]["licenseDeployments"]["totalCount"] == 250_000


def test_a_query_of_the_cookbook_replaces_the_query_of_a_new_tab(graphiql: GraphiqlPage) -> None:
    """The cookbook says: open a tab with +, select all (Ctrl-A), and paste the query."""
    graphiql.page.get_by_role("button", name="New tab").click()
    expect(graphiql.page.get_by_role("tab")).to_have_count(EXAMPLES + 1)
    graphiql.wait_for_operation(None)
    graphiql.page.keyboard.press("ControlOrMeta+a")
    graphiql.page.keyboard.insert_text("query Pasted { licenseDeployments { totalCount } }")
    graphiql.wait_for_operation("Pasted")
    assert graphiql.run()["data"] == {"licenseDeployments": {"totalCount": 12_000}}


@pytest.mark.parametrize("name", ["MostUnassigned", "FindCustomer", "CompareDates"])
def test_run_sends_the_operation_of_a_tab_that_was_just_chosen(graphiql: GraphiqlPage, name: str) -> None:
    """GraphiQL notices its name only a tenth of a second later."""
    script = """(tab, name) => {
      const editor = document.querySelector(".graphiql-query-editor .CodeMirror").CodeMirror;
      const run = () => editor.getValue().includes(`query ${name}`)
        ? document.querySelector(".builder-foot button").click()
        : setTimeout(run);
      (tab.querySelector("button") ?? tab).click();
      run();
    }"""

    def is_own(response: Response) -> bool:
        return f"query {name}" in ((response.request.post_data_json or {}).get("query") or "")

    with graphiql.page.expect_response(is_own) as waiting:
        graphiql.page.get_by_role("tab", name=name, exact=True).evaluate(script, name)
    assert waiting.value.status == 200
    assert waiting.value.json()["data"]
