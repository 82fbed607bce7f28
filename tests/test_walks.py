"""What users were promised of paging, calls and isolation, over real sockets."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gateway.sandbox.rows import rows_of

WALK = """
query Walk($first: Int, $after: String) {
  licenseDeployments(first: $first, after: $after) {
    totalCount
    pageInfo { hasNextPage endCursor }
    nodes { customerTenantId productId channel licensesSold }
  }
}
"""


def walk(gateway: Any, token: str, first: int) -> list[dict[str, Any]]:
    """All rows by walking forward."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = gateway.ask(WALK, token, first=first, after=after)["data"]["licenseDeployments"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def test_a_walk_over_250000_rows_costs_25_calls_and_the_second_none(start_gateway: Any, upstream: Any) -> None:
    gateway, token = start_gateway(), "fabrikam+as=walk"
    wanted = [
        {name: row[name] for name in ("customerTenantId", "productId", "channel", "licensesSold")}
        for row in rows_of("fabrikam")
    ]
    assert walk(gateway, token, 10_000) == wanted
    calls = upstream.calls_of(token)
    assert [call.query_string for call in calls] == [f"top=10000&skip={10_000 * k}" for k in range(25)]
    assert walk(gateway, token, 10_000) == wanted
    assert len(upstream.calls_of(token)) == 25


def test_a_small_start_costs_one_call_more(start_gateway: Any, upstream: Any) -> None:
    gateway, token = start_gateway(), "contoso+as=small-start"
    assert len(walk(gateway, token, 400)) == 12_000
    assert [call.query_string for call in upstream.calls_of(token)] == [
        "top=1000&skip=0",
        "top=10000&skip=0",
        "top=10000&skip=10000",
    ]


def test_a_hundred_identical_questions_at_once_make_one_call(start_gateway: Any, upstream: Any) -> None:
    gateway, token = start_gateway(), "contoso+latency=0.3+as=stampede"
    with ThreadPoolExecutor(100) as pool:
        found = list(pool.map(lambda _: gateway.connection("first: 5", token, "nodes { productName }"), range(100)))
    assert all(page == found[0] for page in found)
    assert len(upstream.calls_of(token)) == 1


def test_tokens_share_nothing_however_they_mix(start_gateway: Any, upstream: Any) -> None:
    gateway = start_gateway()
    # The number of rows tells the tokens apart, so an answer from another's cache or flight would show.
    sizes = [10 + number for number in range(20)]

    def ask(size: int) -> tuple[int, int]:
        token = f"contoso+rows={size}+latency=0.05+as=isolation"
        return size, gateway.connection("first: 3", token)["totalCount"]

    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(ask, sizes * 10))
    assert all(size == total for size, total in found)
    calls = Counter(call.token for call in upstream.calls if call.token.endswith("+as=isolation"))
    assert sorted(calls.values()) == [1] * len(sizes)


def test_the_two_rows_of_the_microsoft_page_come_back_unchanged(start_gateway: Any, upstream: Any) -> None:
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


def test_a_filter_that_nothing_passes_asks_nobody_but_needs_a_token(start_gateway: Any, upstream: Any) -> None:
    gateway, token = start_gateway(), "contoso+as=nothing"
    fields = "totalCount nodes { channel } edges { cursor } pageInfo { hasNextPage hasPreviousPage endCursor }"
    found = gateway.connection("filter: {or: []}", token, fields)
    info = {"hasNextPage": False, "hasPreviousPage": False, "endCursor": None}
    assert found == {"totalCount": 0, "nodes": [], "edges": [], "pageInfo": info}
    assert upstream.calls_of(token) == []
    refused = gateway.ask("{ licenseDeployments(filter: {channel: {in: []}}) { totalCount } }", token=None)
    assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_filters_that_say_the_same_share_one_entry(start_gateway: Any, upstream: Any) -> None:
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


def test_a_cursor_of_a_newer_snapshot_has_the_kept_rows_read_anew(start_gateway: Any) -> None:
    behind, ahead = start_gateway(), start_gateway()
    token = "contoso+rows=50+reprocess-after=1+as=behind"
    fields = "nodes { processedDateTime } pageInfo { endCursor }"
    old = behind.connection("first: 5", token, fields)["nodes"][0]["processedDateTime"]
    newer = ahead.connection("first: 5", token, fields)
    assert newer["nodes"][0]["processedDateTime"] > old
    following = behind.connection(f'first: 5, after: "{newer["pageInfo"]["endCursor"]}"', token, fields)
    assert following["nodes"][0]["processedDateTime"] == newer["nodes"][0]["processedDateTime"]


def test_data_processed_anew_under_a_cursor_is_told_and_starting_again_works(start_gateway: Any) -> None:
    gateway, token = start_gateway(first_block_rows=10, block_rows=10), "contoso+rows=50+reprocess-after=1+as=renewed"
    fields = "nodes { processedDateTime } pageInfo { endCursor }"
    first = gateway.connection("first: 10", token, fields)
    reply = gateway.ask(
        f'{{ licenseDeployments(first: 10, after: "{first["pageInfo"]["endCursor"]}") {{ {fields} }} }}', token
    )
    (error,) = reply["errors"]
    assert error["extensions"]["code"] == "SNAPSHOT_CHANGED"
    again = gateway.connection("first: 50", token, fields)
    assert {node["processedDateTime"] for node in again["nodes"]} == {error["extensions"]["processedDateTime"]}


def test_an_answer_that_spans_two_processings_is_read_once_more_silently(start_gateway: Any) -> None:
    gateway, token = start_gateway(first_block_rows=10, block_rows=10), "contoso+rows=50+reprocess-after=2+as=torn"
    found = gateway.connection("first: 40", token, "nodes { processedDateTime }")["nodes"]
    assert len(found) == 40
    assert len({node["processedDateTime"] for node in found}) == 1
