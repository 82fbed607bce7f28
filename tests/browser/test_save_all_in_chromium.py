"""All rows of a query are saved through the gateway's export, in real Chromium; a file that is not whole is no file."""

from __future__ import annotations

import csv
import io
import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.results import results, sold_to
from tests.gateway.sandbox.rows import rows_of

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage

MOST_UNASSIGNED = 6
EXPORTS = re.compile(r"/export/")
BOTH = 'filter: { channel: { eq: "direct" } }, groupBy: [CUSTOMER_TENANT_ID, CUSTOMER_NAME], search: $s'


@pytest.fixture(autouse=True)
def _without_picker(request: pytest.FixtureRequest) -> None:
    """Headless Chromium cannot show its dialog for files, so the browser downloads; one test has its own."""
    graphiql = request.getfixturevalue("graphiql")
    graphiql.page.evaluate("() => { delete window.showSaveFilePicker }")


def show_table_of(graphiql: GraphiqlPage, query: str, variables: str = "") -> None:
    graphiql.type_query(query)
    graphiql.type_variables(variables)
    with graphiql.page.expect_response("**/graphql"):
        graphiql.run()
    graphiql.show("Table")


def save(graphiql: GraphiqlPage, name: str) -> Locator:
    return results(graphiql).get_by_role("button", name=f"Save all {name}", exact=True)


def notice(graphiql: GraphiqlPage) -> Locator:
    return results(graphiql).locator(".notice")


def saved(graphiql: GraphiqlPage, name: str) -> tuple[str, bytes]:
    with graphiql.page.expect_download() as waiting:
        save(graphiql, name).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def test_all_rows_are_saved_as_csv(graphiql: GraphiqlPage) -> None:
    """The file has every row of the report, in order, and begins with the mark that Excel needs."""
    show_table_of(graphiql, "query Some { licenseDeployments(first: 5) { totalCount nodes { customerName } } }")
    graphiql.wait_for_operation("Some")
    graphiql.screenshot("save-all")
    name, content = saved(graphiql, "12,000 rows as CSV")
    assert name == "Some-all.csv"
    assert content.startswith(b"\xef\xbb\xbfserviceCode,")
    table = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), "")))
    assert [row["customerName"] for row in table] == [row["customerName"] or "" for row in rows_of("contoso")]
    assert sum(int(row["licensesSold"] or 0) for row in table) == sold_to("contoso")
    expect(notice(graphiql)).to_have_text("Saved 12,000 rows, with all columns of the report.")
    expect(results(graphiql).get_by_role("progressbar")).to_have_count(0)


def test_the_file_has_the_rows_of_the_operation(graphiql: GraphiqlPage) -> None:
    """Filter, groups, search, condition and order apply, also from variables; the page does not."""
    query = (
        "query ($s: String, $h: LicenseDeploymentHaving) { licenseDeployments("
        f"{BOTH}, having: $h, orderBy: [{{ field: LICENSES_SOLD, direction: DESC }}], first: 3)"
        " { totalCount nodes { customerName licensesSold } } }"
    )
    show_table_of(graphiql, query, '{"s": "software", "h": {"licensesSold": {"gte": 10}}}')
    total = graphiql.result()["data"]["licenseDeployments"]["totalCount"]
    shown = graphiql.result()["data"]["licenseDeployments"]["nodes"]
    with graphiql.page.expect_request(EXPORTS) as waiting:
        name, content = saved(graphiql, f"{total:,} rows as NDJSON")
    assert name == "licenseDeployments-all.ndjson"
    rows = [json.loads(line) for line in content.splitlines()]
    assert len(rows) == total > 3
    assert [(row["customerName"], row["licensesSold"]) for row in rows[:3]] == [tuple(row.values()) for row in shown]
    sold = [row["licensesSold"] for row in rows]
    assert sold == sorted(sold, reverse=True)
    assert min(sold) >= 10
    address = urlsplit(waiting.value.url)
    assert "contoso" not in address.query
    assert set(parse_qs(address.query)) == {"filter", "groupBy", "search", "having", "orderBy"}
    assert waiting.value.headers["authorization"] == "Bearer contoso"


def test_saving_shows_its_progress_and_can_be_canceled(graphiql: GraphiqlPage) -> None:
    """Nothing is saved then, and the gateway ends its work."""
    graphiql.type_headers('{"Authorization": "Bearer contoso+slow-page=10000:6+as=saved"}')
    show_table_of(graphiql, "{ licenseDeployments(first: 5) { totalCount nodes { customerName } } }")
    downloads: list[Any] = []
    graphiql.page.on("download", lambda download: downloads.append(download))
    save(graphiql, "12,000 rows as CSV").click()
    bar = results(graphiql).get_by_role("progressbar")
    expect(bar).to_be_visible()
    expect(save(graphiql, "12,000 rows as CSV")).to_have_count(0)
    # Compression holds back some of the first 10,000 rows.
    expect(results(graphiql).get_by_text(re.compile(r"^(9,\d{3}|10,000) of 12,000 rows$"))).to_be_visible()
    expect(bar).to_have_attribute("value", re.compile("^(9...|10000)$"))
    expect(bar).to_have_attribute("max", "12000")
    graphiql.screenshot("saving")
    results(graphiql).get_by_role("button", name="Cancel saving").click()
    expect(notice(graphiql)).to_have_text("Canceled. Nothing was saved.")
    expect(save(graphiql, "12,000 rows as CSV")).to_be_visible()
    assert downloads == []


