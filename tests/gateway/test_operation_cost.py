"""The upstream cost of each operation: ``X-Upstream-Calls``, ``X-Rows-Read`` and ``extensions.cost``."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.conftest import Gateway, StartGateway, Upstream
from tests.gateway.running import eventually

CSV = "/export/licenseDeployments.csv"
FIVE = "{ licenseDeployments(first: 5) { totalCount nodes { customerName } } }"
COST: dict[str, Any] = {"extensions": {"cost": True}}

# Rows of the small first block; the sandbox's account has more.
FIRST_ROWS = 1_000

# GraphQL by POST, and by GET.
METHODS = ["POST", "GET"]


def send(gateway: Gateway, query: str, token: str | None, method: str = "POST", **members: Any) -> httpx.Response:
    """Send one operation; ``members`` are further parameters of the request."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if method == "POST":
        return gateway.client.post("/graphql", json={"query": query, **members}, headers=headers)
    texts = {name: json.dumps(value) for name, value in members.items()}
    return gateway.client.get("/graphql", params={"query": query, **texts}, headers=headers)


def export(gateway: Gateway, token: str, **parameters: Any) -> httpx.Response:
    """Return the response to one export."""
    return gateway.client.get(CSV, params=parameters, headers={"Authorization": f"Bearer {token}"})


def cost(response: httpx.Response) -> tuple[int, int]:
    """Return the calls and rows in the headers of a response, each of which it has once."""
    calls, rows = (response.headers.get_list(name) for name in ("X-Upstream-Calls", "X-Rows-Read"))
    assert len(calls) == len(rows) == 1
    return int(calls[0]), int(rows[0])


