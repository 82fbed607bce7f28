"""The page opens on an answer; with a real upstream it says what it needs, and what the token says about itself."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import running_gateway
from tests.browser.results import bars, headline, results

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium, GraphiqlPage

UPSTREAM = "127.0.0.1:9"
GOOD = {
    "aud": "https://api.partnercenter.microsoft.com",
    "scp": "user_impersonation",
    "amr": ["pwd", "mfa"],
    "ver": "1.0",
}
REFUSED = "Partner Center will refuse this token. "
# Added to the current time in seconds.
LATER = 52 * 60 + 30


@pytest.fixture(scope="module")
def real(chromium: Chromium) -> Iterator[Chromium]:
    """Chromium for a gateway whose upstream is not the sandbox, and does not exist."""
    with running_gateway("--upstream", f"http://{UPSTREAM}") as url:
        yield chromium.at(url)


def jwt(claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{body}.c2ln"


def test_the_sandbox_opens_on_a_chart_under_a_line_of_totals(graphiql: GraphiqlPage) -> None:
    """Nothing was clicked. The figures are the sandbox's."""
    expect(results(graphiql).locator(".totals")).to_have_text(
        "Total Sold 1,369,832 · Deployed 1,015,157 · Unassigned 371,136 · Deployment 74%"
    )
    assert headline(graphiql) == "Top 20 of 176 by licenses sold"
    assert bars(graphiql)[0] == ("MICROSOFT 365 BUSINESS STANDARD", "70,332 of 130,703 · 53.8%")
    expect(graphiql.page.get_by_role("button", name="Chart", exact=True)).to_have_attribute("aria-pressed", "true")
    graphiql.screenshot("first-view")


@pytest.mark.parametrize(
    ("name", "options"), [("dark", {"color_scheme": "dark"}), ("phone", {"viewport": {"width": 390, "height": 844}})]
)
def test_the_first_bars_are_visible_at_once(chromium: Chromium, name: str, options: dict[str, Any]) -> None:
    with chromium.graphiql(**options) as graphiql:
        graphiql.open()
        for number in range(2):
            expect(results(graphiql).locator(".bars li").nth(number)).to_be_in_viewport(ratio=1)
        graphiql.screenshot(f"first-view-{name}")


def test_a_slow_first_answer_is_awaited_visibly_and_can_be_canceled(chromium: Chromium) -> None:
    """Canceling leaves the page usable."""
    with chromium.graphiql(viewport={"width": 1280, "height": 800}) as graphiql:
        waiting: list[Route] = []

        def hold(route: Route) -> None:
            if "SoldAndDeployed" in (route.request.post_data or ""):
                waiting.append(route)
            else:
                route.continue_()

        graphiql.page.route("**/graphql", hold)
        graphiql.page.goto(f"{graphiql.url}/graphql")
        expect(graphiql.page.locator(".happened")).to_contain_text("Waiting for 1 s")
        expect(results(graphiql).get_by_text("Waiting for the answer …")).to_be_visible()
        expect(results(graphiql).locator(".awaited")).to_be_in_viewport(ratio=1)
        graphiql.screenshot("first-view-waiting")
        graphiql.page.get_by_role("button", name="Cancel").click()
        expect(results(graphiql).get_by_text("Press ▶ (or Ctrl-Enter), and the answer appears here.")).to_be_visible()
        assert len(waiting) == 1
        graphiql.page.unroute_all()
        assert "errors" not in graphiql.run()
        assert graphiql.complaints == []


def sent_bodies(graphiql: GraphiqlPage) -> list[str]:
    sent: list[str] = []
    graphiql.page.on("request", lambda request: sent.append(request.post_data or ""))
    return sent


def test_a_real_upstream_is_named_and_nothing_runs_without_a_token(real: Chromium) -> None:
    with real.graphiql(viewport={"width": 1280, "height": 800}) as graphiql:
        sent = sent_bodies(graphiql)
        graphiql.open()
        expect(results(graphiql).locator(".token-needed")).to_contain_text(f"This gateway asks {UPSTREAM}")
        expect(results(graphiql).locator(".about").get_by_role("status")).to_have_text("Waiting for an access token.")
        graphiql.screenshot("token-needed")
        graphiql.page.wait_for_timeout(500)
        assert [body for body in sent if "SoldAndDeployed" in body] == []
        with graphiql.page.expect_popup() as popup:
            results(graphiql).get_by_role("link", name="How to get an access token").click()
        expect(popup.value.get_by_role("heading", level=1)).to_have_text("How to get an access token")
        assert graphiql.outside_requests == []


def test_enter_in_the_token_field_runs_the_operation(real: Chromium) -> None:
    with real.graphiql() as graphiql:
        graphiql.open()
        graphiql.answer_with({"data": {}})
        field = graphiql.page.get_by_label("Paste an access token")
        field.fill("opaque")
        expect(results(graphiql).locator(".token-needed")).to_have_count(0)
        with graphiql.page.expect_request("**/graphql") as waiting:
            field.press("Enter")
        assert waiting.value.headers["authorization"] == "Bearer opaque"


