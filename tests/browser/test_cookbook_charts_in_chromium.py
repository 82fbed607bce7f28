"""The cookbook's questions, asked in GraphiQL: each answer makes the chart that the cookbook shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SCREENSHOTS
from tests.browser.results import bars, results

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage

COOKBOOK = Path(__file__).parents[2] / "docs" / "cookbook.md"

# The pictures by their names, with the first words of the paragraph above each query.
PICTURES = {
    "most-unassigned": "**Order: ",
    "find-customer": "**Search: ",
    "deployment-below-40": "**Having: ",
    "tenants-below-40": "**Adoption: ",
    "totals": "**Totals** ",
    "without-noise": "**Without the noise: ",
}


def query_below(start: str) -> str:
    """Return the first query below the paragraph that begins with ``start``."""
    text = COOKBOOK.read_text(encoding="utf-8")
    found = re.search(r"^```graphql contoso\n(.*?)^```$", text[text.index(f"\n{start}") :], re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("name", PICTURES)
def test_each_question_of_the_cookbook_makes_its_chart(graphiql: GraphiqlPage, name: str) -> None:
    graphiql.page.set_viewport_size({"width": 1_280, "height": 640})
    query = query_below(PICTURES[name])
    graphiql.type_query(query)
    operation = re.match(r"query (\w+)", query)
    graphiql.wait_for_operation(operation[1] if operation else None)
    (answer,) = graphiql.run()["data"].values()
    graphiql.show("Chart")
    if "nodes" in answer:
        assert len(bars(graphiql)) == len(answer["nodes"])
    if "totals" in answer:
        total = next(value for key, value in answer["totals"].items() if key.startswith("licenses"))
        expect(results(graphiql).get_by_text(f"{total:,}").first).to_be_visible()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    graphiql.page.locator(".graphiql-response").screenshot(path=SCREENSHOTS / f"cookbook-{name}.png")
    assert f"(charts/{name}.png)" in COOKBOOK.read_text(encoding="utf-8")
    assert (COOKBOOK.parent / "charts" / f"{name}.png").exists()
