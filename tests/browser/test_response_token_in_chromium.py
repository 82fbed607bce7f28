"""A response to another token or operation than the current one, in real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import running_gateway
from tests.browser.results import connection, download, product, results
from tests.browser.test_graphiql_in_chromium import ONE_CALL

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium, GraphiqlPage


def mark(graphiql: GraphiqlPage) -> Locator:
    return results(graphiql).locator(".outdated").and_(graphiql.page.get_by_role("status"))


@pytest.mark.parametrize("view", ["JSON", "Table", "Chart"])
def test_a_changed_token_marks_the_earlier_response(graphiql: GraphiqlPage, view: str) -> None:
    """The mark appears at once in every view. Choosing the earlier token or running the operation removes it."""
    graphiql.type_query(ONE_CALL)
    graphiql.run()
    graphiql.show(view)
    expect(mark(graphiql)).to_be_empty()
    graphiql.page.get_by_role("button", name="fabrikam").click()
    expect(mark(graphiql)).to_have_text("This is contoso's answer. Run the operation to ask as fabrikam.")
    shown = graphiql.page.locator(".result-window" if view == "JSON" else ".results-room")
    expect(shown).to_have_css("filter", "grayscale(1)")
    graphiql.screenshot(f"outdated-{view.lower()}")
    graphiql.page.get_by_role("button", name="contoso").click()
    expect(mark(graphiql)).to_be_empty()
    graphiql.page.get_by_role("button", name="fabrikam").click()
    graphiql.run()
    expect(mark(graphiql)).to_be_empty()
    expect(shown).to_have_css("filter", "none")


def test_a_changed_operation_marks_the_earlier_response(graphiql: GraphiqlPage) -> None:
    """White space and comments change nothing. Before the first run, there is nothing to mark."""
    graphiql.page.get_by_role("button", name="New tab").click()
    graphiql.type_query(ONE_CALL)
    expect(mark(graphiql)).to_be_empty()
    graphiql.wait_for_operation("SoldAndDeployed")
    graphiql.run()
    graphiql.show("Chart")
    graphiql.type_query(f"# A comment\n\n{ONE_CALL}  ")
    expect(mark(graphiql)).to_be_empty()
    graphiql.type_query(ONE_CALL.replace("{", "{ kind: __typename", 1))
    expect(mark(graphiql)).to_have_text("The operation has changed. Press Run.")
    # Set, because typing it would open a list of completions over the editor.
    editor = graphiql.page.locator(".graphiql-query-editor .CodeMirror")
    editor.evaluate("(element, text) => element.CodeMirror.setValue(text)", '{ "unfinished')
    expect(mark(graphiql)).to_have_text("The operation has changed. Press Run.")
    graphiql.type_query(ONE_CALL)
    expect(mark(graphiql)).to_be_empty()
    graphiql.type_variables('{"a": 1}')
    expect(mark(graphiql)).to_have_text("The variables have changed. Press Run.")
    graphiql.run()
    expect(mark(graphiql)).to_be_empty()


def test_each_tab_shows_which_token_its_response_belongs_to(graphiql: GraphiqlPage) -> None:
    """The file contains the rows that are shown."""
    graphiql.run()
    graphiql.open_example(4, "JumpToPage")
    graphiql.page.get_by_role("button", name="sample").click()
    expect(mark(graphiql)).to_be_empty()
    graphiql.run()
    graphiql.open_example(0, "SoldAndDeployed")
    expect(mark(graphiql)).to_have_text("This is contoso's answer. Run the operation to ask as sample.")
    graphiql.show("Table")
    assert len(download(graphiql)[1]) == 177
    graphiql.type_headers("{}")
    expect(mark(graphiql)).to_have_text("This is contoso's answer. Run the operation again.")


def test_a_pasted_token_is_never_named(chromium: Chromium) -> None:
    with (
        running_gateway("--upstream", "http://127.0.0.1:9") as url,
        chromium.at(url).graphiql() as graphiql,
    ):
        graphiql.open()
        graphiql.answer_with(connection(product("a", 1, 1)))
        field = graphiql.page.get_by_label("Paste an access token")
        field.fill("first0token")
        graphiql.run()
        expect(mark(graphiql)).to_be_empty()
        for other in ("second0token", ""):
            field.fill(other)
            expect(mark(graphiql)).to_have_text("This answer was asked with another token. Run the operation again.")
        graphiql.run()
        field.fill("third0token")
        expect(mark(graphiql)).to_have_text("This answer was asked without a token. Run the operation again.")
