"""Comparison of the rows and errors that a client library read with the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.conftest import Upstream

# Arguments of a client's program: the size of its pages and a filter.
# The size does not divide 12,000, so that the last page is short, and one less than the smallest block.
ARGUMENTS = ("999", '{"serviceCode": {"eq": "crm"}}')

# The fields of a row that all clients select.
FIELDS = (
    "customerTenantId",
    "productId",
    "channel",
    "customerName",
    "productName",
    "licensesSold",
    "processedDateTime",
)


def check_pages(pages: dict[str, Any], upstream: Upstream, token: str) -> None:
    """Assert that a client's program read every row once and in order, and that the gateway read the report once."""
    report = rows_of_the_report(upstream)
    assert len({tuple(row[key] for key in FIELDS) for row in report}) == 12_000
    assert differences(pages["forward"], report)[:1] == []
    assert differences(pages["backward"], report)[:1] == []
    assert differences(pages["filtered"], [row for row in report if row["serviceCode"] == "crm"])[:1] == []
    calls = [call.query_string for call in upstream.calls_of(token)]
    assert [call for call in calls if "filter" not in call] == [
        "top=1000&skip=0",
        "top=10000&skip=0",
        "top=10000&skip=10000",
    ]


def check_codes(pages: dict[str, Any]) -> None:
    """Assert that a client's program got the codes of two errors: one with status 200, and one with status 401."""
    assert pages["codes"] == ["INVALID_CURSOR", "UNAUTHENTICATED"]


def rows_of_the_report(upstream: Upstream) -> list[dict[str, Any]]:
    """Return all rows of contoso in the report's order, read from the REST service."""
    address = f"{upstream.url}/partner/v1/analytics/commercial/deployment/license"
    rows: list[dict[str, Any]] = []
    for skip in (0, 10_000):
        response = httpx.get(
            address,
            params={"top": 10_000, "skip": skip},
            headers={"Authorization": "Bearer contoso"},
            trust_env=False,
            timeout=60,
        )
        rows += response.json()["Value"]
    return rows


def differences(rows: list[dict[str, Any]], report: list[dict[str, Any]]) -> list[Any]:
    """Return the differences between a client's rows and the report's, in the selected fields."""
    wanted = [{key: row[key] for key in FIELDS} for row in report]
    shown = [{key: value for key, value in row.items() if key != "__typename"} for row in rows]
    return [(len(shown), len(wanted))] * (len(shown) != len(wanted)) + [
        pair for pair in zip(shown, wanted, strict=False) if pair[0] != pair[1]
    ]
