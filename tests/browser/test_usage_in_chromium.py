"""The measures of the usage dataset in table and chart, in real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.browser.results import bars, drawn, headline, measures, results, segments

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage


def usages(*counts: tuple[str, int, int], **others: Any) -> dict[str, Any]:
    """Return a response with active and qualified licenses by customer."""
    nodes = [
        {"customerName": name, "licensesActive": active, "licensesQualified": qualified}
        for name, active, qualified in counts
    ]
    return {"data": {"licenseUsages": {"nodes": nodes, **others}}}


def test_active_licenses_are_drawn_inside_qualified_ones(graphiql: GraphiqlPage) -> None:
    """Only the rate is computed: the dataset has no measure of unassigned licenses."""
    totals = {"licensesActive": 18, "licensesQualified": 20, "usageRate": 0.9}
    graphiql.answer_with(usages(("a", 4, 10), ("b", 14, 10), totalCount=2, totals=totals))
    graphiql.run()
    graphiql.show("Chart")
    texts = ["licenses qualified", "licenses active", "usage rate, computed"]
    assert measures(graphiql).locator("option").all_inner_texts() == texts
    measures(graphiql).select_option("licenses qualified")
    assert bars(graphiql) == [("a", "4 of 10 · 40%"), ("b", "14 of 10 · 140% · 4 beyond qualified")]
    expect(drawn(graphiql).locator(".legend").last).to_have_text("active beyond qualified")
    expect(results(graphiql).get_by_text("Total Qualified 20 · Active 18 · Usage 90%")).to_be_visible()


def test_a_usage_rate_has_bars_of_its_own(graphiql: GraphiqlPage) -> None:
    graphiql.answer_with(usages(("a", 4, 10), ("b", 5, 5), totalCount=2))
    graphiql.run()
    graphiql.show("Chart")
    measures(graphiql).select_option("usage rate, computed")
    assert headline(graphiql) == "2 rows by usage rate, computed"
    assert segments(graphiql) == [[("rate", 0, 100)], [("rate", 0, 40)]]
