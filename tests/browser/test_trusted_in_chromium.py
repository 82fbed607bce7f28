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