def at_once(count: int, request: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Return the responses to ``count`` identical requests sent at the same time."""
    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(request) for _ in range(count)]]


# One operation


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fast_path", [True, False])
def test_a_cold_query_says_one_call_and_a_cached_one_none(
    start_gateway: StartGateway, method: str, fast_path: bool
) -> None:
    gateway, token = start_gateway(fast_path=fast_path), f"contoso+as=cost-{method}-{fast_path}"
    costs = [cost(send(gateway, FIVE, token, method)) for _ in range(4)]
    assert costs == [(1, FIRST_ROWS), (0, 0), (0, 0), (0, 0)]


def test_two_fields_with_one_query_cost_one_call(gateway: Gateway, upstream: Upstream) -> None:
    token = "contoso+as=cost-aliases+latency=0.1"
    query = "{ a: licenseDeployments(first: 5) { totalCount } b: licenseDeployments(first: 9) { totalCount } }"
    assert cost(send(gateway, query, token)) == (1, FIRST_ROWS)
    assert len(upstream.calls_of(token)) == 1


def test_a_page_of_several_blocks_costs_a_call_for_each(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway, token = start_gateway(first_block_rows=100, block_rows=100), "contoso+as=cost-blocks"
    assert cost(send(gateway, FIVE.replace("5", "350"), token)) == (4, 400)
    assert cost(send(gateway, FIVE.replace("5", "450"), token)) == (1, 100)
    assert len(upstream.calls_of(token)) == 5


def test_a_block_that_the_upstream_sends_in_parts_costs_a_call_for_each(gateway: Gateway) -> None:
    assert cost(send(gateway, FIVE, "contoso+as=cost-parts+cap=400")) == (3, FIRST_ROWS)


def test_one_of_several_joined_operations_paid_for_the_call(gateway: Gateway, upstream: Upstream) -> None:
    token = "contoso+as=cost-joined+latency=1"
    responses = at_once(5, lambda: send(gateway, FIVE, token))
    assert sorted(map(cost, responses)) == [(0, 0)] * 4 + [(1, FIRST_ROWS)]
    assert len({response.content for response in responses}) == 1
    assert len(upstream.calls_of(token)) == 1


def test_a_request_that_needs_no_rows_costs_nothing(gateway: Gateway) -> None:
    assert cost(send(gateway, "{ __typename }", "contoso")) == (0, 0)
    assert cost(send(gateway, "{ licenseDeployments(filter: {or: []}) { totalCount } }", "contoso")) == (0, 0)


# Failures


def test_a_retried_call_counts_each_attempt(gateway: Gateway, upstream: Upstream) -> None:
    token = "contoso+as=cost-retry+status-once=500"
    assert cost(send(gateway, FIVE, token)) == (2, FIRST_ROWS)
    assert cost(send(gateway, FIVE, token)) == (0, 0)
    assert len(upstream.calls_of(token)) == 2


def test_an_operation_that_fails_after_two_attempts_says_two(start_gateway: StartGateway) -> None:
    gateway, token = start_gateway(upstream_max_retries=1), "contoso+as=cost-failed+status=503"
    response = send(gateway, FIVE, token)
    assert response.json()["errors"]
    assert cost(response) == (2, 0)
    assert cost(export(gateway, token)) == (2, 0)


def test_one_of_several_joined_failures_paid_for_the_attempts(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway, token = start_gateway(upstream_max_retries=1), "contoso+as=cost-joined-failure+status=500+latency=0.6"
    responses = at_once(3, lambda: send(gateway, FIVE, token))
    assert sorted(map(cost, responses)) == [(0, 0), (0, 0), (2, 0)]
    assert len(upstream.calls_of(token)) == 2


def test_partial_data_counts_the_calls_of_all_fields(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = start_gateway(first_block_rows=100, block_rows=100, upstream_max_retries=0, upstream_max_concurrency=1)
    token = "contoso+as=cost-partial+status-from=500:200"
    query = "{ a: licenseDeployments(first: 5) { totalCount } b: licenseDeployments(first: 250) { totalCount } }"
    response = send(gateway, query, token)
    result = response.json()
    assert result["errors"]
    assert result["data"]["a"]
    assert result["data"]["b"] is None
    calls, rows = cost(response)
    assert calls == len(upstream.calls_of(token))
    assert rows == 100 * sum(call.status == 200 for call in upstream.calls_of(token)) == 200


def test_a_refused_token_costs_the_call_that_was_refused(gateway: Gateway) -> None:
    response = send(gateway, FIVE, "contoso+as=cost-refused+status=401")
    assert response.status_code == 401
    assert cost(response) == (1, 0)


def test_a_throttled_token_costs_no_call_until_the_pause_is_over(gateway: Gateway) -> None:
    costs = [cost(send(gateway, FIVE, "contoso+as=cost-throttled+throttle=60")) for _ in range(2)]
    assert costs == [(1, 0), (0, 0)]


def test_a_timed_out_operation_says_what_it_started(start_gateway: StartGateway) -> None:
    gateway = start_gateway(operation_timeout_seconds=1, upstream_timeout_seconds=1)
    response = send(gateway, FIVE, "contoso+as=cost-hang+hang", **COST)
    assert response.json()["errors"]
    assert cost(response) == (1, 0)
    assert response.json()["extensions"]["cost"] == {"upstreamCalls": 1, "rowsRead": 0, "cache": None}


@pytest.mark.parametrize(
    ("method", "path", "status", "content", "headers"),
    [
        ("POST", "/graphql", 401, json.dumps({"query": FIVE}), {}),
        ("POST", "/graphql", 400, "{", {}),
        ("POST", "/graphql", 400, json.dumps({"query": "{"}), {"Accept": "application/graphql-response+json"}),
        ("POST", "/graphql", 415, "", {"Content-Type": "text/plain"}),
        ("PUT", "/graphql", 405, "", {}),
        ("GET", "/graphql?query=mutation{a}", 405, "", {}),
        ("POST", "/graphql", 403, json.dumps({"query": FIVE}), {"Origin": "https://other.invalid"}),
        ("GET", CSV, 401, "", {}),
        ("POST", CSV, 405, "", {}),
        ("GET", f"{CSV}?filter={{", 400, "", {"Authorization": "Bearer contoso"}),
        ("GET", "/export/nothing.csv", 404, "", {}),
    ],
)
def test_a_request_that_reaches_no_operation_says_zero(
    gateway: Gateway, method: str, path: str, status: int, content: str, headers: dict[str, str]
) -> None:
    headers = {"Content-Type": "application/json", **headers}
    response = gateway.client.request(method, path, content=content, headers=headers)
    assert response.status_code == status
    assert cost(response) == (0, 0)


def test_a_response_too_large_to_send_says_what_it_cost(start_gateway: StartGateway) -> None:
    gateway = start_gateway(max_response_buffer_bytes=1_048_576)
    fields = "customerName customerTenantId productName productId serviceName serviceCode channel"
    response = send(
        gateway, f"{{ licenseDeployments(first: 10000) {{ nodes {{ {fields} }} }} }}", "contoso+as=cost-413"
    )
    assert response.status_code == 413
    assert cost(response) == (1, 10_000)


@pytest.mark.parametrize("path", ["/healthz", "/schema.graphql", "/openapi.json", "/metrics", "/nothing"])
def test_other_responses_have_no_cost(gateway: Gateway, path: str) -> None:
    response = gateway.client.get(path)
    assert not {"x-upstream-calls", "x-rows-read"} & set(response.headers)


# Caches


def test_a_304_from_the_cache_costs_nothing(gateway: Gateway) -> None:
    token = "contoso+as=cost-304"
    etag = send(gateway, FIVE, token, "GET").headers["ETag"]
    headers = {"Authorization": f"Bearer {token}", "If-None-Match": etag}
    response = gateway.client.get("/graphql", params={"query": FIVE}, headers=headers)
    assert response.status_code == 304
    assert cost(response) == (0, 0)


def test_a_stale_response_does_not_pay_for_its_refresh(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway, token = start_gateway(cache_fresh_seconds=0, cache_stale_seconds=3_600), "contoso+as=cost-stale"
    assert cost(send(gateway, FIVE, token)) == (1, FIRST_ROWS)
    stale = send(gateway, FIVE, token, **COST)
    assert cost(stale) == (0, 0)
    assert stale.json()["extensions"]["cost"] == {"upstreamCalls": 0, "rowsRead": 0, "cache": "stale"}
    eventually(lambda: len(upstream.calls_of(token)) == 2)


def test_a_block_that_was_loaded_ahead_for_a_reader_costs_nobody(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway, token = start_gateway(first_block_rows=100, block_rows=100), "contoso+as=cost-prefetch"
    page = "{{ licenseDeployments(first: 100, offset: {}) {{ totalCount nodes {{ channel }} }} }}"
    costs = [cost(send(gateway, page.format(offset), token)) for offset in (0, 100)]
    eventually(lambda: [call.status for call in upstream.calls_of(token)] == [200] * 3)
    costs.append(cost(send(gateway, page.format(200), token)))
    assert costs == [(1, 100), (1, 100), (0, 0)]


# Exports


def test_an_export_says_what_it_spent_before_its_first_byte(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway, token = start_gateway(block_rows=5_000), "contoso+as=cost-export"
    cold, warm = export(gateway, token), export(gateway, token)
    assert cold.text == warm.text
    assert cost(cold) == (1, 5_000)
    assert cost(warm) == (0, 0)
    assert len(upstream.calls_of(token)) == 3


def test_a_continued_export_says_what_it_spent(start_gateway: StartGateway) -> None:
    gateway, token = start_gateway(block_rows=5_000), "contoso+as=cost-continued"
    whole = export(gateway, token)
    rest = {"offset": 6_000, "snapshot": whole.headers["X-Snapshot"]}
    assert cost(export(gateway, token, **rest)) == (0, 0)
    calls, rows = cost(export(start_gateway(block_rows=5_000), token, **rest))
    assert 1 <= calls <= 2
    assert rows == 5_000 * calls


def test_one_of_two_joined_exports_paid_for_the_call(gateway: Gateway, upstream: Upstream) -> None:
    token = "contoso+as=cost-joined-exports+latency=1+rows=500"
    responses = at_once(2, lambda: export(gateway, token))
    assert sorted(map(cost, responses)) == [(0, 0), (1, 500)]
    assert len(upstream.calls_of(token)) == 1


# Everything together

DIRECT = '{ licenseDeployments(first: 5, filter: {channel: {eq: "direct"}}) { totalCount } }'
GROUPS = "{ a: licenseDeployments(groupBy: [CHANNEL]) { totalCount } b: licenseDeployments { totalCount } }"


@pytest.mark.parametrize("seed", range(3))
def test_the_calls_of_all_operations_are_the_calls_that_the_upstream_received(
    start_gateway: StartGateway, upstream: Upstream, seed: int
) -> None:
    """Also those of exports after their heads, which only the log has, and of blocks that exports read ahead."""
    gateway = start_gateway(block_rows=1_000, first_block_rows=500, cache_fresh_seconds=1, cache_stale_seconds=0)
    draw = random.Random(seed)
    label = f"as=cost-sum-{seed}"
    tokens = [f"contoso+{label}+latency=0.02", f"contoso+{label}+status-times=500:2", f"contoso+{label}+status=403"]
    jobs = [(draw.choice(tokens), draw.choice([FIVE, DIRECT, GROUPS, "{ nothing }", CSV])) for _ in range(40)]

    def run(job: tuple[str, str]) -> httpx.Response:
        token, query = job
        return export(gateway, token) if query == CSV else send(gateway, query, token, draw.choice(METHODS))

    with capture_logs() as lines, ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(run, jobs))
        eventually(lambda: sum(line["event"] == "request" for line in lines) == len(jobs))
    logged = {line["correlation_id"]: line["upstream_calls"] for line in lines if line["event"] == "request"}
    for (_, query), response in zip(jobs, responses, strict=True):
        calls, total = cost(response)[0], logged[response.headers["MS-CorrelationId"]]
        assert calls <= total if query == CSV and response.status_code == 200 else calls == total
    assert sum(logged.values()) == sum(len(upstream.calls_of(token)) for token in tokens) > 0


# In the body


@pytest.mark.parametrize("method", METHODS)
def test_the_cost_is_in_the_body_if_the_request_wants_it(gateway: Gateway, method: str) -> None:
    token = f"contoso+as=cost-body-{method}"
    for state, calls, rows in (("miss", 1, FIRST_ROWS), ("hit", 0, 0)):
        response = send(gateway, FIVE, token, method, **COST)
        wanted = {"upstreamCalls": calls, "rowsRead": rows, "cache": state}
        assert response.json()["extensions"] == {"cost": wanted}
        assert cost(response) == (calls, rows)
        assert response.headers["Cache-Control"] == "no-store"
        assert "ETag" not in response.headers


def test_an_operation_without_rows_shows_no_cache_state(gateway: Gateway) -> None:
    nothing = {"upstreamCalls": 0, "rowsRead": 0, "cache": None}
    for query, token in (("{ __typename }", "contoso"), ("{ nothing }", "contoso"), (FIVE, None)):
        assert send(gateway, query, token, **COST).json()["extensions"]["cost"] == nothing


def test_cost_and_warnings_are_shown_together(gateway: Gateway) -> None:
    query = "{ licenseDeployments(first: 5) { nodes { licensesSold } } }"
    extensions = send(gateway, query, "contoso+counts=junk+as=cost-warned", **COST).json()["extensions"]
    assert list(extensions) == ["warnings", "cost"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "wish", [None, {}, {"cost": False}, {"cost": 1}, {"cost": "true"}, {"cost": {}}, {"other": True}]
)
def test_other_extensions_change_nothing(gateway: Gateway, method: str, wish: dict[str, Any] | None) -> None:
    plain = send(gateway, FIVE, "contoso+as=cost-others", method)
    other = send(gateway, FIVE, "contoso+as=cost-others", method, extensions=wish)
    assert other.content == plain.content
    assert other.headers.get("ETag") == plain.headers.get("ETag")


@pytest.mark.parametrize("fast_path", [True, False])
def test_requests_with_and_without_the_cost_do_not_mix(start_gateway: StartGateway, fast_path: bool) -> None:
    """In either order, no stored rendering holds a cost or hides it."""
    query = FIVE.replace("5", "500")
    plain = send(start_gateway(), query, "contoso+as=cost-plain").content
    for first in (COST, {}):
        gateway, token = start_gateway(fast_path=fast_path), f"contoso+as=cost-mixed-{fast_path}-{bool(first)}"
        for members in (first, {}, COST, {}, COST, {}):
            body = send(gateway, query, token, **members).content
            if members:
                start, _, end = body.rpartition(b',"extensions":{"cost":')
                assert start + b"}" == plain
                assert set(json.loads(end[:-2])) == {"upstreamCalls", "rowsRead", "cache"}
            else:
                assert body == plain


def test_a_request_for_the_cost_gets_no_304(gateway: Gateway) -> None:
    etag = send(gateway, FIVE, "contoso+as=cost-etag", "GET").headers["ETag"]
    headers = {"Authorization": "Bearer contoso+as=cost-etag", "If-None-Match": etag}
    parameters = {"query": FIVE, "extensions": '{"cost": true}'}
    response = gateway.client.get("/graphql", params=parameters, headers=headers)
    assert response.status_code == 200
    assert response.json()["extensions"]["cost"]["upstreamCalls"] == 0
