"""Comparison of the rows and errors that a client library read with the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.conftest import Upstream

# Arguments of a client's program: the size of its pages and a filter.
# The size does not divide 12,000, so that the last page is short, and one less than the smallest block.
ARGUMENTS = ("999", '{"serviceCode": {"eq": "crm"}}')

# The fields of a row that all clients select, beside a measure.
FIELDS = ("customerTenantId", "productId", "channel", "customerName", "productName", "processedDateTime")

# The measure of each dataset that clients select.
DATASETS = {"licenseDeployments": "licensesSold", "licenseUsages": "licensesQualified"}

# The programs are written for the first dataset. These are the names that make them programs of the other.
_OTHER_NAMES = {
    "licenseDeployments": "licenseUsages",
    "LicenseDeployment": "LicenseUsage",
    "license_deployments": "license_usages",
    "licensesSold": "licensesQualified",
    "licenses_sold": "licenses_qualified",
}
_PROGRAMS = {".mjs", ".cjs", ".js", ".ts", ".py", ".graphql"}


def turn_to(dataset: str, folder: Path) -> None:
    """Make the programs in ``folder`` ask for ``dataset``."""
    if dataset == "licenseDeployments":
        return
    for path in folder.rglob("*"):
        if path.suffix in _PROGRAMS and "node_modules" not in path.parts and path.name != "schema.graphql":
            text = path.read_text(encoding="utf-8")
            for name, other in _OTHER_NAMES.items():
                text = text.replace(name, other)
            path.write_text(text, encoding="utf-8")


def check_pages(pages: dict[str, Any], upstream: Upstream, token: str, dataset: str) -> None:
    """Assert that a client's program read every row once and in order, and that the gateway read the report once."""
    report = rows_of_the_report(upstream, dataset)
    names = (*FIELDS, DATASETS[dataset])
    # The workload of a usage is not selected, so the rows of one product may look alike.
    distinct_rows = {"licenseDeployments": 12_000, "licenseUsages": 7_311}[dataset]
    assert len({tuple(row[key] for key in names) for row in report}) == distinct_rows
    assert differences(pages["forward"], report, names)[:1] == []
    assert differences(pages["backward"], report, names)[:1] == []
    crm = [row for row in report if row["serviceCode"] == "crm"]
    assert differences(pages["filtered"], crm, names)[:1] == []
    calls = [call.query_string for call in upstream.calls_of(token)]
    assert [call for call in calls if "filter" not in call] == [
        "top=1000&skip=0",
        "top=10000&skip=0",
        "top=10000&skip=10000",
    ]


def check_codes(pages: dict[str, Any]) -> None:
    """Assert that a client's program got the codes of two errors: one with status 200, and one with status 401."""
    assert pages["codes"] == ["INVALID_CURSOR", "UNAUTHENTICATED"]


def rows_of_the_report(upstream: Upstream, dataset: str) -> list[dict[str, Any]]:
    """Return all rows of contoso in the report's order, read from the REST service."""
    kind = "deployment" if dataset == "licenseDeployments" else "usage"
    address = f"{upstream.url}/partner/v1/analytics/commercial/{kind}/license"
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


def differences(rows: list[dict[str, Any]], report: list[dict[str, Any]], names: tuple[str, ...]) -> list[Any]:
    """Return the differences between a client's rows and the report's, in the selected fields."""
    wanted = [{key: row[key] for key in names} for row in report]
    shown = [{key: value for key, value in row.items() if key != "__typename"} for row in rows]
    return [(len(shown), len(wanted))] * (len(shown) != len(wanted)) + [
        pair for pair in zip(shown, wanted, strict=False) if pair[0] != pair[1]
    ]
