"""The layout of the builder's conditions on numbers, in real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.builder import field, section

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage


def test_the_name_of_a_condition_breaks_only_between_words(graphiql: GraphiqlPage) -> None:
    for label in ("Licenses unassigned", "Licenses overdeployed", "Deployment rate"):
        field(graphiql, "Add a number").select_option(label)
    rows = section(graphiql, "Keep rows with").locator(".builder-row")
    expect(rows).to_have_count(3)
    # A word is on one line if its text has one rectangle.
    script = """name => [...name.firstChild.data.matchAll(/\\S+/g)].map(({ 0: word, index }) => {
      const range = document.createRange();
      range.setStart(name.firstChild, index);
      range.setEnd(name.firstChild, index + word.length);
      return range.getClientRects().length;
    })"""
    for row in rows.all():
        assert set(row.locator(".row-name").evaluate(script)) == {1}
        assert row.evaluate("row => row.scrollWidth <= row.clientWidth")
    graphiql.screenshot("conditions")
