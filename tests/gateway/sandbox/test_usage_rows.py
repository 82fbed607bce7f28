"""The rows of usage: the page's example, and rows that fit the deployments of the same account."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import httpx

from gateway.sandbox.datasets.license_usage import LICENSE_USAGE
from tests.gateway.sandbox.client import get_json
from tests.gateway.sandbox.rows import rows_of

KEY = ("customerTenantId", "productId", "channel")


def test_rows_fit_the_deployments_of_the_account() -> None:
    deployments = {tuple(row[name] for name in KEY): row for row in rows_of("contoso")}
    usages = rows_of("contoso", dataset=LICENSE_USAGE)
    assert usages == rows_of("contoso", dataset=LICENSE_USAGE)
    above = 0
    workloads: dict[Any, list[Any]] = defaultdict(list)
    for row in usages:
        deployment: Any = deployments[tuple(row[name] for name in KEY)]
        assert row["licensesQualified"] == deployment["licensesSold"]
        assert row["customerName"] == deployment["customerName"]
        assert row["productName"] == deployment["productName"]
        active: Any = row["licenseActive"]
        above += active > deployment["licensesDeployed"]
        workloads[tuple(row[name] for name in KEY)].append(row["workloadCode"])
    assert 0 < above < 0.05 * len(usages)
    # A suite has several workloads, each of them once.
    assert max(map(len, workloads.values())) == 3
    assert all(len(set(codes)) == len(codes) for codes in workloads.values())
    assert len({row["workloadCode"] for row in usages}) == 5


async def test_the_sample_has_the_form_of_the_pages_example(client: httpx.AsyncClient) -> None:
    envelope = await get_json(client, "sample", path=f"/v1/{LICENSE_USAGE.path}")
    assert list(envelope) == ["Value"]
    assert envelope["Value"] == rows_of("sample", dataset=LICENSE_USAGE)
    assert [row["licenseActive"] for row in envelope["Value"]] == [0, 0]
    with_link = await get_json(client, "sample+link=absolute", path=f"/v1/{LICENSE_USAGE.path}")
    assert set(with_link) == {"Value", "@nextLink", "TotalCount"}


async def test_counts_can_have_the_names_of_the_pages_table(client: httpx.AsyncClient) -> None:
    for names, active in (("table", {"licensesActive": 0}), ("both", {"licensesActive": 0, "licenseActive": 1})):
        envelope = await get_json(client, f"sample+names={names}", path=f"/v1/{LICENSE_USAGE.path}")
        row = envelope["Value"][0]
        assert {name: row[name] for name in row if name.endswith("Active")} == active
