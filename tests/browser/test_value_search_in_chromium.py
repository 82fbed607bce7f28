"""The builder finds all values of a dimension, not only the most frequent ones, in real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Route, expect

from gateway.views.text_key import text_key
from tests.browser.builder import builder, counts, field, open_filter
from tests.gateway.sandbox.rows import rows_of

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage

CUSTOMERS = {row["customerName"] for row in rows_of("contoso")}
PRODUCTS = {row["productName"] for row in rows_of("contoso")}
ALL = f"{len(CUSTOMERS):,} values"


def having(words: str, texts: set[Any]) -> set[str]:
    """Return the texts in which each word occurs, by the gateway's rule."""
    return {text for text in texts if text and all(word in text_key(text) for word in text_key(words).split())}


class Held:
    """Searches that are sent, and wait for ``release``."""

    def __init__(self, graphiql: GraphiqlPage) -> None:
        self._page, self._routes = graphiql.page, list[Route]()
        self._page.route("**/graphql", lambda route: self._routes.append(route))

    def wait_for(self, *words: str) -> None:
        """Wait until exactly these searches are sent."""
        while len(self._routes) < len(words):
            self._page.wait_for_timeout(20)
        bodies: list[Any] = [route.request.post_data_json for route in self._routes]
        assert [body["variables"]["search"] for body in bodies] == list(words)

    def release(self) -> None:
        """Let the last search be answered first."""
        for route in reversed(self._routes):
            route.continue_()


@pytest.mark.parametrize("typed", ["timber metals", "STRASSE sohne", "o'neill & SØN", "Straße"])
def test_values_beyond_the_most_frequent_ones_are_found(graphiql: GraphiqlPage, typed: str) -> None:
    """The gateway searches, because the page has only 1,000 of the values."""
    values = open_filter(graphiql, "Customer name")
    field(graphiql, "Find values of Customer name").fill(typed)
    expected = having(typed, CUSTOMERS)
    assert expected
    status = f"{len(expected)} of {ALL}, counted by licenses sold"
    expect(builder(graphiql).get_by_text(status, exact=True)).to_be_visible()
    assert {name for name, _ in counts(values)} == expected


def test_a_value_that_was_found_becomes_a_condition_once(graphiql: GraphiqlPage) -> None:
    values = open_filter(graphiql, "Customer name")
    field(graphiql, "Find values of Customer name").fill("timber metals")
    expect(builder(graphiql).get_by_text(f"of {ALL}, counted by")).to_be_visible()
    names = [name for name, _ in counts(values)]
    values.get_by_role("checkbox").first.check()
    assert [name for name, _ in counts(values)] == names
    assert names[0] in graphiql.query()


def test_the_page_says_that_no_value_fits_only_if_that_is_so(graphiql: GraphiqlPage) -> None:
    values = open_filter(graphiql, "Customer name")
    held = Held(graphiql)
    field(graphiql, "Find values of Customer name").fill("xyz")
    expect(builder(graphiql).get_by_text(f"Searching all {ALL} …")).to_be_visible()
    held.wait_for("xyz")
    held.release()
    expect(builder(graphiql).get_by_text(f"None of {ALL} contains “xyz”.")).to_be_visible()
    expect(values.get_by_role("listitem")).to_have_count(0)


def test_an_earlier_search_never_replaces_a_later_one(graphiql: GraphiqlPage) -> None:
    """The first response arrives last; a word is searched only once typing has paused."""
    values = open_filter(graphiql, "Customer name")
    held = Held(graphiql)
    find = field(graphiql, "Find values of Customer name")
    find.press_sequentially("laurel", delay=20)
    held.wait_for("laurel")
    find.fill("timber metals")
    held.wait_for("laurel", "timber metals")
    held.release()
    expect(builder(graphiql).get_by_text(f"of {ALL}, counted by")).to_be_visible()
    assert {name for name, _ in counts(values)} == having("timber metals", CUSTOMERS)


def test_a_failed_search_can_be_repeated(graphiql: GraphiqlPage) -> None:
    values = open_filter(graphiql, "Customer name")
    graphiql.answer_with({"errors": [{"message": "Try later.", "extensions": {"code": "UPSTREAM_TIMEOUT"}}]})
    field(graphiql, "Find values of Customer name").fill("timber metals")
    again = builder(graphiql).get_by_role("button", name="Search again")
    expect(again).to_be_visible()
    graphiql.page.unroute_all()
    again.click()
    expect(builder(graphiql).get_by_text(f"of {ALL}, counted by")).to_be_visible()
    assert {name for name, _ in counts(values)} == having("timber metals", CUSTOMERS)


@pytest.mark.parametrize("typed", ["Prémium", "ＢＵＳＩＮＥＳＳ", "e5 microsoft"])
def test_the_page_searches_a_short_list_itself_by_the_same_rule(graphiql: GraphiqlPage, typed: str) -> None:
    values = open_filter(graphiql, "Product name")
    sent: list[Any] = []
    graphiql.page.on("request", lambda request: sent.append(request))
    field(graphiql, "Find values of Product name").fill(typed)
    expected = having(typed, PRODUCTS)
    expect(values.get_by_role("listitem")).to_have_count(len(expected))
    assert {name for name, _ in counts(values)} == expected
    assert sent == []
