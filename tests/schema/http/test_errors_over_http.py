"""Every error code, caused by a request: its status and extensions, without internal details."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest

from gateway.app import create_app
from gateway.caller import Caller
from gateway.config.groups import HttpConfig, Limits
from gateway.http.response_buffers import ResponseBuffers
from gateway.observability.metrics import Metrics
from gateway.page import Page, PageSource
from gateway.paging.block_sizes import BlockSizes
from gateway.query import PageQuery
from schema.build import build_schema
from schema.execution.operations import Operations
from schema.http.persisted_documents import AutomaticDocuments
from schema.http.view import GraphQLView
from tests.conftest import served
from tests.gateway.fakes import row_sources
from tests.schema.http.responses import check_error, exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Gateway, StartGateway, Upstream

TOTAL = "{ licenseDeployments { totalCount } }"
HERE: list[str | int] = ["licenseDeployments"]
JSON = {"Content-Type": "application/json"}


def field(arguments: str) -> str:
    return f"{{ licenseDeployments({arguments}) {{ totalCount }} }}"


# Bad requests


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", "/graphql", JSON, b"not json", 400),
        ("GET", "/graphql", {}, b"", 400),
        ("POST", "/graphql", {**JSON, "Origin": "https://elsewhere.example"}, b"{}", 403),
        ("GET", "/nothing", {}, b"", 404),
        ("GET", "/graphql/", {}, b"", 404),
        ("PUT", "/graphql", JSON, b"{}", 405),
        ("POST", "/healthz", {}, b"", 405),
        ("POST", "/graphql", {"Content-Type": "text/plain"}, b"{}", 415),
    ],
)
def test_a_bad_request_has_a_graphql_error(
    gateway: Gateway, method: str, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    response = gateway.client.request(method, path, headers=headers, content=body)
    assert set(check_error(response, "BAD_REQUEST", status)) == {"code", "correlationId"}
    assert ("Allow" in response.headers) == (status == 405)


def test_a_body_that_does_not_arrive_in_time_is_408_and_ends_the_connection() -> None:
    with served(application(Forgetful(), body_timeout_seconds=0.05)) as url:
        head = b"POST /graphql HTTP/1.1\r\nHost: x\r\n"
        response = exchange(url, head + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    assert response.status == 408
    assert b'"code":"BAD_REQUEST"' in response.body


# The document and its arguments


def test_a_document_that_is_not_graphql_fails_to_parse(gateway: Gateway) -> None:
    check_error(gateway.post("{ licenseDeployments("), "GRAPHQL_PARSE_FAILED")


@pytest.mark.parametrize(
    "query",
    [
        "{ nothing }",
        "{ licenseDeployments { nodes } }",
        field("first: true"),
        field("groupBy: [NOTHING]"),
        field('filter: {channel: {eq: "a", eq: "b"}}'),
        field("first: $first"),
        "fragment F on Query { __typename }",
        "subscription { __typename }",
        "mutation { __typename }",
    ],
)
def test_a_document_that_does_not_fit_the_schema_fails_validation(gateway: Gateway, query: str) -> None:
    check_error(gateway.post(query), "GRAPHQL_VALIDATION_FAILED")


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ("first: -1", "first"),
        ("first: 10001", "first"),
        ("last: -1", "last"),
        ("last: 10001", "last"),
        ("first: 1, last: 1", "last"),
        ("offset: -1", "offset"),
        ("offset: 1, last: 1", "offset"),
        ('offset: 1, after: "x"', "offset"),
        ('offset: 1, before: "x"', "offset"),
        ('processedDateTime: "yesterday"', "processedDateTime"),
        ('processedDateTime: "2018-02-30"', "processedDateTime"),
        ("filter: {channel: null}", "filter"),
        ("filter: {channel: {eq: null}}", "filter"),
        ("filter: {or: null}", "filter"),
        ('filter: {channel: {eq: "a\\nb"}}', "filter"),
        (f'filter: {{channel: {{eq: "{"x" * 8_001}"}}}}', "filter"),
    ],
)
def test_an_unusable_argument_is_named(gateway: Gateway, arguments: str, argument: str) -> None:
    extensions = check_error(gateway.post(field(arguments)), "BAD_USER_INPUT", path=HERE)
    assert extensions["argument"] == argument


def test_last_without_a_total_is_refused(gateway: Gateway) -> None:
    extensions = check_error(
        gateway.post(field("last: 2"), "contoso+rows=2000+total=missing+as=error-last"), "BAD_USER_INPUT", path=HERE
    )
    assert extensions["argument"] == "last"


@pytest.mark.parametrize(
    ("declared", "value", "arguments"),
    [
        ("Int", "many", "first: $value"),
        ("Int", True, "first: $value"),
        ("Int", 2**31, "first: $value"),
        ("Int!", None, "first: $value"),
        ("String", 1, "after: $value"),
        ("DateTime", {"year": 2018}, "processedDateTime: $value"),
        ("[LicenseDeploymentDimension!]", ["NOTHING"], "groupBy: $value"),
        ("LicenseDeploymentFilter", {"nothing": {}}, "filter: $value"),
        ("LicenseDeploymentFilter", {"channel": {"in": [None]}}, "filter: $value"),
        ("LicenseDeploymentFilter", ["channel"], "filter: $value"),
    ],
)
def test_a_variable_that_does_not_fit_its_type_is_named(
    gateway: Gateway, declared: str, value: Any, arguments: str
) -> None:
    query = f"query ($value: {declared}) {field(arguments)}"
    assert check_error(gateway.post(query, variables={"value": value}), "BAD_USER_INPUT")["argument"] == "value"


def test_a_null_for_an_argument_with_a_default_is_a_caller_error(gateway: Gateway) -> None:
    """The types allow it, so only execution detects it, in a path where graphql-core sets no code."""
    query = 'query ($value: String = "x") { licenseDeployments(filter: {channel: {in: [$value]}}) { totalCount } }'
    extensions = check_error(gateway.post(query, variables={"value": None}), "BAD_USER_INPUT", path=HERE)
    assert extensions["argument"] == "filter"


@pytest.mark.parametrize(
    "where", ["{ licenseDeployments @skip(if: $if) { totalCount } }", TOTAL[:-4] + "@skip(if: $if) } }"]
)
def test_a_null_for_a_directive_is_a_caller_error(gateway: Gateway, where: str) -> None:
    check_error(gateway.post(f"query ($if: Boolean = true) {where}", variables={"if": None}), "BAD_USER_INPUT")


# Paging


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "é", "A" * 400, "💥" * 4])
@pytest.mark.parametrize("argument", ["after", "before"])
def test_an_unknown_cursor_is_invalid(gateway: Gateway, argument: str, cursor: str) -> None:
    query = f"query ($cursor: String) {field(f'{argument}: $cursor')}"
    check_error(gateway.post(query, variables={"cursor": cursor}), "INVALID_CURSOR", path=HERE)


def test_a_cursor_of_another_query_is_invalid(gateway: Gateway) -> None:
    cursor = gateway.connection("first: 1", fields="pageInfo { endCursor }")["pageInfo"]["endCursor"]
    check_error(gateway.post(field(f'after: "{cursor}", groupBy: [CHANNEL]')), "INVALID_CURSOR", path=HERE)


def test_data_reprocessed_after_a_cursor_was_issued_is_a_snapshot_change(start_gateway: StartGateway) -> None:
    gateway, token = start_gateway(cache_fresh_seconds=0, cache_stale_seconds=0), "contoso+reprocess-after=1+as=error"
    page = gateway.connection("first: 1", token, "pageInfo { endCursor } nodes { processedDateTime }")
    response = gateway.post(field(f'first: 1, after: "{page["pageInfo"]["endCursor"]}"'), token)
    extensions = check_error(response, "SNAPSHOT_CHANGED", path=HERE)
    assert extensions["processedDateTime"] > page["nodes"][0]["processedDateTime"]


# Limits


def test_an_operation_over_a_limit_is_too_complex(gateway: Gateway) -> None:
    check_error(gateway.post("{" + " ".join(f"a{i}: __typename" for i in range(40)) + "}"), "QUERY_TOO_COMPLEX")


def test_an_operation_over_its_budget_of_upstream_calls_is_too_complex(start_gateway: StartGateway) -> None:
    gateway = start_gateway(max_upstream_calls=2, block_rows=1_000, first_block_rows=1_000)
    response = gateway.post(field("first: 9000"), "contoso+as=error-budget")
    check_error(response, "QUERY_TOO_COMPLEX", path=HERE)


def test_a_body_over_the_limit_is_too_large(start_gateway: StartGateway) -> None:
    gateway = start_gateway(max_request_bytes=1_024)
    check_error(gateway.post("#" * 1_024), "PAYLOAD_TOO_LARGE", 413)


def test_a_body_over_the_limit_without_a_declared_length_is_too_large(start_gateway: StartGateway) -> None:
    gateway = start_gateway(max_request_bytes=1_024)
    response = gateway.client.post("/graphql", content=iter([b"#" * 600] * 2), headers=JSON)
    check_error(response, "PAYLOAD_TOO_LARGE", 413)


# Tokens


def test_no_token_is_refused_without_an_upstream_call(gateway: Gateway, upstream: Upstream) -> None:
    calls = len(upstream.calls_of(""))
    response = gateway.post(TOTAL, token=None)
    check_error(response, "UNAUTHENTICATED", 401, path=HERE)
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["data"] == {"licenseDeployments": None}
    assert response.json()["errors"][0]["message"].startswith("This query needs a token. Send ")
    assert len(upstream.calls_of("")) == calls


@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic eDp5", "Bearer a b", "Bearer a,b", "contoso"])
def test_a_malformed_token_is_refused_without_an_upstream_call(
    gateway: Gateway, upstream: Upstream, authorization: str
) -> None:
    before = len(upstream.calls)
    response = gateway.client.post("/graphql", json={"query": TOTAL}, headers={"Authorization": authorization})
    check_error(response, "UNAUTHENTICATED", 401, path=HERE)
    assert len(upstream.calls) == before


@pytest.mark.parametrize("authorization", ["Bearer", "bearer"])
def test_the_error_for_an_empty_token_does_not_call_it_malformed(gateway: Gateway, authorization: str) -> None:
    """A shell command sends an empty token if its variable is unset."""
    response = gateway.client.post("/graphql", json={"query": TOTAL}, headers={"Authorization": authorization})
    check_error(response, "UNAUTHENTICATED", 401, path=HERE)
    assert response.json()["errors"][0]["message"] == (
        "The bearer token is empty. Is the variable that holds it set? Send 'Authorization: Bearer <access token>'."
    )


def test_only_fields_that_call_the_upstream_need_a_token(gateway: Gateway) -> None:
    assert gateway.ask("{ __typename __schema { queryType { name } } }", token=None)["data"]["__typename"] == "Query"


def test_a_filter_that_matches_no_row_still_needs_a_token(gateway: Gateway) -> None:
    check_error(gateway.post(field("filter: {channel: {in: []}}"), token=None), "UNAUTHENTICATED", 401)
    assert gateway.connection("filter: {channel: {in: []}}") == {"totalCount": 0}


def test_an_error_in_one_of_two_fields_leaves_status_200_and_the_other_field(gateway: Gateway) -> None:
    response = gateway.post(f"{{ __typename {TOTAL[1:]}", token=None)
    check_error(response, "UNAUTHENTICATED", 200, path=HERE)
    assert response.json()["data"] == {"__typename": "Query", "licenseDeployments": None}


# Upstream responses


def upstream_facts(response: httpx.Response, code: str, http_status: int = 200) -> dict[str, Any]:
    extensions = check_error(response, code, http_status, path=HERE)
    facts: dict[str, Any] = extensions["upstream"]
    assert UUID(facts["requestId"])
    return facts


def test_a_token_unknown_to_the_upstream_is_refused_at_each_call(gateway: Gateway, upstream: Upstream) -> None:
    for _ in range(2):
        response = gateway.post(TOTAL, "somebody-unknown")
        assert upstream_facts(response, "UNAUTHENTICATED", 401)["status"] == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.json()["errors"][0]["message"].endswith("Get a new one and try again.")
    assert len(upstream.calls_of("somebody-unknown")) == 2, "one attempt each, and no memory of it"


def test_the_error_for_an_unknown_sandbox_token_lists_the_known_ones(start_gateway: StartGateway) -> None:
    """Other errors do not list tokens, and neither do gateways with another upstream."""
    embedded = start_gateway(upstream_url="sandbox")
    unknown, without_mfa = embedded.post(TOTAL, "contosso"), embedded.post(TOTAL, "contoso+mfa")
    check_error(unknown, "UNAUTHENTICATED", 401, path=HERE)
    check_error(without_mfa, "UNAUTHENTICATED", 401, path=HERE)
    assert unknown.json()["errors"][0]["message"] == (
        "The upstream refused the access token. The sandbox knows these: contoso, fabrikam, tailspin, sample."
    )
    assert "sandbox" not in without_mfa.json()["errors"][0]["message"]


def test_a_token_without_multi_factor_authentication_is_unauthenticated(gateway: Gateway) -> None:
    assert upstream_facts(gateway.post(TOTAL, "contoso+mfa+as=error"), "UNAUTHENTICATED", 401)["code"] == 900421


def test_a_token_without_the_role_is_forbidden(gateway: Gateway) -> None:
    assert upstream_facts(gateway.post(TOTAL, "contoso+status=403+as=error"), "FORBIDDEN")["status"] == 403


@pytest.mark.parametrize("form", ["seconds", "date", "absent", "junk", "negative", "huge"])
def test_a_throttled_token_gets_the_time_to_wait_and_makes_no_calls_until_then(
    gateway: Gateway, upstream: Upstream, form: str
) -> None:
    token = f"contoso+throttle=20+throttle-form={form}+as=error"
    for _ in range(2):
        response = gateway.post(TOTAL, token)
        extensions = check_error(response, "RATE_LIMITED", 429, path=HERE)
        assert 1 <= extensions["retryAfterSeconds"] <= 600
        assert response.headers["Retry-After"] == str(extensions["retryAfterSeconds"])
    assert len(upstream.calls_of(token)) == 1
    assert gateway.connection(token="contoso+as=error-not-throttled") == {"totalCount": 12_000}


def test_an_upstream_that_does_not_answer_causes_a_timeout(start_gateway: StartGateway) -> None:
    gateway = start_gateway(upstream_timeout_seconds=0.1, operation_timeout_seconds=0.3, upstream_max_retries=0)
    check_error(gateway.post(TOTAL, "contoso+hang+as=error"), "UPSTREAM_TIMEOUT", path=HERE)


def test_an_operation_that_exceeds_its_time_in_a_call_is_an_upstream_timeout(start_gateway: StartGateway) -> None:
    gateway = start_gateway(operation_timeout_seconds=0.3)
    check_error(gateway.post(TOTAL, "contoso+hang+as=error-all"), "UPSTREAM_TIMEOUT", path=HERE)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_upstream_with_a_server_error_is_unavailable(start_gateway: StartGateway, status: int) -> None:
    gateway = start_gateway(upstream_max_retries=0)
    response = gateway.post(TOTAL, f"contoso+status={status}+as=error")
    assert upstream_facts(response, "UPSTREAM_UNAVAILABLE")["status"] == status


def test_an_upstream_that_accepts_no_connection_is_unavailable(start_gateway: StartGateway) -> None:
    gateway = start_gateway(upstream_url="http://127.0.0.1:9", upstream_max_retries=0)
    check_error(gateway.post(TOTAL), "UPSTREAM_UNAVAILABLE", path=HERE)


@pytest.mark.parametrize("body", ["1", "2", "3", "4", "5", "html", "empty"])
def test_no_error_body_of_the_upstream_is_passed_on(gateway: Gateway, body: str) -> None:
    response = gateway.post(TOTAL, f"contoso+status=409+error-body={body}+as=error")
    facts = upstream_facts(response, "UPSTREAM_REJECTED")
    assert facts["status"] == 409
    assert set(facts) <= {"status", "code", "requestId"}


@pytest.mark.parametrize("fault", ["status=400", "status=404", "redirect=302", "prefix=v1"])
def test_a_query_that_the_upstream_rejects_is_sent_once(gateway: Gateway, upstream: Upstream, fault: str) -> None:
    token = f"contoso+{fault}+as=error"
    upstream_facts(gateway.post(TOTAL, token), "UPSTREAM_REJECTED")
    assert len(upstream.calls_of(token)) == 1


def test_the_error_for_a_wrong_path_names_its_settings(gateway: Gateway) -> None:
    message = gateway.post(TOTAL, "contoso+prefix=v1+as=error-names").json()["errors"][0]["message"]
    assert "GATEWAY_UPSTREAM_PATH_PREFIX" in message
    assert "GATEWAY_UPSTREAM_TRAILING_SLASH" in message


@pytest.mark.parametrize("fault", ["garbage", "json=cut", "json=scalar", "json=deep", "value=object", "rows-junk=all"])
def test_an_unreadable_upstream_response_is_a_bad_response(start_gateway: StartGateway, fault: str) -> None:
    gateway = start_gateway(upstream_max_retries=0)
    check_error(gateway.post(TOTAL, f"contoso+{fault}+as=error"), "UPSTREAM_BAD_RESPONSE", path=HERE)


# The gateway's own errors


def both_held(
    start_gateway: StartGateway, upstream: Upstream, tokens: tuple[str, str], **settings: int
) -> httpx.Response:
    """Return the first operation's response if a second operation takes its permit before its retry."""
    gateway = start_gateway(
        upstream_timeout_seconds=0.6, operation_timeout_seconds=1.0, upstream_max_retries=1, **settings
    )
    with ThreadPoolExecutor(2) as pool:
        first: Future[httpx.Response] = pool.submit(gateway.post, field("first: 1"), tokens[0])
        until(lambda: bool(upstream.calls_of(tokens[0])))
        pool.submit(gateway.post, field("first: 1, groupBy: [CHANNEL]"), tokens[1])
        return first.result()


