"""The panel over the result pane as its user sees it, and responses to show in it."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import Locator, expect

from tests.gateway.sandbox.rows import rows_of

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage

SOLD: Final = "licensesSold"
DEPLOYED: Final = "licensesDeployed"
# The columns that the page adds to those two.
COMPUTED: Final = ("unassigned computed", "rate computed")
COMPUTED_OF_GROUPS: Final = ("sold − deployed computed", "rate computed")
# Its rows are single ones, not groups.
ROWS: Final = "{ licenseDeployments { nodes { productName } } }"
# Two products of one customer: 60 of 100 licenses deployed, and 25 of 20.
CANCELING: Final[dict[str, Any]] = {
    "customerName": "Both",
    SOLD: 120,
    DEPLOYED: 85,
    "licensesUnassigned": 40,
    "licensesOverdeployed": 5,
    "deploymentRate": 85 / 120,
}


# The number of tabs that the page opens with.
EXAMPLES = len(list((Path(__file__).parents[2] / "gateway/graphiql/examples").glob("*.graphql")))


def connection(*nodes: Any, **others: Any) -> dict[str, Any]:
    """Return a response with one connection."""
    return {"data": {"licenseDeployments": {"nodes": list(nodes), **others}}}


def product(name: str | None, sold: int | None, deployed: int | None) -> dict[str, Any]:
    return {"productName": name, SOLD: sold, DEPLOYED: deployed}


def sold_to(token: str) -> int:
    """Return all licenses that the sandbox has for a token."""
    return sum(int(row[SOLD] or 0) for row in rows_of(token))


def results(graphiql: GraphiqlPage) -> Locator:
    return graphiql.page.get_by_role("region", name="Views of the answer")


def drawn(graphiql: GraphiqlPage) -> Locator:
    """Wait for the table or chart, which appears shortly after the JSON."""
    room = graphiql.page.get_by_role("region", name=re.compile("^(Table|Chart) of "))
    expect(room).to_be_visible()
    return room


def column(graphiql: GraphiqlPage, number: int) -> list[str]:
    """Return the texts of one column of the table, from the top."""
    return drawn(graphiql).locator(f"tbody.rows td:nth-child({number})").all_inner_texts()


def bars(graphiql: GraphiqlPage) -> list[tuple[str, str]]:
    """Return the label and figures of each bar."""
    texts = drawn(graphiql).locator(".bars .bar-text").all()
    return [(text.locator("span").first.inner_text(), text.locator(".figures").inner_text()) for text in texts]


def headline(graphiql: GraphiqlPage) -> str:
    """Return the line above the chart, with the chosen measure at its end."""
    line = results(graphiql).locator(".headline")
    expect(line).to_be_visible()
    script = """line => line.firstChild.data + " " + line.querySelector("select").selectedOptions[0].text"""
    return str(line.evaluate(script))


def measures(graphiql: GraphiqlPage) -> Locator:
    return results(graphiql).get_by_role("combobox", name="Measure")


def widths(graphiql: GraphiqlPage) -> list[float]:
    """Return the widths of the bars in percent of the longest, group by group: sold, deployed."""
    widths = (
        drawn(graphiql)
        .locator(".bars :is(.sold, .deployed, .earlier, .later)")
        .evaluate_all("all => all.map(one => one.getBBox().width)")
    )
    return [round(100 * width / (max(widths) or 1)) for width in widths]


def segments(graphiql: GraphiqlPage) -> list[list[tuple[str, int, int]]]:
    """Return the segments of each bar: measure, start and width in percent of the scale."""
    script = """all => all.map(bar => [...bar.querySelectorAll("rect")].map(
        ({ className, x, width }) => [className.baseVal, x.baseVal, width.baseVal].map(
            value => value.valueInSpecifiedUnits ?? value)))"""
    drawn_bars = drawn(graphiql).locator(".bars li").evaluate_all(script)
    return [[(measure, round(start), round(width)) for measure, start, width in bar] for bar in drawn_bars]


def download(graphiql: GraphiqlPage) -> tuple[str, list[list[str]], bytes]:
    """Press CSV; return the file's name, its rows with the header, and its bytes."""
    with graphiql.page.expect_download() as waiting:
        graphiql.page.get_by_role("button", name="CSV", exact=True).click()
    content = Path(waiting.value.path()).read_bytes()
    return waiting.value.suggested_filename, list(csv.reader(io.StringIO(content.decode("utf-8-sig"), ""))), content


def copied(graphiql: GraphiqlPage, note: str = "first type TOKEN=contoso") -> str:
    graphiql.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    graphiql.page.get_by_role("button", name="Copy as curl").click()
    expect(results(graphiql).get_by_text(f"Copied. It takes the token from $TOKEN; {note}")).to_be_visible()
    return str(graphiql.page.evaluate("() => navigator.clipboard.readText()"))
