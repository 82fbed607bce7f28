"""A new user's question, answered in real Chromium by clicks alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.browser.builder import builder, chip, field, rerun
from tests.browser.results import bars, headline

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage

OCTOBER = "2026-10-02"
MAX_SECONDS = 180


def test_who_wastes_most_of_what_and_how_that_changed(graphiql: GraphiqlPage) -> None:
    """Which customer wastes most, of which product, and how did that change since October? Nothing is typed."""
    began = time.monotonic()
    chip(graphiql, "Group by", "Customer name").click()
    chip(graphiql, "Show", "Licenses unassigned").click()
    field(graphiql, "Order by").select_option("Licenses unassigned")
    builder(graphiql).get_by_role("button", name="Find earlier dates").click()
    chip(graphiql, "Date", OCTOBER).click()
    data = rerun(graphiql)
    worst = data["later"]["nodes"][0]
    names = ("productName", "customerName")
    [before] = [node for node in data["earlier"]["nodes"] if all(node[name] == worst[name] for name in names)]
    numbers = [node["licensesUnassigned"] for node in (before, worst)]
    change = f"{numbers[0]:,} → {numbers[1]:,} · +{numbers[1] - numbers[0]:,}"
    assert bars(graphiql)[0] == (" · ".join(worst[name] for name in names), change)
    assert headline(graphiql).endswith("by unassigned licenses")
    graphiql.screenshot("new-user")
    assert time.monotonic() - began < MAX_SECONDS