def until(holds: Callable[[], bool]) -> None:
    """Wait until ``holds`` returns True."""
    give_up, pause = time.monotonic() + 10, threading.Event()
    while not holds():
        assert time.monotonic() < give_up
        pause.wait(0.005)


def test_a_full_connection_pool_is_503(start_gateway: StartGateway, upstream: Upstream) -> None:
    tokens = ("contoso+hang+as=taken-1", "contoso+hang+as=taken-2")
    response = both_held(start_gateway, upstream, tokens, upstream_max_connections=1)
    check_error(response, "SERVICE_UNAVAILABLE", 503, path=HERE)


def test_waiting_for_the_tokens_own_calls_counts_toward_the_deadline(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    token = "contoso+hang+as=busy"
    response = both_held(start_gateway, upstream, (token, token), upstream_max_concurrency=1)
    check_error(response, "DEADLINE_EXCEEDED", path=HERE)


LIMITS = Limits(
    max_first_rows=100,
    max_filter_bytes=8_000,
    max_upstream_calls=5,
    operation_timeout_seconds=5,
    max_query_depth=20,
    max_query_tokens=2_000,
    max_query_aliases=30,
    max_query_root_fields=10,
)


class Forgetful:
    """A PageSource with a bug."""

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        raise KeyError("secret-of-a-customer")


def application(source: PageSource, **changes: Any) -> Any:
    """Return a gateway over ``source``."""

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        yield

    operations = Operations(build_schema(), LIMITS, introspection=True)
    documents = AutomaticDocuments()
    sources = row_sources(source, BlockSizes(10, 10))
    view = GraphQLView(operations, sources, ResponseBuffers(1_048_576), 10_000, documents, **changes)
    return create_app(view, HttpConfig(), metrics=Metrics(), lifespan=lifespan)


def test_a_bug_is_masked_for_the_caller_and_logged_in_full(caplog: pytest.LogCaptureFixture) -> None:
    """The standard library's logger gets it too, because agents read that."""
    with served(application(Forgetful())) as url:
        response = httpx.post(
            f"{url}/graphql",
            json={"query": '{ licenseDeployments(filter: {customerName: {eq: "Tailspin"}}) { totalCount } }'},
            headers={"Authorization": "Bearer contoso"},
            trust_env=False,
        )
    extensions = check_error(response, "INTERNAL_SERVER_ERROR", path=HERE)
    assert "secret-of-a-customer" not in response.text
    (record,) = [record for record in caplog.records if record.message == "unforeseen error"]
    assert vars(record)["correlation_id"] == extensions["correlationId"]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)
    assert record.exc_info[1].__traceback__ is not None


def test_a_bug_outside_an_operation_is_masked_too(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Any:
        raise KeyError("secret-of-a-customer")

    with served(application(Forgetful(), page=broken)) as url:
        response = httpx.get(f"{url}/graphql", headers={"Accept": "text/html"}, trust_env=False)
    extensions = check_error(response, "INTERNAL_SERVER_ERROR", 500)
    assert "secret-of-a-customer" not in response.text
    (record,) = [record for record in caplog.records if record.message == "unforeseen error"]
    assert vars(record)["correlation_id"] == extensions["correlationId"]
