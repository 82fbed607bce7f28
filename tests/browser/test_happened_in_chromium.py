"""One line below every answer says what happened; it counts the seconds of a wait, and until a retry."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, expect

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage

TAKEN = r"\d+ ms|\d+\.\d s"


def line(graphiql: GraphiqlPage) -> Locator:
    return graphiql.page.locator(".happened")


def use_token(graphiql: GraphiqlPage, token: str) -> None:
    graphiql.type_headers(json.dumps({"Authorization": f"Bearer {token}"}))


def press_run(graphiql: GraphiqlPage) -> None:
    graphiql.page.get_by_role("button", name=re.compile("^Execute query")).click()


def test_the_line_has_status_time_cache_calls_and_size(graphiql: GraphiqlPage) -> None:
    graphiql.open_example(3, "GroupByCustomer")
    expect(line(graphiql)).to_be_hidden()
    use_token(graphiql, "contoso+as=happened")
    graphiql.run()
    facts = line(graphiql).locator(".facts")
    expect(facts).to_have_text(
        re.compile(rf"^HTTP 200 · ({TAKEN}) · cache: miss · 1 upstream call, 2,061 rows read · \d+ kB$")
    )
    for view in ("Table", "Chart", "JSON"):
        graphiql.show(view)
        expect(facts).to_be_visible()
    with graphiql.page.expect_response("**/graphql"):
        graphiql.run()
    expect(facts).to_have_text(
        re.compile(rf"^HTTP 200 · ({TAKEN}) · cache: hit(, \d+ s old)? · no upstream call · \d+ kB$")
    )
    graphiql.screenshot("happened")


def test_the_correlation_id_can_be_copied(graphiql: GraphiqlPage) -> None:
    graphiql.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    with graphiql.page.expect_response("**/graphql") as waiting:
        press_run(graphiql)
    graphiql.result()
    line(graphiql).get_by_role("button", name="Copy correlation id").click()
    expect(line(graphiql).get_by_role("button", name="Copied")).to_be_visible()
    copied = graphiql.page.evaluate("() => navigator.clipboard.readText()")
    assert copied == waiting.value.header_value("ms-correlationid")


def test_a_wait_shows_its_seconds_and_can_be_canceled(graphiql: GraphiqlPage) -> None:
    use_token(graphiql, "contoso+latency=20+as=waits")
    press_run(graphiql)
    expect(line(graphiql)).to_contain_text("Waiting for 1 s")
    graphiql.screenshot("waiting")
    line(graphiql).get_by_role("button", name="Cancel").click()
    expect(graphiql.page.get_by_text("Press ▶ (or Ctrl-Enter), and the answer appears here.")).to_be_visible()
    expect(line(graphiql)).to_be_hidden()


def test_a_throttled_token_can_be_retried_after_its_pause(graphiql: GraphiqlPage) -> None:
    use_token(graphiql, "contoso+throttle=3+as=throttled")
    graphiql.run()
    expect(line(graphiql)).to_contain_text("HTTP 429")
    waiting = line(graphiql).get_by_role("button", name=re.compile(r"^Retry in \d s$"))
    expect(waiting).to_be_disabled()
    graphiql.screenshot("throttled")
    line(graphiql).get_by_role("button", name="Retry", exact=True).click()
    expect(line(graphiql)).to_contain_text("HTTP 200")
    expect(line(graphiql).get_by_role("button", name=re.compile("Retry"))).to_have_count(0)
    # Chromium's own line about the status.
    assert [complaint.partition(":")[0] for complaint in graphiql.complaints] == ["Failed to load resource"]
    graphiql.complaints.clear()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"Authorization"', "Nothing was sent. Headers are invalid JSON"),
        ("[]", "Nothing was sent. Headers are not a JSON object"),
    ],
)
def test_headers_that_are_no_json_object_are_named(graphiql: GraphiqlPage, text: str, said: str) -> None:
    graphiql.type_headers(text)
    press_run(graphiql)
    expect(graphiql.page.locator(".results .about")).to_contain_text(said)


def test_each_tab_has_its_line(graphiql: GraphiqlPage) -> None:
    graphiql.run()
    expect(line(graphiql)).to_contain_text("HTTP 200")
    graphiql.open_example(1, "NextPage")
    expect(line(graphiql)).to_be_hidden()
    graphiql.page.get_by_role("tab").nth(0).click()
    expect(line(graphiql)).to_contain_text("HTTP 200")


@pytest.mark.parametrize(
    ("headers", "facts"),
    [
        ({"Retry-After": "soon"}, r"HTTP 200 · {taken} · \d+ bytes"),
        ({"X-Cache": "stale", "Age": "200", "X-Upstream-Calls": "0"}, "cache: stale, 3 min old · no upstream call"),
        ({"X-Upstream-Calls": "2"}, r"2 upstream calls · \d+ bytes"),
        ({"X-Upstream-Calls": "1", "X-Rows-Read": "10000"}, "1 upstream call, 10,000 rows read"),
    ],
)
def test_only_known_facts_are_shown(graphiql: GraphiqlPage, headers: dict[str, str], facts: str) -> None:
    graphiql.page.route("**/graphql", lambda route: route.fulfill(json={"data": {}}, headers=headers))
    graphiql.run()
    expect(line(graphiql).locator(".facts")).to_have_text(re.compile(facts.format(taken=f"({TAKEN})")))
    expect(line(graphiql).get_by_role("button")).to_have_count(0)
