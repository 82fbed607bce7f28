"""Any input gives an error with a code or the exact result, but never a 500."""

from __future__ import annotations

import itertools
import json
import string
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.schema.http.responses import RawResponse, check_error, exchange, raw_post

if TYPE_CHECKING:
    import httpx

    from tests.conftest import Gateway, Upstream

TOTAL = "{ licenseDeployments { totalCount } }"
FILTERED = "query ($filter: LicenseDeploymentFilter) { licenseDeployments(filter: $filter) { totalCount } }"

# Errors that only the gateway's maintainers can fix; no input may cause them.
FAULTS = {"INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "DEADLINE_EXCEEDED", "UPSTREAM_BAD_RESPONSE"}

numbers = itertools.count()

relaxed = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def post(gateway: Gateway, body: str | bytes, authorization: str = "") -> httpx.Response:
    """POST ``body`` with the content type of JSON."""
    headers = {"Content-Type": "application/json", "Authorization": authorization}
    return gateway.client.post("/graphql", content=body, headers=headers)


def codes(response: httpx.Response) -> list[str]:
    """Return the error codes of a GraphQL response."""
    assert response.headers["Content-Type"].endswith("json; charset=utf-8")
    document = response.json()
    assert "data" in document or document["errors"]
    return [error["extensions"]["code"] for error in document.get("errors", [])]


def check_harmless(response: httpx.Response) -> None:
    """Check the properties of every response."""
    assert response.status_code < 500, response.text
    assert not FAULTS & set(codes(response)), response.text
    assert len(response.content) < 100_000


# Filter values are data

CURIOUS = [
    "O'Brien",
    "''''",
    "'",
    "a' or 'a' eq 'a",
    "x') or (channel ne 'y",
    "channel eq 'direct'",
    "not",
    "null",
    "(((",
    "a&top=1&skip=5",
    "a#fragment",
    "100% %27 %2527 %0a %00 %u0027",
    "a+b c",
    "a;b,c=d?e/f\\g",
    "$filter {x} [y] <z>",
    " leading and trailing ",
    "",
    "\u00a0\u2003",
    "Zażółć gęślą jaźń",
    "e\u0301 \u00e9",
    "日本語",
    "💥👩‍👩‍👧",
    "\u202eright to left\u202c \u200f\u2066",
    "\ufeff\ufffe\uffff",
    "\u2028\u2029",
    "ǅ ß İ ı",
    "x" * 3_000,
    "' or " * 200,
]
REFUSED = ["a\nb", "a\rb", "a\tb", "a\0b", "\x1b[2J", "\x7f", "\x85", "x" * 20_000, "'" * 4_100, "é" * 1_500]


def sent_filter(upstream: Upstream, token: str) -> str | None:
    """Return the decoded filter that the upstream received; None without an upstream call."""
    calls = upstream.calls_of(token)
    if not calls:
        return None
    assert "+" not in calls[0].query_string
    parameters = parse_qs(calls[0].query_string, keep_blank_values=True, strict_parsing=True)
    assert set(parameters) == {"filter", "top", "skip"}
    (text,) = parameters["filter"]
    return text


@pytest.mark.parametrize("value", CURIOUS, ids=ascii)
def test_exactly_the_value_reaches_the_upstream(gateway: Gateway, upstream: Upstream, value: str) -> None:
    token = f"sample+as=value-{next(numbers)}"
    response = gateway.post(FILTERED, token, {"filter": {"customerName": {"eq": value}}})
    assert response.json() == {"data": {"licenseDeployments": {"totalCount": 0}}}
    doubled = value.replace("'", "''")
    assert sent_filter(upstream, token) == f"customerName eq '{doubled}'"


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: ascii(value)[:20])
def test_a_value_that_cannot_be_sent_verbatim_is_refused(gateway: Gateway, upstream: Upstream, value: str) -> None:
    token = f"sample+as=value-{next(numbers)}"
    response = gateway.post(FILTERED, token, {"filter": {"customerName": {"eq": value}}})
    assert check_error(response, "BAD_USER_INPUT")["argument"] == "filter"
    assert sent_filter(upstream, token) is None


@given(value=st.text(max_size=40))
@relaxed
def test_any_text_is_sent_verbatim_or_refused(gateway: Gateway, upstream: Upstream, value: str) -> None:
    token = f"sample+as=value-{next(numbers)}"
    body = json.dumps({"query": FILTERED, "variables": {"filter": {"productName": {"eq": value}}}})
    response = post(gateway, body, f"Bearer {token}")
    check_harmless(response)
    if codes(response):
        assert codes(response)[0] in ("BAD_USER_INPUT", "BAD_REQUEST")
        assert sent_filter(upstream, token) is None
    else:
        doubled = value.replace("'", "''")
        assert sent_filter(upstream, token) == f"productName eq '{doubled}'"


