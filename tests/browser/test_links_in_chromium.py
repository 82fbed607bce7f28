"""A link opens the page with an operation and its variables, and has nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.results import results

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium, GraphiqlPage

QUERY = "query Shared($first: Int) { licenseDeployments(first: $first) { nodes { customerName } } } # + & % \N{SNOWMAN}"
VARIABLES = '{"first": 3}'


def copied_link(graphiql: GraphiqlPage) -> str:
    graphiql.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    graphiql.page.get_by_role("button", name="Copy link").click()
    expect(results(graphiql).get_by_text("Copied a link to the operation and its variables.")).to_be_visible()
    return str(graphiql.page.evaluate("() => navigator.clipboard.readText()"))


def test_a_link_opens_the_operation_in_the_first_tab(graphiql: GraphiqlPage, chromium: Chromium) -> None:
    graphiql.type_query(QUERY)
    graphiql.type_variables(VARIABLES)
    graphiql.type_headers(json.dumps({"Authorization": "Bearer secret-token"}))
    link = copied_link(graphiql)
    parts = urlsplit(link)
    assert (parts.query, parse_qs(parts.fragment)) == ("", {"query": [QUERY], "variables": [VARIABLES]})
    with chromium.graphiql(viewport={"width": 1280, "height": 800}) as other:
        sent = []
        other.page.on("request", lambda request: sent.append(request.post_data or request.url))
        other.page.goto(link)
        expect(other.page.locator(".graphiql-query-editor .CodeMirror")).to_be_visible()
        expect(other.page.locator(".graphiql-editor-tool .CodeMirror")).to_have_count(2)
        other.wait_for_operation("Shared")
        variables = other.page.locator(".graphiql-editor-tool .CodeMirror").first
        assert variables.evaluate("element => element.CodeMirror.getValue()") == VARIABLES
        assert other.query() == QUERY
        expect(other.page.get_by_role("tab").first).to_have_attribute("aria-selected", "true")
        expect(other.page.get_by_role("tab", name="SoldAndDeployed")).to_be_visible()
        assert urlsplit(other.page.url).fragment == ""
        # Nothing runs before the user wants it.
        assert not any("Shared" in text for text in sent)
        assert len(other.run()["data"]["licenseDeployments"]["nodes"]) == 3


@pytest.mark.parametrize("fragment", ["", "#", "#query=", "#variables=%7B%7D", "#%", "#query"])
def test_another_fragment_opens_the_examples(graphiql: GraphiqlPage, fragment: str) -> None:
    graphiql.page.goto("about:blank")
    graphiql.page.goto(f"{graphiql.url}/graphql{fragment}")
    expect(graphiql.page.locator(".graphiql-query-editor .CodeMirror")).to_be_visible()
    graphiql.wait_for_operation("SoldAndDeployed")


def test_a_link_without_variables_has_only_the_operation(graphiql: GraphiqlPage) -> None:
    graphiql.type_query("{ licenseDeployments { totalCount } }")
    assert parse_qs(urlsplit(copied_link(graphiql)).fragment) == {"query": ["{ licenseDeployments { totalCount } }"]}
