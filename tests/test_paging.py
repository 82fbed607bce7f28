"""Promises about paging, upstream calls and isolation, over real sockets."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.gateway.sandbox.rows import rows_of
from tests.properties.model import DEPLOYMENTS, MODELS, Model

PAGE = """
query Page($first: Int, $after: String) {{
  {dataset}(first: $first, after: $after) {{
    totalCount
    pageInfo {{ hasNextPage endCursor }}
    nodes {{ customerTenantId productId channel {measure} }}
  }}
}}
"""

each_dataset = pytest.mark.parametrize("dataset", MODELS, ids=lambda dataset: dataset.field)


def paginate(gateway: Any, token: str, first: int, dataset: Model = DEPLOYMENTS) -> list[dict[str, Any]]:
    """Return all rows by forward pagination."""
    rows: list[dict[str, Any]] = []
    after = None
    query = PAGE.format(dataset=dataset.field, measure=dataset.measures[1])
    while True:
        page = gateway.ask(query, token, first=first, after=after)["data"][dataset.field]
        rows += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return rows
        after = page["pageInfo"]["endCursor"]


def test_paginating_250000_rows_makes_25_calls_and_a_repetition_none(
    start_gateway: Any, upstream: Any, both_tiers: str
) -> None:
    gateway, token = start_gateway(), f"fabrikam+as=walk-{both_tiers}"
    wanted = [
        {name: row[name] for name in ("customerTenantId", "productId", "channel", "licensesSold")}
        for row in rows_of("fabrikam")
    ]
    assert paginate(gateway, token, 10_000) == wanted
    calls = upstream.calls_of(token)
    assert [call.query_string for call in calls] == [f"top=10000&skip={10_000 * k}" for k in range(25)]
    assert paginate(gateway, token, 10_000) == wanted
    assert len(upstream.calls_of(token)) == 25


@each_dataset
def test_a_small_first_page_costs_one_more_call(start_gateway: Any, upstream: Any, dataset: Model) -> None:
    gateway, token = start_gateway(), f"contoso+as=small-start-{dataset.field}"
    assert len(paginate(gateway, token, 400, dataset)) == len(dataset.rows())
    assert [call.query_string for call in upstream.calls_of(token)] == [
        "top=1000&skip=0",
        "top=10000&skip=0",
        "top=10000&skip=10000",
    ]


@each_dataset
def test_a_hundred_concurrent_identical_queries_make_one_call(
    start_gateway: Any, upstream: Any, dataset: Model
) -> None:
    gateway, token = start_gateway(), f"contoso+latency=0.3+as=stampede-{dataset.field}"

    def ask(_: int) -> Any:
        return gateway.connection("first: 5", token, "nodes { productName }", dataset.field)

    with ThreadPoolExecutor(100) as pool:
        pages = list(pool.map(ask, range(100)))
    assert all(page == pages[0] for page in pages)
    assert len(upstream.calls_of(token)) == 1


def test_concurrent_tokens_share_no_data(start_gateway: Any, upstream: Any, both_tiers: str) -> None:
    gateway = start_gateway()
    # Each token has another number of rows, so data of another token would be noticed.
    sizes = [10 + number for number in range(20)]

    def ask(size: int) -> tuple[int, int]:
        token = f"contoso+rows={size}+latency=0.05+as=isolation-{both_tiers}"
        return size, gateway.connection("first: 3", token)["totalCount"]

    with ThreadPoolExecutor(40) as pool:
        totals = list(pool.map(ask, sizes * 10))
    assert all(size == total for size, total in totals)
    calls = Counter(call.token for call in upstream.calls if call.token.endswith(f"+as=isolation-{both_tiers}"))
    assert sorted(calls.values()) == [1] * len(sizes)


def test_the_two_rows_of_microsofts_documentation_are_returned_unchanged(start_gateway: Any, upstream: Any) -> None:
    fields = (
        "nodes { processedDateTime serviceCode serviceName channel customerTenantId customerName productId productName"
        " licensesDeployed licensesSold } totalCount"
    )
    filter_ = 'filter: {customerTenantId: {eq: "0112A436-B14E-4888-967B-CA4BB2CF1234"}}'
    token = "sample+as=page"
    common = {
        "processedDateTime": "2018-10-14T00:00:00",
        "channel": "reseller",
        "customerTenantId": "0112A436-B14E-4888-967B-CA4BB2CF1234",
        "customerName": "TEST COMPANY",
        "licensesDeployed": 0,
    }
    assert start_gateway().connection(filter_, token, fields) == {
        "nodes": [
            common
            | {
                "serviceCode": "crm",
                "serviceName": "Microsoft Dynamics",
                "productId": "54B84594-9C77-4499-8D65-5E0D5F410E78",
                "productName": "DYNAMICS AX TASK",
                "licensesSold": 9,
            },
            common
            | {
                "serviceCode": "o365",
                "serviceName": "Microsoft Office 365",
                "productId": "D3B4FE1F-9992-4930-8ACB-CA6EC609365E",
                "productName": "DOMESTIC AND INTERNATIONAL CALLING PLAN",
                "licensesSold": 5,
            },
        ],
        "totalCount": 2,
    }
    (call,) = upstream.calls_of(token)
    assert call.path == "/partner/v1/analytics/commercial/deployment/license"
    assert call.query_string == (
        "filter=customerTenantId%20eq%20%270112A436-B14E-4888-967B-CA4BB2CF1234%27&top=1000&skip=0"
    )
    assert call.headers["accept"] == "application/json"
    assert {"ms-requestid", "ms-correlationid"} <= call.headers.keys()


def test_a_filter_without_matches_makes_no_call_but_needs_a_token(start_gateway: Any, upstream: Any) -> None:
    gateway, token = start_gateway(), "contoso+as=nothing"
    fields = "totalCount nodes { channel } edges { cursor } pageInfo { hasNextPage hasPreviousPage endCursor }"
    connection = gateway.connection("filter: {or: []}", token, fields)
    info = {"hasNextPage": False, "hasPreviousPage": False, "endCursor": None}
    assert connection == {"totalCount": 0, "nodes": [], "edges": [], "pageInfo": info}
    assert upstream.calls_of(token) == []
    refused = gateway.ask("{ licenseDeployments(filter: {channel: {in: []}}) { totalCount } }", token=None)
    assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_equivalent_filters_share_one_cache_entry(start_gateway: Any, upstream: Any) -> None:
    gateway, token = start_gateway(), "contoso+as=canonical"
    same = [
        '{channel: {eq: "direct"}, serviceCode: {in: ["crm", "o365"]}}',
        '{serviceCode: {in: ["o365", "crm", "o365"]}, channel: {eq: "direct"}}',
        '{and: [{or: [{serviceCode: {eq: "o365"}}, {serviceCode: {eq: "crm"}}]}, {channel: {in: ["direct"]}}, {}]}',
        '{not: {or: [{channel: {ne: "direct"}}, {serviceCode: {notIn: ["o365", "crm"]}}]}}',
    ]
    totals = {gateway.connection(f"filter: {text}", token)["totalCount"] for text in same}
    assert len(totals) == 1
    assert len(upstream.calls_of(token)) == 1


def test_a_cursor_of_a_newer_snapshot_makes_the_gateway_reload_cached_rows(start_gateway: Any) -> None:
    behind, ahead = start_gateway(), start_gateway()
    token = "contoso+rows=50+reprocess-after=1+as=behind"
    fields = "nodes { processedDateTime } pageInfo { endCursor }"
    old = behind.connection("first: 5", token, fields)["nodes"][0]["processedDateTime"]
    newer = ahead.connection("first: 5", token, fields)
    assert newer["nodes"][0]["processedDateTime"] > old
    following = behind.connection(f'first: 5, after: "{newer["pageInfo"]["endCursor"]}"', token, fields)
    assert following["nodes"][0]["processedDateTime"] == newer["nodes"][0]["processedDateTime"]


def test_reprocessing_after_a_cursor_is_a_snapshot_conflict_and_a_new_start_works(start_gateway: Any) -> None:
    gateway, token = start_gateway(first_block_rows=10, block_rows=10), "contoso+rows=50+reprocess-after=1+as=renewed"
    fields = "nodes { processedDateTime } pageInfo { endCursor }"
    first = gateway.connection("first: 10", token, fields)
    result = gateway.ask(
        f'{{ licenseDeployments(first: 10, after: "{first["pageInfo"]["endCursor"]}") {{ {fields} }} }}', token
    )
    (error,) = result["errors"]
    assert error["extensions"]["code"] == "SNAPSHOT_CHANGED"
    again = gateway.connection("first: 50", token, fields)
    assert {node["processedDateTime"] for node in again["nodes"]} == {error["extensions"]["processedDateTime"]}


@pytest.mark.parametrize("order", ["", "orderBy: {field: LICENSES_SOLD}, "])
def test_a_cursor_of_another_account_is_refused_with_that_as_a_possible_cause(gateway: Any, order: str) -> None:
    cursor = gateway.connection(f"{order}first: 1", "sample", "pageInfo { endCursor }")["pageInfo"]["endCursor"]
    (error,) = gateway.ask(f'{{ licenseDeployments({order}first: 1, after: "{cursor}") {{ totalCount }} }}')["errors"]
    assert error["extensions"]["code"] == "SNAPSHOT_CHANGED"
    assert error["message"] == (
        "The data was processed again after this cursor was issued, or the token belongs to another account. Start"
        " again from the first page."
    )


def test_an_answer_that_spans_two_snapshots_is_reloaded_without_an_error(start_gateway: Any) -> None:
    gateway, token = start_gateway(first_block_rows=10, block_rows=10), "contoso+rows=50+reprocess-after=2+as=torn"
    nodes = gateway.connection("first: 40", token, "nodes { processedDateTime }")["nodes"]
    assert len(nodes) == 40
    assert len({node["processedDateTime"] for node in nodes}) == 1
