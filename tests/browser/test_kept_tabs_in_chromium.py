"""Edited tabs survive a reload: their text, and nothing else, in the session storage of real Chromium."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.browser.results import EXAMPLES, results

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage

QUERY = "query Mine($first: Int) { licenseDeployments(first: $first) { totalCount nodes { customerName } } }"
VARIABLES = '{"first": 3}'
NOTHING_ASKED = "Press ▶ (or Ctrl-Enter), and the answer appears here."


def reload(graphiql: GraphiqlPage) -> list[str]:
    """Reload the page; return the bodies of its requests until the schema has arrived."""
    sent: list[str] = []
    graphiql.page.on("request", lambda request: sent.append(request.post_data or ""))
    with graphiql.page.expect_response(lambda response: "IntrospectionQuery" in (response.request.post_data or "")):
        graphiql.page.reload()
    expect(graphiql.page.locator(".graphiql-editor-tool .CodeMirror")).to_have_count(2)
    return sent


def stored(graphiql: GraphiqlPage) -> str:
    return str(graphiql.page.evaluate("() => JSON.stringify({ ...sessionStorage })"))


def variables(graphiql: GraphiqlPage) -> str:
    editor = graphiql.page.locator(".graphiql-editor-tool .CodeMirror").first
    return str(editor.evaluate("element => element.CodeMirror.getValue()"))


def test_an_edited_tab_survives_a_reload_and_does_not_run(graphiql: GraphiqlPage) -> None:
    """It is the current one again, even if it was edited just before. Other tabs are there too."""
    graphiql.open_example(3, "GroupByCustomer")
    graphiql.type_variables(VARIABLES)
    graphiql.type_headers('{"Authorization": "Bearer contoso+as=secret0token"}')
    graphiql.run()
    graphiql.type_query(QUERY)
    sent = reload(graphiql)
    graphiql.wait_for_operation("Mine")
    assert (graphiql.query(), variables(graphiql)) == (QUERY, VARIABLES)
    expect(graphiql.page.get_by_role("tab", selected=True)).to_contain_text("Mine")
    expect(graphiql.page.get_by_role("tab")).to_have_count(EXAMPLES)
    expect(results(graphiql).get_by_text(NOTHING_ASKED)).to_be_visible()
    assert json.loads(graphiql.headers()) == {"Authorization": "Bearer contoso"}
    kept = stored(graphiql)
    assert "Mine" in kept
    assert "secret0token" not in kept
    assert "Topaz" not in kept
    assert not any("Mine" in body for body in sent)
    assert len(graphiql.run()["data"]["licenseDeployments"]["nodes"]) == 3


def test_new_and_closed_tabs_survive_a_reload(graphiql: GraphiqlPage) -> None:
    tabs = graphiql.page.get_by_role("tab")
    tabs.nth(0).get_by_role("button", name="Close Tab").click()
    expect(tabs).to_have_count(EXAMPLES - 1)
    graphiql.page.get_by_role("button", name="New tab").click()
    expect(tabs).to_have_count(EXAMPLES)
    graphiql.type_query("query Added { licenseDeployments { totalCount } }")
    graphiql.wait_for_operation("Added")
    reload(graphiql)
    graphiql.wait_for_operation("Added")
    expect(tabs.nth(EXAMPLES - 1)).to_contain_text("Added")
    expect(tabs.nth(0)).to_contain_text("NextPage")


def test_unedited_examples_are_not_kept(graphiql: GraphiqlPage) -> None:
    """The page opens on its answer again."""
    graphiql.open_example(3, "GroupByCustomer")
    graphiql.run()
    reload(graphiql)
    assert stored(graphiql) == "{}"
    expect(results(graphiql).locator(".totals")).to_contain_text("Total Sold")


@pytest.mark.parametrize(
    "token",
    [
        "eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0.c2ln",
        # As a terminal wraps it, and encrypted with a direct key.
        "eyJhbGciOiJu\nb25lIn0.eyJhdWQiOiJ4In0.c2ln",
        "eyJhbGciOiJkaXIifQ..iv.text.tag",
    ],
    ids=["one line", "wrapped", "encrypted"],
)
def test_a_tab_with_a_token_in_it_is_not_kept(graphiql: GraphiqlPage, token: str) -> None:
    """Somebody pasted it into the wrong editor."""
    graphiql.type_query(QUERY)
    # A new title moves the other tabs.
    expect(graphiql.page.get_by_role("tab").nth(0)).to_contain_text("Mine")
    graphiql.open_example(1, "NextPage")
    graphiql.type_variables(json.dumps({"after": token}))
    reload(graphiql)
    graphiql.wait_for_operation("Mine")
    assert token[:12] not in stored(graphiql)
    expect(graphiql.page.get_by_role("tab")).to_have_count(EXAMPLES - 1)


def test_odd_text_in_the_storage_opens_the_examples(graphiql: GraphiqlPage) -> None:
    for text in ("", "{", "[]", '{"tabs": [], "active": 0}', '{"tabs": [{}], "active": 5}', '{"tabs": 3}'):
        graphiql.page.goto("about:blank")
        graphiql.page.goto(f"{graphiql.url}/healthz")
        graphiql.page.evaluate("text => sessionStorage.setItem('graphiql:keptTabs', text)", text)
        graphiql.open()
        expect(graphiql.page.get_by_role("tab")).to_have_count(EXAMPLES)


def test_a_link_to_an_example_opens_its_tab(graphiql: GraphiqlPage) -> None:
    """It does not run by itself, and there is no second tab with the same text. The tab is in sight on a phone."""
    graphiql.open_example(9, "Totals")
    query = graphiql.query()
    graphiql.page.set_viewport_size({"width": 390, "height": 844})
    graphiql.page.goto("about:blank")
    graphiql.page.goto(f"{graphiql.url}/graphql#query={quote(query)}")
    expect(graphiql.page.locator(".graphiql-editor-tool .CodeMirror")).to_have_count(2)
    graphiql.wait_for_operation("Totals")
    expect(graphiql.page.get_by_role("tab")).to_have_count(EXAMPLES)
    expect(graphiql.page.get_by_role("tab").nth(9)).to_have_attribute("aria-selected", "true")
    expect(graphiql.page.get_by_role("tab").nth(9)).to_be_in_viewport(ratio=0.9)
    expect(results(graphiql).get_by_text(NOTHING_ASKED)).to_be_visible()


def test_a_link_opens_beside_edited_tabs(graphiql: GraphiqlPage) -> None:
    graphiql.type_query(QUERY)
    graphiql.page.goto("about:blank")
    graphiql.page.goto(f"{graphiql.url}/graphql#query={quote('query Linked { licenseDeployments { totalCount } }')}")
    expect(graphiql.page.locator(".graphiql-editor-tool .CodeMirror")).to_have_count(2)
    graphiql.wait_for_operation("Linked")
    expect(graphiql.page.get_by_role("tab")).to_have_count(EXAMPLES + 1)
    expect(graphiql.page.get_by_role("tab").nth(1)).to_contain_text("Mine")