def test_a_value_in_the_document_means_the_same_as_in_a_variable(gateway: Gateway, upstream: Upstream) -> None:
    token = f"sample+as=value-{next(numbers)}"
    value = 'O\'Brien "&" #1 \\ 💥'
    gateway.connection(f"filter: {{customerName: {{eq: {json.dumps(value)}}}}}", token)
    assert sent_filter(upstream, token) == f"customerName eq '{value.replace(chr(39), chr(39) * 2)}'"


# Tokens, byte by byte


def ask_raw(gateway: Gateway, *headers: bytes, target: bytes = b"/graphql") -> RawResponse:
    body = json.dumps({"query": TOTAL}).encode()
    return exchange(gateway.url, raw_post(body, *headers).replace(b"POST /graphql ", b"POST " + target + b" "))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [b"Authorization:"],
        [b"Authorization: Bearer"],
        [b"Authorization: Bearer "],
        [b"Authorization: Bearer\tcontoso"],
        [b"Authorization: Basic Y29udG9zbzp4"],
        [b"Authorization: Bearer contoso", b"Authorization: Bearer contoso"],
        [b"Authorization: Bearer contoso", b"Authorization: Basic eDp5"],
        [b"Authorization: Bearer contoso, Bearer contoso"],
        [b"Authorization: Bearer con\xc3\xa9toso"],
        [b"Authorization: Bearer \xff\xfe"],
        [b'Authorization: Bearer "contoso"'],
        [b"Authorization: Bearer contoso\\x"],
        [b"Authorization: Bearer " + b"x" * 40_000],
        [b"Proxy-Authorization: Bearer contoso"],
        [b"Cookie: token=contoso; Authorization=Bearer contoso"],
        [b"X-Authorization: Bearer contoso"],
    ],
    ids=lambda headers: repr(headers)[:50],
)
def test_an_absent_or_malformed_token_is_401_without_an_upstream_call(
    gateway: Gateway, upstream: Upstream, headers: list[bytes]
) -> None:
    before = len(upstream.calls)
    response = ask_raw(gateway, *headers)
    assert response.status == 401, response
    assert json.loads(response.body)["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert len(upstream.calls) == before


@pytest.mark.parametrize("byte", [b"\0", b"\x01", b"\x07", b"\x1b", b"\x7f", b"\n", b"\r"], ids=repr)
def test_a_token_with_a_control_byte_is_refused(gateway: Gateway, upstream: Upstream, byte: bytes) -> None:
    before = len(upstream.calls)
    assert ask_raw(gateway, b"Authorization: Bearer con" + byte + b"toso").status in (400, 401)
    assert len(upstream.calls) == before


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b"Bearer  "])
def test_the_scheme_may_be_in_any_case(gateway: Gateway, scheme: bytes) -> None:
    response = ask_raw(gateway, b"Authorization: " + scheme + b" contoso+as=scheme")
    assert json.loads(response.body) == {"data": {"licenseDeployments": {"totalCount": 12_000}}}


def test_a_token_of_8_kilobytes_works(gateway: Gateway) -> None:
    token = b"contoso+as=" + b"x" * 8_192
    response = ask_raw(gateway, b"Authorization: Bearer " + token)
    assert json.loads(response.body) == {"data": {"licenseDeployments": {"totalCount": 12_000}}}


@pytest.mark.parametrize("name", [b"access_token", b"token", b"authorization", b"Authorization"])
def test_a_token_in_the_url_is_ignored(gateway: Gateway, name: bytes) -> None:
    assert ask_raw(gateway, target=b"/graphql?" + name + b"=Bearer%20contoso").status == 401


def test_a_token_in_the_body_is_ignored(gateway: Gateway) -> None:
    body = {"query": TOTAL, "extensions": {"authorization": "Bearer contoso"}, "access_token": "contoso"}
    assert gateway.client.post("/graphql", json=body).status_code == 401


# Arbitrary input

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=20,
)


