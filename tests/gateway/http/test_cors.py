"""Other web sites cannot use a gateway through a browser, unless the operator lists them."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gateway.http.cors import MAX_LOGGED_PAIRS, CrossSite
from tests.schema.http.responses import check_error, exchange, raw_post

if TYPE_CHECKING:
    import httpx

    from tests.conftest import Gateway, StartGateway

ELSEWHERE = "https://elsewhere.example"
FRIEND = "https://dashboard.example"
QUERY = {"query": "{ __typename }"}
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.fixture
def friendly(start_gateway: StartGateway) -> Gateway:
    """A gateway that lists one origin."""
    return start_gateway(cors_origins=(FRIEND,))


def own_origin(gateway: Gateway) -> str:
    return str(gateway.client.base_url).rstrip("/")


def check_refused(response: httpx.Response) -> None:
    check_error(response, "BAD_REQUEST", 403)
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ELSEWHERE},
        {"Origin": "null"},
        {"Origin": "file://"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1.elsewhere.example"},
        {"Origin": ELSEWHERE, "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_from_another_site_is_refused(gateway: Gateway, method: str, headers: dict[str, str]) -> None:
    if method == "GET":
        response = gateway.client.get("/graphql", params=QUERY, headers=headers)
    else:
        response = gateway.client.post("/graphql", json=QUERY, headers=headers)
    check_refused(response)


@pytest.mark.parametrize("path", ["/", "/metrics", "/schema.graphql", "/openapi.json", "/nothing"])
def test_no_path_accepts_requests_from_another_site(gateway: Gateway, path: str) -> None:
    check_refused(gateway.client.get(path, headers={"Origin": ELSEWHERE}))


def test_health_accepts_requests_from_any_site(gateway: Gateway) -> None:
    assert gateway.client.get("/healthz", headers={"Origin": ELSEWHERE}).status_code == 200


def test_a_null_origin_without_a_host_is_refused(gateway: Gateway) -> None:
    """HTTP/1.0 has no Host header to compare with."""
    request = raw_post(b'{"query": "{ __typename }"}', b"Origin: null").replace(
        b"HTTP/1.1\r\nHost: gateway", b"HTTP/1.0"
    )
    assert exchange(gateway.url, request).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_same_origin_pages_and_other_clients_are_served(gateway: Gateway, headers: dict[str, str]) -> None:
    assert gateway.client.post("/graphql", json=QUERY, headers=headers).status_code == 200
    assert gateway.client.get("/graphql", params=QUERY, headers=headers).status_code == 200


def test_the_same_origin_is_served_behind_a_proxy_that_ends_tls(gateway: Gateway) -> None:
    own = own_origin(gateway)
    for origin in (own, own.replace("http://", "https://")):
        response = gateway.client.post("/graphql", json=QUERY, headers={"Origin": origin})
        assert response.status_code == 200
        assert "Access-Control-Allow-Origin" not in response.headers


def test_the_browsers_own_comparison_is_believed_when_a_proxy_rewrites_the_host(gateway: Gateway) -> None:
    """nginx's ``proxy_pass`` sends its own Host. Module scripts and POST requests of the page have an Origin."""
    headers = {"Origin": "https://graphql.example", "Host": "gateway", "Sec-Fetch-Site": "same-origin"}
    response = gateway.client.post("/graphql", json=QUERY, headers=headers)
    assert response.status_code == 200
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://graphql.example", "graphql.example:443"),
        ("http://graphql.example", "graphql.example:80"),
        ("https://graphql.example:443", "graphql.example"),
    ],
)
def test_a_proxy_may_state_the_default_port(gateway: Gateway, origin: str, host: str) -> None:
    response = gateway.client.post("/graphql", json=QUERY, headers={"Origin": origin, "Host": host})
    assert response.status_code == 200
    check_refused(gateway.client.post("/graphql", json=QUERY, headers={"Origin": origin, "Host": host + "1"}))


def test_a_refusal_names_both_remedies(gateway: Gateway) -> None:
    message = gateway.client.get("/", headers={"Origin": ELSEWHERE}).json()["errors"][0]["message"]
    assert "GATEWAY_CORS_ORIGINS" in message
    assert "let it send X-Forwarded-Host and list it in GATEWAY_TRUSTED_PROXIES" in message


