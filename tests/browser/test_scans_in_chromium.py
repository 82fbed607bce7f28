"""The page shows the cost of operations that need all rows, and their progress when time runs out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, Response, expect

from tests.browser.conftest import running_gateway
from tests.browser.results import connection, product, results

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium, GraphiqlPage

MOST_UNASSIGNED = 6
ORDER = "[{ field: LICENSES_SOLD }]"
ROWS = "offset: 9999 first: 1) { totalCount } }"


def status(graphiql: GraphiqlPage) -> Locator:
    return results(graphiql).locator(".about").get_by_role("status")


def use_token(graphiql: GraphiqlPage, token: str) -> None:
    graphiql.type_headers(json.dumps({"Authorization": f"Bearer {token}"}))


def press_run(graphiql: GraphiqlPage) -> None:
    graphiql.page.get_by_role("button", name=re.compile("^Execute query")).click()


def responses(graphiql: GraphiqlPage) -> list[Response]:
    """Return a list that gets each response of the endpoint from now on."""
    received: list[Response] = []
    graphiql.page.on("response", lambda response: received.append(response) if response.request.post_data else None)
    return received


def test_a_cold_scan_shows_its_cost(graphiql: GraphiqlPage) -> None:
    """While it runs, the page knows rows and calls, and has made no call to learn them. A warm view shows no cost."""
    graphiql.open_example(MOST_UNASSIGNED, "MostUnassigned")
    use_token(graphiql, "contoso+latency=2")
    received = responses(graphiql)
    press_run(graphiql)
    expect(status(graphiql)).to_have_text(
        "Waiting for the answer … It needs all rows of the query: about 12,000 rows, up to 2 calls."
    )
    graphiql.screenshot("scan")
    graphiql.result()
    expect(status(graphiql)).to_have_text("20 of 2,061 rows · 12,000 rows read in 2 calls")
    counting, own = received
    assert counting.header_value("x-upstream-calls") == "0"
    assert own.header_value("x-upstream-calls") == "2"
    with graphiql.page.expect_response("**/graphql"):
        graphiql.run()
    expect(status(graphiql)).to_have_text("20 of 2,061 rows")
    assert len(received) == 3


def test_an_ordinary_query_asks_for_nothing_else(graphiql: GraphiqlPage) -> None:
    """Neither does an order of so few rows that the answer comes at once."""
    graphiql.open_example(1, "NextPage")
    received = responses(graphiql)
    use_token(graphiql, "contoso+latency=2")
    answer = graphiql.run()
    assert len(received) == 1
    assert "extensions" not in answer
    expect(status(graphiql)).to_have_text("5 of 12,000 rows")
    graphiql.open_example(MOST_UNASSIGNED, "MostUnassigned")
    use_token(graphiql, "sample")
    with graphiql.page.expect_response("**/graphql"):
        assert "cost" in graphiql.run()["extensions"]
    graphiql.page.wait_for_timeout(1000)  # longer than the page waits before it asks
    assert len(received) == 2


def test_stopping_a_scan_ends_its_note(graphiql: GraphiqlPage) -> None:
    graphiql.open_example(MOST_UNASSIGNED, "MostUnassigned")
    use_token(graphiql, "contoso+latency=2+as=stopped")
    press_run(graphiql)
    expect(status(graphiql)).to_contain_text("about 12,000 rows")
    graphiql.page.get_by_role("button", name="Stop query").click()
    expect(status(graphiql)).to_have_text("Press ▶ (or Ctrl-Enter), and the answer appears here.")


def test_a_scan_that_runs_out_of_time_shows_its_progress(chromium: Chromium) -> None:
    """Running it again goes on."""
    with (
        running_gateway(GATEWAY_OPERATION_TIMEOUT_SECONDS="3") as url,
        chromium.at(url).graphiql(viewport={"width": 1280, "height": 800}) as graphiql,
    ):
        graphiql.open()
        graphiql.open_example(MOST_UNASSIGNED, "MostUnassigned")
        use_token(graphiql, "contoso+latency=2")
        graphiql.run()
        expect(graphiql.page.get_by_role("alert")).to_have_text(
            "DEADLINE_EXCEEDED Time ran out: 10,000 of about 12,000 rows read; run it again to go on."
        )
        graphiql.show("Chart")
        graphiql.screenshot("progress")
        graphiql.show("JSON")
        with graphiql.page.expect_response("**/graphql"):
            graphiql.run()
        expect(status(graphiql)).to_contain_text("20 of 2,061 rows")


def test_progress_may_have_no_total(graphiql: GraphiqlPage) -> None:
    """Other errors at the deadline keep their message."""
    for progress, text in (
        ({"rowsRead": 120_000, "rowsTotal": 250_000}, "120,000 of about 250,000 rows read"),
        ({"rowsRead": 120_000, "rowsTotal": None}, "120,000 rows read"),
    ):
        extensions = {"code": "DEADLINE_EXCEEDED", "progress": progress}
        graphiql.answer_with({"data": None, "errors": [{"message": "Late.", "extensions": extensions}]})
        graphiql.run()
        expect(graphiql.page.get_by_role("alert")).to_have_text(
            f"DEADLINE_EXCEEDED Time ran out: {text}; run it again to go on."
        )
    graphiql.answer_with({"errors": [{"message": "Late.", "extensions": {"code": "DEADLINE_EXCEEDED"}}]})
    graphiql.run()
    expect(graphiql.page.get_by_role("alert")).to_have_text("DEADLINE_EXCEEDED Late.")


def test_a_cost_is_shown_beside_the_rows(graphiql: GraphiqlPage) -> None:
    cost = {"upstreamCalls": 1, "rowsRead": 1, "cache": "miss"}
    graphiql.answer_with(connection(product("a", 1, 1)) | {"extensions": {"cost": cost}})
    graphiql.run()
    expect(status(graphiql)).to_have_text("1 row · 1 row read in 1 call")
    graphiql.answer_with(connection(product("a", 1, 1)) | {"extensions": {"cost": cost | {"upstreamCalls": 0}}})
    graphiql.run()
    expect(status(graphiql)).to_have_text("1 row")


SEARCH = (
    'query A($f: LicenseDeploymentFilter, $s: String = "x") {'
    " licenseDeployments(filter: $f, search: $s) { totalCount } }"
)
# Each operation, its variables, and the query for the number of rows that it needs; None if it needs a page alone.
OPERATIONS: list[tuple[str, dict[str, Any], str | None]] = [
    ("{ licenseDeployments(first: 3) { nodes { licensesUnassigned } } }", {}, None),
    ("{ licenseDeployments { totals { licensesSold deploymentRate } } }", {}, None),
    ('{ licenseDeployments(search: " ", having: {}, orderBy: []) { totalCount } }', {}, None),
    ("{ licenseDeployments(search: null, having: null, orderBy: null) { totalCount } }", {}, None),
    (
        f'{{ licenseDeployments(groupBy: [CHANNEL], after: "x", orderBy: {ORDER}) {{ totalCount }} }}',
        {},
        f"query {{ rows0: licenseDeployments(groupBy: [CHANNEL] {ROWS}",
    ),
    (
        "{ licenseDeployments(groupBy: CHANNEL) { nodes { unused: licensesUnassigned } } }",
        {},
        f"query {{ rows0: licenseDeployments({ROWS}",
    ),
    (
        "{ licenseDeployments(groupBy: [CHANNEL]) { totals { licensesOverdeployed } } }",
        {},
        f"query {{ rows0: licenseDeployments({ROWS}",
    ),
    (
        "{ licenseDeployments(groupBy: [CHANNEL], having: {not: {licensesUnassigned: {gt: 1}}}) { totalCount } }",
        {},
        f"query {{ rows0: licenseDeployments({ROWS}",
    ),
    (
        SEARCH,
        {"f": {"channel": {"eq": "direct"}}},
        f"query ($f: LicenseDeploymentFilter) {{ rows0: licenseDeployments(filter: $f {ROWS}",
    ),
    (
        SEARCH,
        {"s": None},
        None,
    ),
    (
        "query A($no: Boolean!) {"
        " licenseDeployments(groupBy: [CHANNEL]) { nodes { licensesUnassigned @skip(if: $no) } } }",
        {"no": True},
        None,
    ),
    (
        "query A {"
        " licenseDeployments(groupBy: [CHANNEL]) { ...T } licenseDeployments(groupBy: [CHANNEL]) { totalCount } }"
        " fragment T on LicenseDeploymentConnection { edges { node { ... { licensesUnassigned } } } }",
        {},
        f"query {{ rows0: licenseDeployments({ROWS}",
    ),
    ("query A { ...F } fragment F on Query { ...F }", {}, None),
    (
        "{ licenseDeployments(groupBy: [CHANNEL]) { ...F } }"
        " fragment F on LicenseDeploymentConnection { nodes { ...F } edges { ...F } }",
        {},
        None,
    ),
    ("{ licenseDeployments(", {}, None),
]


def test_the_page_knows_which_operations_need_all_rows(graphiql: GraphiqlPage) -> None:
    """The rule is the gateway's: see schema/answers.py. Equal queries count once."""
    script = """async ({ query, variables }) => {
      const base = document.querySelector("script[type=module]").src;
      const { readOperation, countingOperation } = await import(new URL("operation.js", base));
      const { scans, definitions } = readOperation({ query, variables });
      return scans.length === 0 ? null : countingOperation({ scans, definitions }, variables, 10000);
    }"""
    for query, variables, expected in OPERATIONS:
        counting = graphiql.page.evaluate(script, {"query": query, "variables": variables})
        assert (counting and counting["query"]) == expected, query
    ordered, found = (f"licenseDeployments({part}) {{ totalCount }}" for part in (f"orderBy: {ORDER}", 'search: "x"'))
    counting = graphiql.page.evaluate(script, {"query": f"{{ a: {ordered} b: {found} }}", "variables": {}})
    assert counting == {"query": f"query {{ rows0: licenseDeployments({ROWS}", "variables": {}}


@pytest.mark.parametrize("needs_all", [True, False])
def test_the_copied_command_asks_for_the_cost_too(graphiql: GraphiqlPage, needs_all: bool) -> None:
    order = f"orderBy: {ORDER}" if needs_all else "first: 1"
    graphiql.type_query(f"{{ licenseDeployments({order}) {{ totalCount }} }}")
    graphiql.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    graphiql.page.get_by_role("button", name="Copy as curl").click()
    expect(results(graphiql).get_by_text("Copied.")).to_be_visible()
    command = graphiql.page.evaluate("() => navigator.clipboard.readText()")
    assert ('"extensions":{"cost":true}' in command) is needs_all
