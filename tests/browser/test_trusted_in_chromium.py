"""GraphiQL with trusted documents only, in real Chromium."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.conftest import running_gateway

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium

TRUSTED = "query Rows { licenseDeployments(first: 1) { totalCount } }"


def test_with_trusted_documents_the_page_has_no_examples_and_runs_trusted_ones(
    chromium: Chromium, tmp_path: Path
) -> None:
    """The page shows no examples, because they would not run. A verbatim trusted document runs, from a new tab too."""
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"rows": TRUSTED}), encoding="utf-8")
    with (
        running_gateway(GATEWAY_TRUSTED_DOCUMENTS=str(manifest)) as url,
        chromium.at(url).graphiql() as graphiql,
    ):
        graphiql.open()
        expect(graphiql.page.get_by_role("tab")).to_have_count(1)
        assert "Nothing but the operations of its manifest runs" in graphiql.query()
        expect(graphiql.page.get_by_role("alert")).to_contain_text("OPERATION_NOT_TRUSTED")
        graphiql.type_query(TRUSTED)
        graphiql.wait_for_operation("Rows")
        graphiql.run()
        expect(graphiql.page.locator(".result-window")).to_contain_text("12000")
        graphiql.page.get_by_role("button", name="New tab").click()
        expect(graphiql.page.get_by_role("tab")).to_have_count(2)
        assert "Nothing but the operations of its manifest runs" in graphiql.query()
        assert graphiql.outside_requests == []


def test_with_trusted_documents_the_page_sends_no_operation_of_its_own(chromium: Chromium, tmp_path: Path) -> None:
    """A request for the number of rows would be refused."""
    ordered = TRUSTED.replace("first: 1", "orderBy: [{field: LICENSES_SOLD}]")
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"ordered": ordered}), encoding="utf-8")
    with (
        running_gateway(GATEWAY_TRUSTED_DOCUMENTS=str(manifest)) as url,
        chromium.at(url).graphiql() as graphiql,
    ):
        graphiql.open()
        graphiql.type_headers('{"Authorization": "Bearer contoso+latency=1"}')
        graphiql.type_query(ordered)
        graphiql.wait_for_operation("Rows")
        sent: list[str] = []
        graphiql.page.on("request", lambda request: sent.append(request.post_data or ""))
        assert graphiql.run()["extensions"]["cost"]["upstreamCalls"] == 2
        assert [json.loads(body)["query"] for body in sent] == [ordered]
