"""The line of totals above table and chart, in real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.results import DEPLOYED, SOLD, connection, product, results
from tests.gateway.sandbox.rows import rows_of

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage

TOTALS = 9


def lines(graphiql: GraphiqlPage) -> Locator:
    return results(graphiql).locator(".totals")


@pytest.mark.parametrize("view", ["Table", "Chart"])
def test_the_totals_of_the_query_are_above_table_and_chart(graphiql: GraphiqlPage, view: str) -> None:
    """They are those of the sandbox's rows. In JSON they are part of the text."""
    graphiql.open_example(TOTALS, "Totals")
    graphiql.show("JSON")
    graphiql.run()
    expect(lines(graphiql)).to_have_count(0)
    graphiql.show(view)
    pairs = [(int(row[SOLD] or 0), int(row[DEPLOYED] or 0)) for row in rows_of("contoso")]
    sold, deployed = (sum(numbers) for numbers in zip(*pairs, strict=True))
    unassigned, over = (sum(max(0, sign * (one - two)) for one, two in pairs) for sign in (1, -1))
    expect(lines(graphiql)).to_have_text(
        f"Total Sold {sold:,} · Deployed {deployed:,} · Unassigned {unassigned:,} · Over-deployed {over:,}"
        f" · Deployment {100 * deployed / sold:.0f}%"
    )
    expect(lines(graphiql)).to_be_in_viewport(ratio=1)
    above, below = lines(graphiql).bounding_box(), results(graphiql).locator(".results-room").bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] + above["height"] <= below["y"]
    graphiql.screenshot(f"totals-{view.lower()}")


def test_each_connection_with_totals_has_a_line(graphiql: GraphiqlPage) -> None:
    """The alias of the totals does not matter. Null is unknown; connections without totals have no line."""
    rows = {"nodes": [product("a", 4, 3)]}
    data = {
        "earlier": {"all": {SOLD: 4, DEPLOYED: 3, "deploymentRate": 0.75, "__typename": "T"}, **rows},
        "latest": {"totals": {"deploymentRate": None, SOLD: None}, **rows},
        "other": {"totals": None, **rows},
    }
    graphiql.answer_with({"data": data})
    graphiql.run()
    graphiql.show("Table")
    expect(lines(graphiql)).to_have_text(
        ["earlier Sold 4 · Deployed 3 · Deployment 75%", "latest Sold unknown · Deployment unknown"]
    )
    graphiql.answer_with(connection(product("a", 4, 3)))
    graphiql.run()
    expect(lines(graphiql)).to_have_count(0)


def test_totals_need_no_rows(graphiql: GraphiqlPage) -> None:
    graphiql.answer_with({"data": {"licenseDeployments": {"totals": {SOLD: 1234}}}})
    graphiql.run()
    graphiql.show("Chart")
    expect(lines(graphiql)).to_have_text("Total Sold 1,234")
    expect(results(graphiql).locator(".about").get_by_role("status")).to_have_text("No rows were asked for.")
