"""The healthy sandbox: paging, next links, groups and processed dates."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.sandbox.datasets.license_deployment import FIELDS
from tests.gateway.sandbox.client import query
from tests.gateway.sandbox.rows import rows_of


async def test_paginating_by_skip_returns_every_row_once_and_in_order(client: httpx.AsyncClient) -> None:
    paginated: list[Any] = []
    link = "start"
    while link:
        body = (await query(client, top=5_000, skip=len(paginated))).json()
        paginated += body["Value"]
        link = body["@nextLink"]
        assert body["TotalCount"] == 12_000
        assert link in (f"license?top=5000&skip={len(paginated)}", None)
    assert paginated == rows_of("contoso")


async def test_top_defaults_to_ten_thousand_and_a_skip_past_the_end_returns_no_rows(client: httpx.AsyncClient) -> None:
    assert len((await query(client)).json()["Value"]) == 10_000
    for skip in (12_000, 10**17):
        response = (await query(client, skip=skip)).json()
        assert response == {"Value": [], "@nextLink": None, "TotalCount": 12_000}
    assert (await query(client, "tailspin")).json() == {"Value": [], "@nextLink": None, "TotalCount": 0}


async def test_the_next_link_repeats_the_parameters_unencoded(client: httpx.AsyncClient) -> None:
    body = (await query(client, filter="customerName ne 'A & B'", groupby="channel,customerName", top=1)).json()
    expected = "license?top=1&skip=1&filter=customerName ne 'A & B'&groupby=channel,customerName"
    assert body["@nextLink"] == expected


@pytest.mark.parametrize(
    "fields", [("channel",), ("serviceCode", "channel"), ("customerName",), ("productName", "productId"), FIELDS]
)
async def test_groups_have_summed_counts_and_the_order_of_their_first_rows(
    client: httpx.AsyncClient, fields: tuple[str, ...]
) -> None:
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row in rows_of("contoso"):
        if row["channel"] == "reseller":
            sums = groups.setdefault(tuple(row[field] for field in fields), [0, 0])
            sums[0] += int(row["licensesDeployed"] or 0)
            sums[1] += int(row["licensesSold"] or 0)
    body = (await query(client, groupby=", ".join(fields), filter="channel eq 'Reseller'")).json()
    assert body["TotalCount"] == len(groups)
    expected = [
        {**dict(zip(fields, key, strict=True)), "licensesDeployed": sums[0], "licensesSold": sums[1]}
        for key, sums in groups.items()
    ]
    assert body["Value"] == expected[:10_000]


async def test_top_and_skip_apply_to_groups(client: httpx.AsyncClient) -> None:
    whole = (await query(client, groupby="productId")).json()
    page = (await query(client, groupby="productId", top=10, skip=20)).json()
    assert page["Value"] == whole["Value"][20:30]
    assert (page["TotalCount"], page["@nextLink"]) == (whole["TotalCount"], "license?top=10&skip=30&groupby=productId")


@pytest.mark.parametrize("date", ["2026-11-13", "2026-11-13T00:00:00", "2026-11-13T02:00:00+02:00"])
async def test_earlier_processed_dates_can_be_requested(client: httpx.AsyncClient, date: str) -> None:
    body = (await query(client, processedDateTime=date, top=50)).json()
    expected = rows_of("contoso", weeks_back=1)
    assert body["TotalCount"] == len(expected)
    assert body["Value"] == expected[:50]


@pytest.mark.parametrize("date", ["2026-11-14", "2020-01-01", "2026-11-27", "0001-01-01"])
async def test_an_unknown_processed_date_has_no_rows(client: httpx.AsyncClient, date: str) -> None:
    body = (await query(client, processedDateTime=date)).json()
    assert body == {"Value": [], "@nextLink": None, "TotalCount": 0}