ENDINGS: list[tuple[dict[str, Any], str]] = [
    (
        {"status": 429, "json": {"errors": [{"message": "Wait.", "extensions": {"code": "RATE_LIMITED"}}]}},
        "RATE_LIMITED: Wait. Nothing was saved.",
    ),
    (
        {"status": 502, "body": "<html>"},
        "Something between here and the gateway answered with HTTP 502. Nothing was saved.",
    ),
    (
        {"body": "a\r\n1\r\n", "headers": {"X-Total-Count": "12000"}},
        "The rows ended early, after 1 of 12,000. Try again. Nothing was saved.",
    ),
    (
        {"body": 'a\r\n"1\n2"\r\n3\r\n', "headers": {"X-Total-Count": "2"}},
        "Saved 2 rows, with all columns of the report.",
    ),
    (
        {"body": "a\r\n1\r\n", "headers": {"X-Total-Count": "1", "X-Warnings": "STALE_DATA"}},
        "Saved 1 row, with all columns of the report. The gateway warns: STALE_DATA.",
    ),
    ({"body": "a\r\n"}, "Saved 0 rows, with all columns of the report."),
]


def test_only_a_whole_file_is_saved(graphiql: GraphiqlPage) -> None:
    show_table_of(graphiql, "{ licenseDeployments(first: 5) { totalCount nodes { customerName } } }")
    downloads: list[Any] = []
    graphiql.page.on("download", lambda download: downloads.append(download))
    for answer, text in ENDINGS:
        downloads.clear()
        graphiql.page.route(EXPORTS, partial(fulfill, answer=answer))
        save(graphiql, "12,000 rows as CSV").click()
        expect(notice(graphiql)).to_have_text(text)
        graphiql.page.wait_for_timeout(100)
        assert len(downloads) == (1 if text.startswith("Saved") else 0)
    graphiql.complaints.clear()


def fulfill(route: Route, *, answer: dict[str, Any]) -> None:
    route.fulfill(**answer)


def test_a_broken_connection_saves_nothing(graphiql: GraphiqlPage) -> None:
    """The gateway breaks it after the first block, because the upstream fails there."""
    graphiql.type_headers('{"Authorization": "Bearer contoso+as=broken"}')
    show_table_of(graphiql, "{ licenseDeployments(first: 5) { totalCount nodes { customerName } } }")
    downloads: list[Any] = []
    graphiql.page.on("download", lambda download: downloads.append(download))

    def shorten(route: Route) -> None:
        route.continue_(headers=route.request.headers | {"authorization": "Bearer contoso+status-from=500:10000"})

    graphiql.page.route(EXPORTS, shorten)
    save(graphiql, "12,000 rows as CSV").click()
    expect(notice(graphiql)).to_contain_text("Nothing was saved.")
    assert downloads == []
    graphiql.complaints.clear()


PICKER = """() => {
  window.showSaveFilePicker = async ({ suggestedName }) => {
    const folder = await navigator.storage.getDirectory();
    return folder.getFileHandle(suggestedName, { create: true });
  };
}"""
FILES = """async () => {
  const folder = await navigator.storage.getDirectory();
  const files = {};
  for await (const [name, handle] of folder.entries()) files[name] = (await (await handle.getFile()).text()).length;
  return files;
}"""


def test_rows_are_written_to_a_chosen_file_if_the_browser_can(graphiql: GraphiqlPage) -> None:
    """The file handle is a real one, of the browser's own file system. A canceled file is removed."""
    graphiql.page.evaluate(PICKER)
    graphiql.type_headers('{"Authorization": "Bearer contoso+latency=1+as=picked"}')
    show_table_of(graphiql, "{ licenseDeployments(first: 5) { totalCount nodes { customerName } } }")
    save(graphiql, "12,000 rows as CSV").click()
    results(graphiql).get_by_role("button", name="Cancel saving").click()
    expect(notice(graphiql)).to_have_text("Canceled. Nothing was saved.")
    assert graphiql.page.evaluate(FILES) == {}
    save(graphiql, "12,000 rows as NDJSON").click()
    expect(notice(graphiql)).to_have_text("Saved 12,000 rows, with all columns of the report.")
    files = graphiql.page.evaluate(FILES)
    assert files["licenseDeployments-all.ndjson"] > 1_000_000
    graphiql.page.evaluate(
        "() => { window.showSaveFilePicker = async () => { throw new DOMException('', 'AbortError') } }"
    )
    save(graphiql, "12,000 rows as CSV").click()
    graphiql.page.wait_for_timeout(200)
    expect(results(graphiql).get_by_role("progressbar")).to_have_count(0)
    assert graphiql.page.evaluate(FILES) == files


def test_an_answer_with_all_rows_offers_none_to_save(graphiql: GraphiqlPage) -> None:
    """Its own CSV has them."""
    expect(results(graphiql).get_by_text("176 rows", exact=True)).to_be_visible()
    expect(results(graphiql).get_by_text("Save all")).to_have_count(0)