@given(body=st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
@relaxed
def test_any_body_gets_a_coded_error(gateway: Gateway, body: bytes) -> None:
    response = post(gateway, body)
    assert response.status_code == 400
    assert codes(response) == ["BAD_REQUEST"]


@given(
    members=st.fixed_dictionaries(
        {},
        optional={
            "query": json_values | st.sampled_from([TOTAL, FILTERED]),
            "variables": json_values,
            "operationName": json_values,
            "extensions": json_values,
        },
    )
)
@relaxed
def test_any_members_get_a_coded_response(gateway: Gateway, members: dict[str, Any]) -> None:
    check_harmless(
        gateway.client.post("/graphql", content=json.dumps(members), headers={"Content-Type": "application/json"})
    )


punctuation = st.sampled_from(
    ["{", "}", "(", ")", "[", "]", ":", "!", "$", "@", "...", "=", "|", "&", '"', '"""', "#", "\n"]
)
words = st.sampled_from(
    [
        "query",
        "mutation",
        "subscription",
        "fragment",
        "on",
        "licenseDeployments",
        "nodes",
        "edges",
        "node",
        "cursor",
        "pageInfo",
        "totalCount",
        "__typename",
        "__schema",
        "__type",
        "first",
        "filter",
        "eq",
        "in",
        "$f",
        "Int",
        "String",
        "true",
        "null",
        "skip",
        "include",
        "if",
        "1",
        "-1",
        "1.5e3",
        "F",
        "Query",
    ]
)


@given(tokens=st.lists(punctuation | words | st.text(max_size=3), max_size=30))
@relaxed
def test_any_document_gets_a_coded_response(gateway: Gateway, tokens: list[str]) -> None:
    body = json.dumps({"query": " ".join(["{", *tokens, "}"])})
    check_harmless(post(gateway, body))


VARIABLES = """
query (
  $filter: LicenseDeploymentFilter, $groupBy: [LicenseDeploymentDimension!], $processedDateTime: DateTime,
  $first: Int, $after: String, $last: Int, $before: String, $offset: Int
) {
  licenseDeployments(
    filter: $filter, groupBy: $groupBy, processedDateTime: $processedDateTime,
    first: $first, after: $after, last: $last, before: $before, offset: $offset
  ) { totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }
}
"""
ARGUMENTS = ("filter", "groupBy", "processedDateTime", "first", "after", "last", "before", "offset")

operand = st.none() | st.text(max_size=5) | st.lists(st.none() | st.text(max_size=3), max_size=3) | st.integers()
fields = st.dictionaries(
    st.sampled_from(["serviceCode", "channel", "customerName", "nothing"]),
    st.dictionaries(st.sampled_from(["eq", "ne", "in", "notIn", "like"]), operand, max_size=3),
    max_size=2,
)
filters = st.recursive(
    fields | st.none(),
    lambda inner: st.dictionaries(
        st.sampled_from(["and", "or", "not"]), inner | st.lists(inner, max_size=3), max_size=2
    ),
    max_leaves=6,
)
counts = st.integers(-2, 3) | st.integers() | st.sampled_from([10_000, 10_001, 2**31 - 1, 2**31, 2**63, -(2**31)])
likely = {
    "filter": filters,
    "groupBy": st.lists(st.sampled_from(["CHANNEL", "PRODUCT_ID", "NOTHING", "channel", ""]), max_size=4),
    "processedDateTime": st.sampled_from(
        ["2018-10-14", "2018-10-14T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
    )
    | st.text(string.digits + "-T:Z+.", max_size=25),
    "first": counts,
    "after": st.text(string.ascii_letters + string.digits + "-_=", max_size=60),
    "last": counts,
    "before": st.text(max_size=10),
    "offset": counts,
}


@given(
    variables=st.fixed_dictionaries({}, optional={name: strategy | st.none() for name, strategy in likely.items()})
    | st.dictionaries(st.sampled_from(ARGUMENTS), json_values, max_size=3)
)
@settings(relaxed, max_examples=150)
def test_any_arguments_get_a_coded_response(gateway: Gateway, variables: dict[str, Any]) -> None:
    body = json.dumps({"query": VARIABLES, "variables": variables})
    response = post(gateway, body, "Bearer sample+as=arguments")
    check_harmless(response)
    assert set(codes(response)) <= {"BAD_REQUEST", "BAD_USER_INPUT", "INVALID_CURSOR"}


header_bytes = st.binary(max_size=60).map(lambda value: value.translate(None, b"\r\n\0"))


@given(
    name=st.sampled_from(
        b"Accept Accept-Encoding Authorization Content-Type Origin X-Locale MS-CorrelationId If-None-Match"
        b" Sec-Fetch-Site Cookie Host Range Expect X-Forwarded-For Forwarded".split(b" ")
    ),
    value=header_bytes,
)
@relaxed
def test_any_header_gets_a_coded_response(gateway: Gateway, name: bytes, value: bytes) -> None:
    body = json.dumps({"query": "{ __typename }"}).encode()
    # The one understood value of Expect has a response of two parts; another test reads it.
    assume(value.strip().lower() != b"100-continue")
    response = exchange(gateway.url, raw_post(body, name + b": " + value))
    assert 200 <= response.status < 500, response
    # The server itself answers bytes that are not HTTP; the gateway does not see them.
    assert response.body.startswith((b"{", b"Invalid HTTP")) or b"Content-Encoding" in response.head.encode("latin-1")


@given(
    query=st.binary(max_size=100), parameters=st.dictionaries(st.text(max_size=10), st.text(max_size=20), max_size=3)
)
@relaxed
def test_any_url_gets_a_coded_response(gateway: Gateway, query: bytes, parameters: dict[str, str]) -> None:
    check_harmless(gateway.client.get("/graphql", params={**parameters, "query": query.decode("latin-1")}))