def test_the_log_shows_which_origin_and_host_differ(start_gateway: StartGateway) -> None:
    """An operator sees what a proxy made of Host. The query and the token are not shown."""
    gateway = start_gateway()
    headers = {"Origin": ELSEWHERE, "Host": "inside:8000", "Authorization": "Bearer hidden"}
    with capture_logs() as lines:
        for _ in range(2):
            check_refused(gateway.client.get("/graphql", params=QUERY, headers=headers))
        check_refused(gateway.client.get("/graphql", params=QUERY, headers={**headers, "Origin": "a b"}))
    warnings = [(line["origin"], line["host"]) for line in lines if line["log_level"] == "warning"]
    assert warnings == [(ELSEWHERE, "inside:8000"), ("malformed", "inside:8000")]
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["status"], line["outcome"]) for line in requests] == [(403, "BAD_REQUEST")] * 3
    assert "hidden" not in str(lines)
    assert "typename" not in str(lines)


def test_callers_with_made_up_origins_do_not_fill_the_log(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    with capture_logs() as lines:
        for i in range(MAX_LOGGED_PAIRS + 5):
            check_refused(gateway.client.get("/", headers={"Origin": f"https://made-up-{i}.example"}))
    assert [line["log_level"] for line in lines].count("warning") == MAX_LOGGED_PAIRS


@pytest.mark.parametrize("path", ["/nowhere", "/export/other.csv"])
def test_each_refusal_is_logged_with_its_code(gateway: Gateway, path: str) -> None:
    with capture_logs() as lines:
        gateway.client.get(path)
    assert [line.get("outcome") for line in lines if line["event"] == "request"] == ["BAD_REQUEST"]


def test_cross_site_requests_are_refused_for_any_origin(gateway: Gateway) -> None:
    """One example is a page of the same host without TLS."""
    headers = {"Origin": own_origin(gateway), "Sec-Fetch-Site": "cross-site"}
    check_refused(gateway.client.post("/graphql", json=QUERY, headers=headers))


def test_a_link_on_another_site_opens_the_page(gateway: Gateway) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    response = gateway.client.get("/graphql", headers={**headers, "Accept": "text/html"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_a_form_without_preflight_is_refused_even_without_browser_headers(gateway: Gateway, content_type: str) -> None:
    body = b'{"query": "{ __typename }"}'
    response = gateway.client.post("/graphql", content=body, headers={"Content-Type": content_type})
    check_error(response, "BAD_REQUEST", 415)


def test_no_credential_is_sent_automatically(gateway: Gateway) -> None:
    response = gateway.client.post(
        "/graphql",
        json={"query": "{ licenseDeployments { totalCount } }"},
        headers={"Cookie": "token=contoso; session=contoso"},
    )
    check_error(response, "UNAUTHENTICATED", 401)
    assert "Set-Cookie" not in response.headers


# CORS


def test_a_listed_origin_may_read_the_response(friendly: Gateway) -> None:
    response = friendly.client.post("/graphql", json=QUERY, headers={"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == FRIEND
    assert {name.strip() for name in response.headers["Access-Control-Expose-Headers"].split(",")} == {
        "Retry-After",
        "X-Cache",
        "Age",
        "ETag",
        "MS-CorrelationId",
        "X-Gateway-Upstream",
        "X-Snapshot",
        "X-Total-Count",
        "X-Warnings",
        "X-Upstream-Calls",
        "X-Rows-Read",
    }
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize("query", ["{", "{ nothing }", "{ licenseDeployments { totalCount } }"])
def test_a_listed_origin_may_read_errors_too(friendly: Gateway, query: str) -> None:
    response = friendly.client.post("/graphql", json={"query": query}, headers={"Origin": FRIEND})
    assert response.headers["Access-Control-Allow-Origin"] == FRIEND
    response = friendly.client.post("/graphql", content=b"", headers={"Origin": FRIEND})
    assert response.status_code == 415
    assert response.headers["Access-Control-Allow-Origin"] == FRIEND


def test_a_page_that_compresses_its_requests_may_read_why_they_are_refused(friendly: Gateway) -> None:
    headers = {"Origin": FRIEND, "Content-Encoding": "gzip", "Content-Type": "application/json"}
    response = friendly.client.post("/graphql", content=gzip.compress(b"{}"), headers=headers)
    check_error(response, "BAD_REQUEST", 415)
    assert "Content-Encoding" in response.json()["errors"][0]["message"]
    assert response.headers["Access-Control-Allow-Origin"] == FRIEND


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/graphql", {"Accept": "text/html," * 300}, 431),
        ("/nowhere", {}, 404),
        ("/export/licenseDeployments.csv", {}, 401),
    ],
)
def test_a_listed_origin_may_read_refusals_of_every_layer(
    friendly: Gateway, path: str, headers: dict[str, str], status: int
) -> None:
    response = friendly.client.get(path, headers={"Origin": FRIEND, **headers})
    assert response.status_code == status
    assert response.headers["Access-Control-Allow-Origin"] == FRIEND
    assert response.headers["Vary"].split(", ").count("Origin") == 1
    assert "Access-Control-Allow-Origin" not in friendly.client.get(path, headers={"Origin": ELSEWHERE}).headers


def test_a_listed_origin_may_read_the_response_to_an_unforeseen_error(
    friendly: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CrossSite, "_allows", None)
    response = friendly.client.post("/graphql", json=QUERY, headers={"Origin": FRIEND})
    check_error(response, "INTERNAL_SERVER_ERROR", 500)
    assert response.headers["Access-Control-Allow-Origin"] == FRIEND


def test_a_preflight_of_a_listed_origin_is_granted(friendly: Gateway) -> None:
    response = friendly.client.options("/graphql", headers={"Origin": FRIEND, **PREFLIGHT})
    assert response.status_code == 204
    assert response.content == b""
    assert response.headers["Access-Control-Allow-Origin"] == FRIEND
    assert {name.strip() for name in response.headers["Access-Control-Allow-Methods"].split(",")} == {"GET", "POST"}
    assert {name.strip().lower() for name in response.headers["Access-Control-Allow-Headers"].split(",")} == {
        "authorization",
        "content-type",
        "accept",
        "x-locale",
        "ms-correlationid",
        "apollo-require-preflight",
        "x-apollo-operation-name",
        "apollographql-client-name",
        "apollographql-client-version",
        "apollographql-library-name",
        "apollographql-library-version",
        "traceparent",
        "tracestate",
        "baggage",
    }
    assert response.headers["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Origin" in response.headers["Vary"]


def test_a_setting_lists_further_headers(start_gateway: StartGateway) -> None:
    gateway = start_gateway(cors_origins=(FRIEND,), cors_headers=("X-Request-Source", "sentry-trace"))
    response = gateway.client.options("/graphql", headers={"Origin": FRIEND, **PREFLIGHT})
    allowed = [name.strip() for name in response.headers["Access-Control-Allow-Headers"].split(",")]
    assert allowed[-2:] == ["X-Request-Source", "sentry-trace"]
    assert "Authorization" in allowed


@pytest.mark.parametrize("origin", ["altair://-", "chrome-extension://flnheeellpciglgpaodhkhmapeljopja"])
def test_extensions_and_desktop_clients_may_be_listed(start_gateway: StartGateway, origin: str) -> None:
    gateway = start_gateway(cors_origins=(origin,))
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    for response in (
        gateway.client.options("/graphql", headers={**headers, **PREFLIGHT}),
        gateway.client.post("/graphql", json=QUERY, headers=headers),
    ):
        assert response.is_success
        assert response.headers["Access-Control-Allow-Origin"] == origin
    check_refused(gateway.client.post("/graphql", json=QUERY, headers={**headers, "Origin": origin + "x"}))


@pytest.mark.parametrize(
    "origin",
    [
        ELSEWHERE,
        "null",
        FRIEND.replace("https", "http"),
        FRIEND + ":444",
        FRIEND + ".elsewhere.example",
        "https://elsewhere.example/" + FRIEND,
        FRIEND + "/",
        FRIEND.upper(),
        "*",
    ],
)
def test_an_origin_that_only_looks_like_a_listed_one_is_refused(friendly: Gateway, origin: str) -> None:
    check_refused(friendly.client.options("/graphql", headers={"Origin": origin, **PREFLIGHT}))
    check_refused(friendly.client.post("/graphql", json=QUERY, headers={"Origin": origin}))


def test_a_preflight_is_refused_if_no_origin_is_listed(gateway: Gateway) -> None:
    check_refused(gateway.client.options("/graphql", headers={"Origin": ELSEWHERE, **PREFLIGHT}))


@pytest.mark.parametrize("origin", [ELSEWHERE, "null"])
def test_a_star_allows_every_origin_without_reflecting_it(start_gateway: StartGateway, origin: str) -> None:
    gateway = start_gateway(cors_origins=("*",))
    for response in (
        gateway.client.options("/graphql", headers={"Origin": origin, **PREFLIGHT}),
        gateway.client.post("/graphql", json=QUERY, headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"}),
    ):
        assert response.is_success
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("path", ["/schema.graphql", "/metrics", "/healthz", "/nowhere"])
def test_caches_keep_responses_for_listed_origins_apart(friendly: Gateway, gateway: Gateway, path: str) -> None:
    """Otherwise a listed origin could get a stored response without its permission."""
    assert "Origin" in friendly.client.get(path).headers["Vary"].split(", ")
    assert "Origin" not in gateway.client.get(path).headers.get("Vary", "").split(", ")
