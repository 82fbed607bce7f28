"""GraphiQL behind proxies, in real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import HOST, running_gateway
from tests.browser.results import sold_to
from tests.browser.test_graphiql_in_chromium import sold
from tests.proxy_servers import nginx_server

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium

# A browser compares addresses itself only over https and for loopback. This name leads to loopback and is neither.
NAME = "gateway.example"

SIGN_IN = 'if ($cookie_session != "good") { return 302 https://login.example/; }'


@pytest.fixture(scope="module")
def intranet(chromium: Chromium) -> Iterator[Page]:
    """A page of a browser to which ``gateway.example`` is loopback."""
    with chromium.resolving(f"MAP {NAME} {HOST}") as page:
        yield page


def by_name(url: str) -> str:
    return url.replace(HOST, NAME)


def test_it_opens_behind_nginx_with_default_settings(chromium: Chromium, gateway_url: str, tmp_path: Path) -> None:
    """nginx sends the gateway's address as Host."""
    with nginx_server(tmp_path, gateway_url) as proxy, chromium.at(proxy).graphiql() as graphiql:
        graphiql.open()
        assert sold(graphiql.run()) == sold_to("contoso")
        assert graphiql.complaints == []


def test_it_shows_an_error_if_its_scripts_are_refused(intranet: Page, gateway_url: str, tmp_path: Path) -> None:
    """Over plain http the browser does not say that the page is the gateway's own."""
    with nginx_server(tmp_path, gateway_url) as proxy:
        intranet.goto(by_name(f"{proxy}/graphql"))
        alert = intranet.get_by_role("alert")
        expect(alert).to_contain_text("GraphiQL cannot start")
        expect(alert).to_contain_text("main.js did not arrive")
        expect(alert).to_contain_text("docs/proxies.md")


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
def test_it_opens_over_http_if_the_proxy_sends_the_host(intranet: Page, tmp_path: Path, header: str) -> None:
    with (
        running_gateway(GATEWAY_TRUSTED_PROXIES="127.0.0.0/8") as url,
        nginx_server(tmp_path, url, f"proxy_set_header {header} $http_host;") as proxy,
    ):
        with intranet.expect_response(lambda response: response.request.method == "POST") as schema:
            intranet.goto(by_name(f"{proxy}/graphql"))
        assert schema.value.status == 200
        expect(intranet.locator(".graphiql-query-editor .CodeMirror")).to_be_visible()


def test_it_says_that_no_script_arrives_at_all(chromium: Chromium, gateway_url: str, tmp_path: Path) -> None:
    """The second line needs no script. It appears after ten seconds, which the test skips."""
    blocking = "} location /graphiql/ { return 403;"
    with nginx_server(tmp_path, gateway_url, blocking) as proxy, chromium.at(proxy).graphiql() as graphiql:
        graphiql.page.goto(f"{proxy}/graphql")
        late = graphiql.page.get_by_text("withholds the scripts of this page")
        expect(late).to_be_hidden()
        graphiql.page.evaluate("document.getAnimations().forEach(animation => animation.finish())")
        expect(late).to_be_visible()


def test_a_missing_icon_or_style_is_no_error(chromium: Chromium, gateway_url: str, tmp_path: Path) -> None:
    blocking = "} location ~ (svg|results.css)$ { return 403;"
    with nginx_server(tmp_path, gateway_url, blocking) as proxy, chromium.at(proxy).graphiql() as graphiql:
        graphiql.open()
        expect(graphiql.page.get_by_text("cannot start")).to_have_count(0)


def test_behind_a_sign_in_proxy_it_sends_the_cookie_and_names_the_redirect(
    chromium: Chromium, gateway_url: str, tmp_path: Path
) -> None:
    """The proxy redirects every request without its cookie to another site."""
    with nginx_server(tmp_path, gateway_url, SIGN_IN) as proxy, chromium.at(proxy).graphiql() as graphiql:
        context = graphiql.page.context
        context.add_cookies([{"name": "session", "value": "good", "url": proxy}])
        graphiql.open()
        expect(graphiql.page.get_by_role("tab")).not_to_have_count(1)  # the examples arrived
        assert sold(graphiql.run()) == sold_to("contoso")
        context.clear_cookies()
        graphiql.page.get_by_role("button", name="Execute query").click()
        expect(graphiql.page.locator(".result-window")).to_contain_text("Something in between redirected")
        assert graphiql.outside_requests == []
