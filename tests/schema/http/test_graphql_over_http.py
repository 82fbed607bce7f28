"""Media types, methods and bodies by the GraphQL over HTTP specification (graphql.github.io/graphql-over-http)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from gateway.http.content_negotiation import prefers_html, response_type
from tests.schema.http.node_packages import installed
from tests.schema.http.responses import check_error, exchange, raw_post

if TYPE_CHECKING:
    import httpx

    from tests.conftest import Gateway, StartGateway

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
TYPENAME = {"data": {"__typename": "Query"}}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def post(gateway: Gateway, body: bytes, content_type: str = JSON, **headers: str) -> httpx.Response:
    return gateway.client.post("/graphql", content=body, headers={"Content-Type": content_type, **headers})


# Media types and statuses


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (f"{JSON}; charset=utf-8", JSON),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, {JSON};q=0.9", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.1, {JSON};q=0.9", JSON),
        (f"{GRAPHQL_JSON}, {JSON}", GRAPHQL_JSON),
        (f"{JSON}, {GRAPHQL_JSON}", JSON),
        (f"*/*, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0, */*", JSON),
        (f"{JSON};q=0, */*", GRAPHQL_JSON),
        (GRAPHQL_JSON.upper(), GRAPHQL_JSON),
        ("image/png", JSON),
        (f"{JSON};q=nonsense", JSON),
        (f"{GRAPHQL_JSON};q=nan", JSON),
        ("", JSON),
        (",;,=;q=", JSON),
    ],
)
def test_the_response_has_the_media_type_that_the_client_prefers(
    gateway: Gateway, accept: str | None, wanted: str
) -> None:
    request = gateway.client.build_request("POST", "/graphql", json={"query": "{ __typename }"})
    del request.headers["Accept"]
    if accept is not None:
        request.headers["Accept"] = accept
    response = gateway.client.send(request)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == f"{wanted}; charset=utf-8"
    assert response.json() == TYPENAME
    assert response_type(accept) == wanted


@pytest.mark.parametrize(
    ("query", "variables", "strict_status", "status"),
    [
        ("{ __typename }", None, 200, 200),
        ("{", None, 400, 200),
        ("{ nothing }", None, 400, 200),
        ("query ($first: Int!) { licenseDeployments(first: $first) { totalCount } }", {}, 400, 200),
        ("{" + "a: __typename " * 40 + "}", None, 400, 200),
        ("query A { __typename } query B { __typename }", None, 400, 200),
        ("{ licenseDeployments(first: -1) { totalCount } }", None, 200, 200),
        ("{ __typename licenseDeployments(first: -1) { totalCount } }", None, 200, 200),
    ],
)
def test_only_the_newer_media_type_has_an_error_status_for_a_failed_request(
    gateway: Gateway, query: str, variables: dict[str, Any] | None, strict_status: int, status: int
) -> None:
    strict = gateway.post(query, variables=variables, Accept=GRAPHQL_JSON)
    plain = gateway.post(query, variables=variables, Accept=JSON)
    assert (strict.status_code, plain.status_code) == (strict_status, status)
    assert ("data" in strict.json()) == ("data" in plain.json()) == (strict_status == 200)


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
def test_a_body_that_cannot_be_read_is_400_in_either_media_type(gateway: Gateway, accept: str) -> None:
    response = post(gateway, b"nonsense", Accept=accept)
    check_error(response, "BAD_REQUEST", 400)
    assert response.headers["Content-Type"].startswith(accept)


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
@pytest.mark.parametrize(("token", "status"), [(None, 401), ("stranger", 401), ("contoso+throttle=9+as=http", 429)])
def test_a_missing_token_and_throttling_set_the_status_in_both_media_types(
    gateway: Gateway, accept: str, token: str | None, status: int
) -> None:
    response = gateway.post("{ licenseDeployments { totalCount } }", token, Accept=accept)
    assert response.status_code == status
    assert response.json()["data"] == {"licenseDeployments": None}


# GET


def test_a_query_may_be_sent_with_get(gateway: Gateway) -> None:
    query = "query A { __typename } query B($first: Int) { licenseDeployments(first: $first) { nodes { channel } } }"
    response = gateway.client.get(
        "/graphql",
        params={"query": query, "operationName": "B", "variables": '{"first": 2}', "extensions": "{}"},
        headers={"Authorization": "Bearer contoso"},
    )
    assert response.status_code == 200
    assert len(response.json()["data"]["licenseDeployments"]["nodes"]) == 2


@pytest.mark.parametrize("parameter", ["variables", "extensions"])
@pytest.mark.parametrize("text", ["1", "[]", "nonsense", '"x"', "{", "[" * 10_000])
def test_a_parameter_that_is_not_an_object_is_refused_by_name(gateway: Gateway, parameter: str, text: str) -> None:
    response = gateway.client.get("/graphql", params={"query": "{ __typename }", parameter: text})
    check_error(response, "BAD_REQUEST", 400)
    assert f"'{parameter}'" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("query", ["mutation { __typename }", "mutation M { x } query Q { __typename }"])
def test_a_mutation_by_get_is_refused_before_validation(gateway: Gateway, query: str) -> None:
    response = gateway.client.get("/graphql", params={"query": query, "operationName": "M" * ("M {" in query)})
    check_error(response, "BAD_REQUEST", 405)
    assert response.headers["Allow"] == "OPTIONS, POST"
    assert response.json()["errors"][0]["message"] == "The schema has only queries. Send a query."


def test_get_and_post_both_refuse_a_query_beside_a_mutation(gateway: Gateway) -> None:
    """The schema has no mutations, so a document with one is invalid for any operationName."""
    query = "mutation M { x } query Q { __typename }"
    response = gateway.client.get("/graphql", params={"query": query, "operationName": "Q"})
    check_error(response, "GRAPHQL_VALIDATION_FAILED", 200)


# Methods and paths


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
def test_other_methods_are_refused(gateway: Gateway, method: str) -> None:
    response = gateway.client.request(method, "/graphql")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert response.headers["Content-Type"].startswith(JSON)


@pytest.mark.parametrize(
    "first", ["multipart/mixed", "text/event-stream", f"{JSON};q=0.9", "text/html;q=0.1", "*/*;q=0.5"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_accept_may_be_repeated(gateway: Gateway, method: str, first: str) -> None:
    """RFC 9110, section 5.3: the lines of a list header form one list."""
    response = gateway.client.request(
        method,
        "/graphql?query={__typename}",
        headers=[("Accept", first), ("X-Other", "x"), ("Accept", GRAPHQL_JSON)],
        json={"query": "{ __typename }"} if method == "POST" else None,
    )
    assert response.headers["Content-Type"] == f"{GRAPHQL_JSON}; charset=utf-8"
    refused = gateway.client.post("/graphql", headers=[("Accept", first), ("Accept", GRAPHQL_JSON)], content=b"{")
    assert refused.headers["Content-Type"] == f"{GRAPHQL_JSON}; charset=utf-8"


def test_if_none_match_may_be_repeated(gateway: Gateway) -> None:
    url = "/graphql?query={__typename}"
    tag = gateway.client.get(url).headers["ETag"]
    for lines, status in ((['"other"', tag], 304), ([tag, '"other"'], 304), (['"a"', '"b"'], 200)):
        response = gateway.client.get(url, headers=[("If-None-Match", line) for line in lines])
        assert response.status_code == status


HEADS = {
    "health check": ("{ __typename }", {}),
    "rows": ("{ licenseDeployments { nodes { productName } } }", {}),
    "compressed rows": ("{ licenseDeployments(first: 100) { nodes { productName } } }", {"Accept-Encoding": "gzip"}),
    "newer media type": ("{ __typename }", {"Accept": GRAPHQL_JSON}),
    "the page": (None, {"Accept": "text/html"}),
    "no query": (None, {}),
    "invalid query": ("{", {"Accept": GRAPHQL_JSON}),
    "mutation": ("mutation { x }", {}),
    "unchanged": ("{ __typename }", {"If-None-Match": "*"}),
}
CHANGING = {"date", "ms-correlationid", "server-timing", "age"}


@pytest.mark.parametrize(("query", "headers"), HEADS.values(), ids=HEADS)
def test_head_is_get_without_the_body(gateway: Gateway, query: str | None, headers: dict[str, str]) -> None:
    """RFC 9110, section 9.1: every server must support both. Load balancers and monitors send HEAD."""
    url = "/graphql" if query is None else f"/graphql?{urlencode({'query': query})}"
    headers = {"Authorization": "Bearer contoso+as=head", **headers}
    # The upstream is called before both.
    gateway.client.get(url, headers=headers)
    got = gateway.client.get(url, headers=headers)
    response = gateway.client.head(url, headers=headers)
    assert (response.status_code, response.content) == (got.status_code, b"")
    kept, kept_of_get = (
        {name: value for name, value in answer.headers.items() if name not in CHANGING} for answer in (response, got)
    )
    assert kept == kept_of_get


def test_a_connection_is_usable_after_head(gateway: Gateway) -> None:
    for method in ("HEAD", "POST", "HEAD", "GET"):
        response = gateway.client.request(
            method, "/graphql?query={__typename}", json={"query": "{ __typename }"} if method == "POST" else None
        )
        assert (response.status_code, bool(response.content)) == (200, method != "HEAD")


def test_a_trailing_slash_is_another_path_and_not_a_redirect(gateway: Gateway) -> None:
    check_error(gateway.client.post("/graphql/", json={"query": "{ __typename }"}), "BAD_REQUEST", 404)


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("text/html, */*", True),
        ("text/*", True),
        ("*/*", False),
        (f"{JSON}, text/plain, */*", False),
        (f"{JSON}, text/html", False),
        (f"{GRAPHQL_JSON}, {JSON};q=0.9, text/html;q=0.5", False),
        ("text/html;q=0, */*", False),
        ("", False),
    ],
)
def test_only_a_browser_gets_the_page(gateway: Gateway, accept: str, html: bool) -> None:
    response = gateway.client.get("/graphql", params={"query": "{ __typename }"}, headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html") == html
    assert prefers_html(accept) == html


def test_a_browser_without_the_page_gets_json(start_gateway: StartGateway) -> None:
    gateway = start_gateway(graphiql=False)
    response = gateway.client.get("/graphql", params={"query": "{ __typename }"}, headers={"Accept": BROWSER})
    assert response.json() == TYPENAME
    assert gateway.client.get("/").status_code == 200


def test_the_root_redirects_a_browser_to_the_page(gateway: Gateway) -> None:
    response = gateway.client.get("/", headers={"Accept": BROWSER}, follow_redirects=True)
    assert response.url.path == "/graphql"
    assert response.headers["Content-Type"].startswith("text/html")


def test_a_websocket_is_refused(gateway: Gateway) -> None:
    request = (
        b"GET /graphql HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    assert 400 <= exchange(gateway.url, request).status < 500


# Bodies


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"1",
        b'"query"',
        b"true",
        b"{}",
        b"{",
        b'{"query": "{ __typename }"',
        b'{"query": "{ __typename }"} trailing',
        b'{"query": "\xff"}',
        b'{"query": "\xed\xa0\x80"}',
        b'{"query": "{ \\ud800 }"}',
        b'{"query": "{ __typename }", "operationName": "\\udfff"}',
        b'{"query": "{ __typename }", "variables": {"\\ud800": 1}}',
        b'{"query": "{ __typename }", "variables": {"a": NaN}}',
        b'{"query": "{ __typename }", "variables": {"a": 1e999}}',
        b'{"query": "{ __typename }", "variables": {"a": %s}}' % (b"9" * 5_000),
        b'{"query": "{ __typename }", "variables": {"a": %s}}' % (b"[" * 100_000 + b"]" * 100_000),
        b'{"query": "{ __typename }", "variables": {"a": %s}}' % (b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        b"[" * 100_000 + b"]" * 100_000,
        '{"query": "{ __typename }"}'.encode("utf-16"),
        b"query=%7B__typename%7D",
        b"{ __typename }",
        b"\x00",
    ],
    ids=lambda body: body[:30].decode("latin-1"),
)
def test_a_body_that_is_not_a_json_object_with_a_query_is_refused(gateway: Gateway, body: bytes) -> None:
    check_error(post(gateway, body), "BAD_REQUEST", 400)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("query", 1),
        ("query", ["{ __typename }"]),
        ("query", {}),
        ("operationName", 1),
        ("operationName", []),
        ("variables", []),
        ("variables", "{}"),
        ("variables", 1),
        ("extensions", []),
        ("extensions", "x"),
    ],
)
def test_a_member_of_the_wrong_type_is_named(gateway: Gateway, member: str, value: object) -> None:
    response = post(gateway, json.dumps({"query": "{ __typename }", member: value}).encode())
    check_error(response, "BAD_REQUEST", 400)
    assert f"'{member}'" in response.json()["errors"][0]["message"]


def test_null_members_count_as_absent_and_unknown_ones_are_ignored(gateway: Gateway) -> None:
    body = {"query": "{ __typename }", "operationName": None, "variables": None, "extensions": None, "id": [1]}
    assert post(gateway, json.dumps(body).encode()).json() == TYPENAME


def test_the_last_of_two_members_with_one_name_is_used(gateway: Gateway) -> None:
    assert post(gateway, b'{"query": "{ nothing }", "query": "{ __typename }"}').json() == TYPENAME


def test_a_byte_order_mark_before_the_body_is_ignored(gateway: Gateway) -> None:
    assert post(gateway, b'\xef\xbb\xbf{"query": "{ __typename }"}').json() == TYPENAME


@pytest.mark.parametrize(("accept", "status"), [(JSON, 200), (GRAPHQL_JSON, 400)])
@pytest.mark.parametrize("operations", [1, 2, 100])
def test_each_operation_of_a_batch_gets_the_refusal(
    gateway: Gateway, accept: str, status: int, operations: int
) -> None:
    """Clients that send batches read a list of results, and plain JSON only with status 200."""
    body = json.dumps([{"query": "{ __typename }", "variables": {}}] * operations)
    headers = {"Content-Type": JSON, "Accept": accept}
    response = gateway.client.post("/graphql", content=body, headers=headers)
    assert (response.status_code, response.headers["Cache-Control"]) == (status, "no-store")
    assert response.headers["Content-Type"].partition(";")[0] == accept
    results = response.json()
    assert len(results) == operations
    for result in results:
        [error] = result["errors"]
        assert error["message"].startswith("Batches are not supported.")
        assert error["extensions"] == {"code": "BAD_REQUEST", "correlationId": response.headers["MS-CorrelationId"]}


LONG_BATCH = json.dumps([{"query": "{ __typename }"}] * 101).encode()


@pytest.mark.parametrize("body", [b"[]", b"[1]", b" [[]]", b"[{}", b"[{}]", LONG_BATCH])
def test_any_other_list_is_refused_once(gateway: Gateway, body: bytes) -> None:
    response = post(gateway, body)
    check_error(response, "BAD_REQUEST", 400)
    assert "Batches" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("name", ['""', "null"])
def test_an_empty_operation_name_is_absent(gateway: Gateway, name: str) -> None:
    body = f'{{"query": "query A {{ __typename }}", "operationName": {name}}}'
    assert post(gateway, body.encode()).json() == TYPENAME


@pytest.mark.parametrize("text", ["{}", '{"first": 1}', "nonsense"])
def test_variables_as_text_get_a_message_that_says_so(gateway: Gateway, text: str) -> None:
    body = json.dumps({"query": "query ($first: Int) { __typename }", "variables": text})
    response = post(gateway, body.encode())
    check_error(response, "BAD_REQUEST", 400)
    assert response.json()["errors"][0]["message"].startswith("'variables' is text that contains JSON.")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=utf-16",
        "application/json, text/plain",
        "application/jsonp",
        "nonsense",
    ],
)
def test_other_content_types_are_refused(gateway: Gateway, content_type: str) -> None:
    check_error(post(gateway, b'{"query": "{ __typename }"}', content_type), "BAD_REQUEST", 415)


def test_a_body_without_content_type_is_refused(gateway: Gateway) -> None:
    body = b'{"query": "{ __typename }"}'
    request = raw_post(body).replace(b"Content-Type: application/json\r\n", b"")
    assert exchange(gateway.url, request).status == 415


@pytest.mark.parametrize(
    "content_type", ["APPLICATION/JSON", "application/json;charset=UTF-8", 'application/json; charset="utf-8"']
)
def test_json_may_be_spelled_in_several_ways(gateway: Gateway, content_type: str) -> None:
    assert post(gateway, b'{"query": "{ __typename }"}', content_type).json() == TYPENAME


@pytest.mark.parametrize("operation_name", ["Nothing", " ", "a" * 10_000])
def test_an_unknown_operation_name_is_refused(gateway: Gateway, operation_name: str) -> None:
    body = {"query": "query Known { __typename }", "operationName": operation_name}
    response = post(gateway, json.dumps(body).encode())
    check_error(response, "GRAPHQL_VALIDATION_FAILED")
    assert len(response.content) < 1_000


# The working group's test suite


def test_all_audits_of_the_graphql_over_http_suite_pass(gateway: Gateway) -> None:
    pins = Path(__file__).parent / "graphql-http"
    library = installed(pins) / "node_modules" / "graphql-http" / "lib" / "index.mjs"
    command = ["node", str(pins / "audit.mjs"), str(library), f"{gateway.url}/graphql"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    sys.stderr.write(done.stderr)
    audits = json.loads(done.stdout)
    assert len(audits) == 61
    assert [audit for audit in audits if audit[2] != "ok"] == []
