"""Response headers for caches, proxies and measurements."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
import pytest

from gateway.app import create_app
from gateway.caller import Caller
from gateway.clocks.clock import SYSTEM_CLOCK
from gateway.config.groups import HttpConfig, Limits
from gateway.http.response_buffers import ResponseBuffers
from gateway.http.whole_bodies import COMPRESS_FROM_BYTES
from gateway.observability.metrics import Metrics
from gateway.page import CacheState, Page, PageWarning
from gateway.paging.block_sizes import BlockSizes
from gateway.query import PageQuery
from schema.build import DATASETS, build_schema
from schema.execution.operations import Operations
from schema.http.persisted_documents import AutomaticDocuments
from schema.http.view import GraphQLView
from tests.conftest import served
from tests.gateway.fakes import row_sources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from tests.conftest import Gateway, StartGateway, Upstream

ROWS = "{ licenseDeployments(first: 100) { totalCount nodes { customerName productName licensesSold } } }"
TOTAL = "{ licenseDeployments { totalCount } }"


def post(gateway: Gateway, query: str, token: str | None, headers: dict[str, str]) -> httpx.Response:
    return gateway.post(query, token, None, **headers)


def get(gateway: Gateway, query: str, token: str | None, **headers: str) -> httpx.Response:
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return gateway.client.get("/graphql", params={"query": query}, headers=headers)


# Conditional requests


def test_a_successful_response_to_get_is_cacheable_with_revalidation(gateway: Gateway) -> None:
    response = get(gateway, ROWS, "contoso+as=etag")
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers["ETag"].startswith('W/"')


@pytest.mark.parametrize("known", ["W/{}", '"other", W/{}', "W/{},{}", "*", "{}"])
def test_a_matching_etag_gives_304(gateway: Gateway, known: str) -> None:
    first = get(gateway, ROWS, "contoso+as=etag")
    tag = first.headers["ETag"].removeprefix("W/")
    second = get(gateway, ROWS, "contoso+as=etag", **{"If-None-Match": known.replace("{}", tag)})
    assert second.status_code == 304
    assert second.content == b""
    for name in ("ETag", "Cache-Control", "Vary"):
        assert second.headers[name] == first.headers[name]
    assert second.headers["X-Cache"] == "hit"


def test_another_etag_gets_the_whole_response(gateway: Gateway) -> None:
    response = get(gateway, ROWS, "contoso+as=etag", **{"If-None-Match": 'W/"other", "another"'})
    assert response.status_code == 200
    assert len(response.json()["data"]["licenseDeployments"]["nodes"]) == 100


def test_an_etag_gives_no_access_to_another_token(gateway: Gateway) -> None:
    etag = get(gateway, ROWS, "contoso+as=etag").headers["ETag"]
    for token in (None, "stranger"):
        response = get(gateway, ROWS, token, **{"If-None-Match": etag})
        assert response.status_code == 401
        assert "ETag" not in response.headers


def test_other_data_has_another_etag(start_gateway: StartGateway) -> None:
    gateway, token = start_gateway(cache_fresh_seconds=0, cache_stale_seconds=0), "contoso+reprocess-after=1+as=etag"
    first = get(gateway, ROWS, token)
    second = get(gateway, ROWS, token, **{"If-None-Match": first.headers["ETag"]})
    assert second.status_code == 200
    assert second.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize(
    ("query", "token"),
    [
        ("{", None),
        ("{ nothing }", None),
        (TOTAL, None),
        ("{ __typename licenseDeployments { totalCount } }", None),
        (TOTAL, "contoso+status=403+as=no-store"),
        ("{ licenseDeployments(first: 5) { nodes { licensesSold } } }", "contoso+counts=junk+as=no-store"),
    ],
)
def test_errors_partial_data_and_warnings_are_not_cacheable(gateway: Gateway, query: str, token: str | None) -> None:
    response = get(gateway, query, token, **{"If-None-Match": "*"})
    assert response.status_code != 304
    assert {"errors", "extensions"} & set(response.json())
    assert response.headers["Cache-Control"] == "no-store"
    assert "ETag" not in response.headers


def test_a_response_to_post_is_not_cacheable(gateway: Gateway) -> None:
    response = post(gateway, ROWS, "contoso+as=no-store", {"If-None-Match": "*"})
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert "ETag" not in response.headers


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_response_varies_by_these_headers(gateway: Gateway, method: str) -> None:
    params, body = ({"query": TOTAL}, None) if method == "GET" else ({}, {"query": TOTAL})
    response = gateway.client.request(method, "/graphql", params=params, json=body)
    named = [name.strip() for name in response.headers["Vary"].split(",")]
    assert sorted(named) == ["Accept", "Accept-Encoding", "Authorization", "Origin", "X-Locale"]


# Origin of the rows


def test_x_cache_and_age_are_those_of_the_worst_block(gateway: Gateway) -> None:
    token = "contoso+as=x-cache"
    both = "{ a: licenseDeployments { totalCount } b: licenseDeployments(groupBy: [CHANNEL]) { totalCount } }"
    assert gateway.post("{ __typename }", token).headers.get("X-Cache") is None
    assert gateway.post("{ licenseDeployments(filter: {or: []}) { totalCount } }", token).headers.get("X-Cache") is None
    for query, wanted in ((TOTAL, "miss"), (TOTAL, "hit"), (both, "miss"), (both, "hit")):
        response = gateway.post(query, token)
        assert response.headers["X-Cache"] == wanted
        assert int(response.headers["Age"]) < 30
    assert "X-Cache" not in gateway.post(TOTAL, None).headers


def test_a_stale_response_has_a_warning_and_is_not_cacheable(start_gateway: StartGateway) -> None:
    gateway = start_gateway(cache_fresh_seconds=0, cache_stale_seconds=3_600)
    assert get(gateway, TOTAL, "contoso+as=stale").headers["X-Cache"] == "miss"
    response = get(gateway, TOTAL, "contoso+as=stale")
    assert response.headers["X-Cache"] == "stale"
    assert response.headers["Cache-Control"] == "no-store"
    (warning,) = response.json()["extensions"]["warnings"]
    assert warning["code"] == "STALE_DATA"
    assert warning["path"] == ["licenseDeployments"]
    assert warning["ageSeconds"] >= 0


class Shelf:
    """A PageSource whose pages have the age, cache state and warnings that a test sets per processed date."""

    def __init__(self, pages: dict[str | None, tuple[CacheState, float, tuple[PageWarning, ...]]]) -> None:
        self._pages = pages

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        state, age_seconds, warnings = self._pages[query.processed_date_time]
        row = DATASETS[0][0].row(channel="direct")
        return Page(
            [row], total_count=1, warnings=warnings, fetched_at=SYSTEM_CLOCK.monotonic() - age_seconds, cache=state
        )


def application(source: Shelf) -> ASGIApp:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        yield

    limits = Limits(100, 8_000, 5, 5.0, 20, 2_000, 30, 10)
    operations = Operations(build_schema(), limits, introspection=True)
    documents = AutomaticDocuments()
    sources = row_sources(source, BlockSizes(10, 10))
    view = GraphQLView(operations, sources, ResponseBuffers(1_048_576), 10_000, documents)
    return create_app(view, HttpConfig(), metrics=Metrics(), lifespan=lifespan)


@pytest.mark.parametrize(
    ("one", "other", "state", "age"),
    [
        ((CacheState.HIT, 10), (CacheState.HIT, 100), "hit", 100),
        ((CacheState.HIT, 10), (CacheState.STALE, 100), "stale", 100),
        ((CacheState.MISS, 0), (CacheState.STALE, 100), "miss", 100),
        ((CacheState.MISS, 0), (CacheState.HIT, 50), "miss", 50),
    ],
)
def test_a_response_of_several_blocks_shows_the_worst_state_and_the_greatest_age(
    one: tuple[CacheState, float], other: tuple[CacheState, float], state: str, age: int
) -> None:
    older = 'licenseDeployments(processedDateTime: "2018-10-14") { totalCount }'
    query = f"{{ a: licenseDeployments {{ totalCount }} b: {older} }}"
    with served(application(Shelf({None: (*one, ()), "2018-10-14T00:00:00": (*other, ())}))) as url:
        headers = {"Authorization": "Bearer contoso"}
        response = httpx.post(f"{url}/graphql", json={"query": query}, headers=headers, trust_env=False)
    assert response.headers["X-Cache"] == state
    assert age <= int(response.headers["Age"]) <= age + 5


def test_a_warning_alone_prevents_caching() -> None:
    warnings = (PageWarning("UPSTREAM_UNREADABLE_VALUES", "Some values are unreadable.", count=3),)
    with served(application(Shelf({None: (CacheState.HIT, 1, warnings)}))) as url:
        headers = {"Authorization": "Bearer contoso"}
        response = httpx.get(f"{url}/graphql", params={"query": TOTAL}, headers=headers, trust_env=False)
    assert response.json()["extensions"] == {
        "warnings": [
            {
                "code": "UPSTREAM_UNREADABLE_VALUES",
                "message": "Some values are unreadable.",
                "path": ["licenseDeployments"],
                "count": 3,
            }
        ]
    }
    assert response.headers["Cache-Control"] == "no-store"
    assert "X-Gateway-Upstream" not in response.headers


# Headers of every response


@pytest.mark.parametrize("path", ["/graphql", "/graphql?query={__typename}", "/healthz", "/nothing", "/metrics"])
def test_every_response_has_an_id_and_a_time(gateway: Gateway, path: str) -> None:
    response = gateway.client.get(path)
    assert UUID(response.headers["MS-CorrelationId"])
    name, _, milliseconds = response.headers["Server-Timing"].partition(";dur=")
    assert name == "total"
    assert float(milliseconds) >= 0
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in response.headers or "uvicorn" in response.headers["Server"]


@pytest.mark.parametrize(
    "correlation_id", ["1f0b3a52-5b3e-4b50-9a0c-2f3a4b5c6d7e", "1F0B3A52-5B3E-4B50-9A0C-2F3A4B5C6D7E"]
)
def test_a_clients_guid_is_returned_and_sent_upstream_verbatim(
    gateway: Gateway, upstream: Upstream, correlation_id: str
) -> None:
    token = f"contoso+as=guid-{correlation_id}"
    response = post(gateway, TOTAL, token, {"MS-CorrelationId": correlation_id})
    assert response.headers["MS-CorrelationId"] == correlation_id
    (call,) = upstream.calls_of(token)
    assert call.headers["ms-correlationid"] == correlation_id


@pytest.mark.parametrize(
    "correlation_id",
    [
        "",
        "x",
        "1f0b3a52-5b3e-4b50-9a0c-2f3a4b5c6d7",
        "1f0b3a525b3e4b509a0c2f3a4b5c6d7e",
        "{1f0b3a52-5b3e-4b50-9a0c-2f3a4b5c6d7e}",
        "----1f0b3a525b3e4b509a0c2f3a4b5c6d7e",
        "0x0b3a52-5b3e-4b50-9a0c-2f3a4b5c6d7e",
        "1f0b3a52-5b3e-4b50-9a0c-2f3a4b5c6d7e" * 2,
        "<script>alert(1)</script>-----------",
    ],
)
def test_any_other_id_is_replaced(gateway: Gateway, correlation_id: str) -> None:
    response = post(gateway, "{ __typename }", None, {"MS-CorrelationId": correlation_id})
    assert response.headers["MS-CorrelationId"] != correlation_id
    assert UUID(response.headers["MS-CorrelationId"])


def test_each_response_has_its_own_id(gateway: Gateway) -> None:
    ids = {gateway.post("{ __typename }", None).headers["MS-CorrelationId"] for _ in range(5)}
    assert len(ids) == 5


def test_sandbox_data_is_marked_as_invented(start_gateway: StartGateway, gateway: Gateway) -> None:
    embedded = start_gateway(upstream_url="sandbox")
    for path in ("/graphql?query={__typename}", "/healthz", "/nothing"):
        assert embedded.client.get(path).headers["X-Gateway-Upstream"] == "sandbox"
        assert "X-Gateway-Upstream" not in gateway.client.get(path).headers


# Compression


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
@pytest.mark.parametrize(
    ("accept_encoding", "wanted"),
    [
        ("zstd", "zstd"),
        ("br", "br"),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate, br", "br"),
        ("zstd;q=0, br;q=0, gzip", "gzip"),
        ("*", "gzip"),
        ("zstd, br;q=0.9", "zstd"),
        ("gzip;q=0, *;q=0.1", "br"),
        ("identity, br;q=0.5", None),
        ("*;q=0", None),
        ("deflate", None),
        ("identity", None),
        ("nonsense;q=x", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("rows", [100, 3_000])
def test_large_responses_are_compressed_as_the_client_accepts(
    gateway: Gateway, accept: str, accept_encoding: str, wanted: str | None, rows: int
) -> None:
    query = ROWS.replace("first: 100", f"first: {rows}")
    plain = post(gateway, query, "contoso+as=compressed", {"Accept-Encoding": "identity"})
    assert len(plain.json()["data"]["licenseDeployments"]["nodes"]) == rows
    # The second response may be the stored compressed form of the first.
    for _ in range(2):
        response = post(gateway, query, "contoso+as=compressed", {"Accept": accept, "Accept-Encoding": accept_encoding})
        assert response.headers.get("Content-Encoding") == wanted
        assert response.json() == plain.json()
        assert response.headers["X-Cache"] == "hit"
        if wanted is not None:
            assert int(response.headers["Content-Length"]) < len(plain.content) / 2


def test_a_stored_compressed_response_is_used_only_for_its_query_and_selection(gateway: Gateway) -> None:
    """Two tokens, two filters and two aliases, each requested often enough to reuse a compressed response."""
    seen: dict[tuple[str, str, str], bytes] = {}
    for _ in range(3):
        for token in ("contoso+as=stored", "fabrikam+as=stored"):
            for field in ("nodes", "rows: nodes", "edges { node"):
                for alias in ("", "alias: "):
                    ask = f"{{ {alias}licenseDeployments(first: 3000) {{ {field} {{ customerName productName }} }} }}"
                    query = ask if "edges" not in field else ask + " }"
                    response = post(gateway, query, token, {"Accept-Encoding": "zstd"})
                    assert response.headers["Content-Encoding"] == "zstd"
                    assert seen.setdefault((token, field, alias), response.content) == response.content
                    assert list(response.json()["data"]) == [alias.strip(": ") or "licenseDeployments"]
    assert len(set(seen.values())) == len(seen)


def test_a_small_response_is_not_compressed(gateway: Gateway) -> None:
    response = post(gateway, "{ __typename }", None, {"Accept-Encoding": "gzip, br, zstd"})
    assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize("path", ["/graphql?query={__typename}", "/healthz", "/schema.graphql", "/metrics", "/graphql"])
@pytest.mark.parametrize(
    ("accept_encoding", "wanted"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=0.5, zstd;q=0.6", "zstd"),
        ("identity;q=0, gzip", "gzip"),
        ("identity, gzip;q=0.9", None),
    ],
)
def test_codings_are_negotiated_on_every_route(
    gateway: Gateway, path: str, accept_encoding: str, wanted: str | None
) -> None:
    """Small responses have a coding only if the client refuses to go without."""
    headers = {"Accept-Encoding": accept_encoding, "Accept": "text/html" if path == "/graphql" else "*/*"}
    response = gateway.client.get(path, headers=headers)
    is_small = len(response.content) < COMPRESS_FROM_BYTES and "identity;q=0" not in accept_encoding
    assert response.status_code == 200
    assert response.headers.get("Content-Encoding") == (None if is_small else wanted)


@pytest.mark.parametrize("path", ["/graphql", "/schema.graphql", "/openapi.json"])
def test_repeated_headers_are_one_list(gateway: Gateway, path: str) -> None:
    query = ROWS.replace("first: 100", "first: 200")
    lists = [("Accept-Encoding", "gzip;q=0.5"), ("Authorization", "Bearer contoso"), ("Accept-Encoding", "zstd")]
    response = gateway.client.get(path, params={"query": query}, headers=lists)
    assert response.headers["Content-Encoding"] == "zstd"


def test_a_compressed_response_has_the_same_etag(gateway: Gateway) -> None:
    tags = {
        get(gateway, ROWS, "contoso+as=etag", **{"Accept-Encoding": encoding}).headers["ETag"]
        for encoding in ("identity", "gzip", "br", "zstd")
    }
    assert len(tags) == 1
    (tag,) = tags
    response = get(gateway, ROWS, "contoso+as=etag", **{"Accept-Encoding": "br", "If-None-Match": tag})
    assert (response.status_code, response.content) == (304, b"")
    assert "Content-Encoding" not in response.headers