TOKENS: list[tuple[str, dict[str, Any], str, str]] = [
    ("good", {"exp": LATER}, "expires in 52 minutes", ""),
    ("long", {"exp": 3 * 3600 + 60}, "expires in 3 hours", ""),
    ("ending", {"exp": 30}, "expires in less than a minute", ""),
    ("expired", {"exp": -200}, "expired", f"{REFUSED}It expired 3 minutes ago: get a new one."),
    (
        "early",
        {"exp": LATER, "nbf": 630},
        "expires in 52 minutes",
        f"{REFUSED}It is valid only in 10 minutes: wait, or get a new one.",
    ),
    ("skewed", {"exp": LATER, "nbf": 200}, "expires in 52 minutes", ""),
    (
        "audience",
        {"exp": LATER, "aud": "https://graph.microsoft.com"},
        "expires in 52 minutes",
        f"{REFUSED}Its audience is not Partner Center: get one for https://api.partnercenter.microsoft.com.",
    ),
    ("slash", {"exp": LATER, "aud": "https://api.partnercenter.microsoft.com/"}, "expires in 52 minutes", ""),
    (
        "no MFA",
        {"exp": LATER, "amr": ["pwd"]},
        "expires in 52 minutes",
        f"{REFUSED}The user signed in without multi-factor authentication: sign in again with it.",
    ),
    ("silent", {"exp": LATER, "amr": None, "ver": "2.0"}, "expires in 52 minutes", ""),
    (
        "application",
        {"exp": LATER, "idtyp": "app"},
        "expires in 52 minutes",
        f"{REFUSED}It belongs to an application, not to a user: sign in as a user of the partner tenant.",
    ),
    ("no expiry", {}, "expiry unknown", ""),
]


def described(graphiql: GraphiqlPage, token: str, now: float) -> dict[str, Any]:
    script = """async ([token, now]) => {
      const { describeToken } = await import(new URL("jwt.js", document.querySelector("script[type=module]").src));
      return describeToken(token, now);
    }"""
    return dict(graphiql.page.evaluate(script, [token, now]))


def test_the_field_says_what_a_token_says_about_itself(real: Chromium) -> None:
    """Nothing is sent for it. Screen readers announce the problems."""
    with real.graphiql(viewport={"width": 1280, "height": 800}) as graphiql:
        graphiql.open()
        sent = sent_bodies(graphiql)
        field = graphiql.page.get_by_label("Paste an access token")
        for name, claims, expiry, problems in TOKENS:
            dates = {key: time.time() + claims[key] for key in ("exp", "nbf") if key in claims}
            field.fill(jwt(GOOD | claims | dates))
            expect(graphiql.page.locator("#token-expiry"), name).to_have_text(expiry)
            expect(graphiql.page.locator("#token-problems"), name).to_have_text(problems)
            if name == "audience":
                graphiql.screenshot("token-problems")
        field.fill("")
        expect(graphiql.page.locator("#token-expiry")).to_be_empty()
        assert sent == []


def test_a_token_that_is_no_jwt_has_no_known_expiry(graphiql: GraphiqlPage) -> None:
    """Neither do odd claims any harm."""
    others = ("opaque", "a.b.c", "a.b", f"{jwt(GOOD)}.d.e", "e30.!!!.x", "e30..x", "e30._w.x")
    for token in (*others, jwt([]), jwt(None), jwt("text"), jwt(5)):
        expected = {"expiry": "expiry unknown: it is no JWT", "problems": []}
        assert described(graphiql, token, 0) == expected, token
    odd: list[dict[str, Any]] = [{"exp": "soon"}, {"exp": True}, {"exp": -1}, {"exp": None, "nbf": {}}, {"aud": []}]
    for claims in (*odd, {"amr": {}}):
        assert described(graphiql, jwt(GOOD | claims), 1000)["expiry"] == "expiry unknown", claims


def test_a_token_that_is_cut_off_or_has_other_letters_is_malformed(graphiql: GraphiqlPage) -> None:
    for token in ("two words", "a\N{NO-BREAK SPACE}b", "\N{HORIZONTAL ELLIPSIS}", "a" * 16_385):
        assert described(graphiql, token, 0) == {"expiry": "", "problems": ["It is malformed: copy it again."]}


def test_an_expiry_follows_the_gateways_clock(real: Chromium) -> None:
    """This computer's clock is two hours late."""
    with real.graphiql() as graphiql:
        graphiql.page.clock.install(time=time.time() - 7200)
        graphiql.open()
        graphiql.page.get_by_label("Paste an access token").fill(jwt(GOOD | {"exp": time.time() + LATER}))
        expect(graphiql.page.locator("#token-expiry")).to_have_text("expires in 52 minutes")


def test_an_expiry_counts_down(real: Chromium) -> None:
    with real.graphiql() as graphiql:
        graphiql.page.clock.install(time=time.time())
        graphiql.open()
        graphiql.page.get_by_label("Paste an access token").fill(jwt(GOOD | {"exp": time.time() + LATER}))
        expect(graphiql.page.locator("#token-expiry")).to_have_text("expires in 52 minutes")
        graphiql.page.clock.run_for(51 * 60_000)
        expect(graphiql.page.locator("#token-expiry")).to_have_text("expires in 1 minute")
        graphiql.page.clock.run_for(3 * 60_000)
        expect(graphiql.page.locator("#token-problems")).to_have_text(re.compile("It expired .* ago: get a new one.$"))
