"""The access token field, which the page has if the upstream is real, in real Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Chromium, running_gateway

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage

CANARY = "canary0token0that0must0not0stay"


@pytest.fixture(scope="module")
def real_chromium(chromium: Chromium) -> Iterator[Chromium]:
    """Chromium for a gateway whose upstream is not the sandbox. The upstream does not exist, and is never called."""
    with running_gateway("--upstream", "http://127.0.0.1:9") as url:
        yield chromium.at(url)


def sent_authorization(graphiql: GraphiqlPage) -> str | None:
    """Run the current operation against an intercepted response; return the Authorization header that was sent."""
    graphiql.answer_with({"data": {}})
    with graphiql.page.expect_request("**/graphql") as waiting:
        graphiql.run()
    return waiting.value.headers.get("authorization")


def test_a_token_in_the_field_applies_to_every_tab(real_chromium: Chromium) -> None:
    """ "Bearer" may precede the token. The field also shows the token of the Headers pane.

    An empty field sends no token.
    """
    with real_chromium.graphiql(viewport={"width": 1280, "height": 800}) as graphiql:
        graphiql.open()
        field = graphiql.page.get_by_label("Paste an access token")
        expect(field).to_have_value("")
        expect(field).to_have_css("-webkit-text-security", "disc")
        assert sent_authorization(graphiql) is None
        field.fill(f"Bearer {CANARY}")
        expect(field).to_have_value(CANARY)
        assert sent_authorization(graphiql) == f"Bearer {CANARY}"
        expect(graphiql.page.get_by_text(CANARY)).to_be_hidden()  # the Headers pane is closed
        graphiql.screenshot("token")
        graphiql.open_example(2, "FilterByProduct")
        expect(field).to_have_value(CANARY)
        assert sent_authorization(graphiql) == f"Bearer {CANARY}"
        graphiql.type_headers('{"Authorization": "Bearer other"}')
        expect(field).to_have_value("other")
        field.press("End")
        field.press_sequentially("s")
        expect(field).to_have_value("others")
        assert json.loads(graphiql.headers()) == {"Authorization": "Bearer others"}
        field.fill("")
        assert sent_authorization(graphiql) is None
        assert graphiql.complaints == []
        assert graphiql.outside_requests == []


def test_a_token_of_the_sandbox_can_be_typed_with_faults(graphiql: GraphiqlPage) -> None:
    """The field shows the chosen token, readable, and its button is pressed only without faults."""
    field, button = graphiql.page.get_by_label("Token with faults"), graphiql.page.get_by_role("button", name="contoso")
    expect(field).to_have_value("contoso")
    expect(field).to_have_css("-webkit-text-security", "none")
    expect(button).to_have_attribute("aria-pressed", "true")
    field.press("End")
    field.press_sequentially("+status=403")
    expect(button).to_have_attribute("aria-pressed", "false")
    assert [error["extensions"]["code"] for error in graphiql.run()["errors"]] == ["FORBIDDEN"]
    graphiql.screenshot("faults")
    graphiql.page.get_by_role("button", name="sample").click()
    expect(field).to_have_value("sample")
    with graphiql.page.expect_response("**/graphql"):
        assert "errors" not in graphiql.run()


def test_a_token_from_the_field_leaves_no_trace(real_chromium: Chromium, tmp_path: Path) -> None:
    """After sending and reloading, neither fields, storage nor the profile's files contain the token."""
    profile = tmp_path / "profile"
    with real_chromium.graphiql_in(profile) as graphiql:
        graphiql.open()
        field = graphiql.page.get_by_label("Paste an access token")
        field.fill(CANARY)
        assert sent_authorization(graphiql) == f"Bearer {CANARY}"
        # GraphiQL stores its tabs half a second after the last change; this outlasts it.
        graphiql.page.wait_for_timeout(1000)
        graphiql.page.unroute_all()
        graphiql.page.reload()
        expect(field).to_have_value("")
        assert CANARY not in graphiql.page.content() + json.dumps(graphiql.page.context.storage_state(indexed_db=True))
    assert [path for path in profile.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()] == []
