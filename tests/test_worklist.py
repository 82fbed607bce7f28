"""The adoption worklist, tenants just under 40 % in one workload, equals brute force over the sandbox's rows."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest

from tests.conftest import StartGateway, Upstream
from tests.properties.model import USAGES

WORKLIST = """
query Worklist($workload: String!, $after: String) {
  licenseUsages(
    filter: { workloadCode: { eq: $workload } }
    groupBy: [CUSTOMER_TENANT_ID, CUSTOMER_NAME]
    having: { licensesQualified: { gte: 11, lte: 300 }, usageRate: { lt: 0.4 } }
    orderBy: [{ field: USAGE_RATE, direction: DESC }, { field: CUSTOMER_TENANT_ID }]
    first: 10000
    after: $after
  ) {
    totalCount
    totals { licensesActive licensesQualified usageRate }
    pageInfo { hasNextPage endCursor }
    nodes { customerTenantId customerName licensesActive licensesQualified usageRate }
  }
}
"""

Answer = tuple[list[dict[str, Any]], dict[str, Any]]


def by_brute_force(account: str, workload: str) -> Answer:
    """Return the worklist and its totals from all rows of the account."""
    sums: dict[tuple[Any, Any], list[int]] = defaultdict(lambda: [0, 0])
    for row in USAGES.rows(account):
        if row["workloadCode"] == workload:
            counts = sums[row["customerTenantId"], row["customerName"]]
            counts[0] += row["licensesActive"]
            counts[1] += row["licensesQualified"]
    worklist = [
        {
            "customerTenantId": tenant,
            "customerName": name,
            "licensesActive": active,
            "licensesQualified": qualified,
            "usageRate": active / qualified,
        }
        for (tenant, name), (active, qualified) in sums.items()
        if 11 <= qualified <= 300 and active / qualified < 0.4
    ]
    worklist.sort(key=lambda row: (-row["usageRate"], row["customerTenantId"].casefold()))
    active, qualified = (sum(row[name] for row in worklist) for name in ("licensesActive", "licensesQualified"))
    return worklist, {"licensesActive": active, "licensesQualified": qualified, "usageRate": active / qualified}


def through_http(gateway: Any, token: str, workload: str) -> Answer:
    """Return the worklist and its totals, page by page."""
    rows: list[dict[str, Any]] = []
    after = None
    while True:
        answer = gateway.ask(WORKLIST, token, workload=workload, after=after)
        assert "errors" not in answer, answer["errors"]
        connection = answer["data"]["licenseUsages"]
        rows += connection["nodes"]
        if not connection["pageInfo"]["hasNextPage"]:
            assert connection["totalCount"] == len(rows)
            return rows, connection["totals"]
        after = connection["pageInfo"]["endCursor"]


@pytest.mark.timeout(300)
def test_a_distributors_worklist_costs_six_calls_at_most_and_then_none(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway, token = start_gateway(), "fabrikam+as=worklist"
    expected = by_brute_force("fabrikam", "EXO")
    assert len(expected[0]) > 10_000
    assert through_http(gateway, token, "EXO") == expected
    assert 1 < len(upstream.calls_of(token)) <= 6
    before = len(upstream.calls_of(token))
    assert through_http(gateway, token, "EXO") == expected
    assert len(upstream.calls_of(token)) == before


@pytest.mark.parametrize(
    "faults",
    [
        "",
        "+names=table",
        "+names=both",
        "+total=missing+link=missing",
        "+names=table+total=missing",
        "+total=missing+cap=70",
        "+names=both+bom+gzip+counts=string",
    ],
)
def test_the_worklist_is_the_same_in_each_spelling_and_without_a_total(
    start_gateway: StartGateway, upstream: Upstream, faults: str
) -> None:
    """Blocks of 500 groups: without a total, the end is found by the links or by a short page."""
    gateway, token = start_gateway(first_block_rows=100, block_rows=500), f"contoso+as=worklist{faults}"
    worklist, totals = through_http(gateway, token, "SPO")
    expected = by_brute_force("contoso", "SPO")
    assert len(expected[0]) > 100
    assert (worklist, totals) == expected
    calls = len(upstream.calls_of(token))
    through_http(gateway, token, "SPO")
    assert len(upstream.calls_of(token)) == calls


def test_the_rows_of_the_microsoft_page_come_back_unchanged(start_gateway: StartGateway) -> None:
    """The page's example has neither link nor total; its rows spell `licenseActive`."""
    page = start_gateway().connection("", "sample", f"totalCount nodes {{ {' '.join(USAGES.fields)} }}", USAGES.field)
    assert page == {"totalCount": None, "nodes": json.loads(EXAMPLE)["Value"]}


# The example, with the bracket that the page lacks, and with the names of its table.
EXAMPLE = """{
"Value": [
    {
      "processedDateTime": "2018-10-14T00:00:00",
      "workloadCode": "SPO",
      "workloadName": "SharePoint",
      "serviceCode": "o365",
      "serviceName": "Microsoft Office 365",
      "channel": "reseller",
      "customerTenantId": "0112A436-B14E-4888-967B-CA4BB2CF1234",
      "customerName": "TEST COMPANY",
      "productId": "6FD2C87F-B296-42F0-B197-1E91E994B900",
      "productName": "OFFICE 365 ENTERPRISE E3",
      "licensesActive": 0,
      "licensesQualified": 1
    },
    {
      "processedDateTime": "2018-10-14T00:00:00",
      "workloadCode": "EXO",
      "workloadName": "Exchange",
      "serviceCode": "o365",
      "serviceName": "Microsoft Office 365",
      "channel": "reseller",
      "customerTenantId": "0112A436-B14E-4888-967B-CA4BB2CF1234",
      "customerName": "TEST COMPANY",
      "productId": "45A2423B-E884-448D-A831-D9E139C52D2F",
      "productName": "EXCHANGE ONLINE PROTECTION",
      "licensesActive": 0,
      "licensesQualified": 1
    }
]}"""
