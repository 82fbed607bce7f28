"""The generated rows: deterministic, and distributed like a real partner's."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from gateway.sandbox.accounts import ACCOUNTS
from gateway.sandbox.customer_names import UNUSUAL_NAMES
from gateway.sandbox.datasets.license_deployment import generate
from gateway.sandbox.products import CRM_PRODUCTS, O365_PRODUCTS
from tests.gateway.sandbox.rows import rows_of


@pytest.fixture(scope="module")
def contoso() -> list[dict[str, str | int | None]]:
    return rows_of("contoso")


def test_every_account_has_its_number_of_rows() -> None:
    assert {name: sum(1 for _ in generate(account)) for name, account in ACCOUNTS.items()} == {
        "contoso": 12_000,
        "fabrikam": 250_000,
        "tailspin": 0,
        "sample": 2,
    }


def test_the_same_account_has_the_same_rows_every_time(contoso: list[dict[str, str | int | None]]) -> None:
    assert rows_of("contoso") == contoso
    # Fixed values, so that another Python version or a change of the generator cannot change the rows unnoticed.
    assert contoso[0]["customerName"] == "Topaz Software A/S"
    assert contoso[-1]["licensesSold"] == 3


def test_the_sample_is_the_example_of_the_microsoft_page() -> None:
    assert rows_of("sample") == [
        {
            "processedDateTime": "2018-10-14T00:00:00",
            "serviceCode": "crm",
            "serviceName": "Microsoft Dynamics",
            "channel": "reseller",
            "customerTenantId": "0112A436-B14E-4888-967B-CA4BB2CF1234",
            "customerName": "TEST COMPANY",
            "productId": "54B84594-9C77-4499-8D65-5E0D5F410E78",
            "productName": "DYNAMICS AX TASK",
            "licensesDeployed": 0,
            "licensesSold": 9,
        },
        {
            "processedDateTime": "2018-10-14T00:00:00",
            "serviceCode": "o365",
            "serviceName": "Microsoft Office 365",
            "channel": "reseller",
            "customerTenantId": "0112A436-B14E-4888-967B-CA4BB2CF1234",
            "customerName": "TEST COMPANY",
            "productId": "D3B4FE1F-9992-4930-8ACB-CA6EC609365E",
            "productName": "DOMESTIC AND INTERNATIONAL CALLING PLAN",
            "licensesDeployed": 0,
            "licensesSold": 5,
        },
    ]


def test_rows_are_distributed_like_a_real_partners(contoso: list[dict[str, str | int | None]]) -> None:
    def share(count: int) -> float:
        return count / len(contoso)

    sold = sorted(int(row["licensesSold"] or 0) for row in contoso)
    customers = sorted(Counter(row["customerTenantId"] for row in contoso).values())
    products = Counter(row["productId"] for row in contoso)
    assert 0.05 < share(sum(row["serviceCode"] == "crm" for row in contoso)) < 0.11
    assert 0.02 < share(sum(row["channel"] == "direct" for row in contoso)) < 0.04
    assert 0.005 < share(sold.count(0)) < 0.02
    assert 0.15 < share(sum(row["licensesDeployed"] == 0 for row in contoso)) < 0.25
    over = sum(int(row["licensesDeployed"] or 0) > int(row["licensesSold"] or 0) for row in contoso)
    assert 0.03 < share(over) < 0.05
    assert 5 <= sold[len(sold) // 2] <= 10
    assert sold[-1] <= 50_000
    assert customers[len(customers) // 2] in (3, 4)
    assert customers[-1] >= 50
    assert 120 <= len(products) <= 200
    assert share(sum(count for _, count in products.most_common(20))) > 0.6


def test_rows_contain_unusual_and_missing_names(contoso: list[dict[str, str | int | None]]) -> None:
    names = {row["customerName"] for row in contoso}
    assert {*UNUSUAL_NAMES, None} <= names
    assert {"UNKNOWN", None} <= {row["productName"] for row in contoso}
    tenants_by_name = Counter(name for name, _ in {(row["customerName"], row["customerTenantId"]) for row in contoso})
    assert max(tenants_by_name.values()) > 1


def test_an_earlier_date_has_fewer_rows_and_smaller_counts(contoso: list[dict[str, str | int | None]]) -> None:
    history = [contoso, *(rows_of("contoso", weeks) for weeks in range(1, 8))]
    for newer, older in pairwise(history):
        assert len(older) < len(newer)
        assert sum(int(row["licensesSold"] or 0) for row in older) < sum(int(r["licensesSold"] or 0) for r in newer)
    assert history[7][0]["processedDateTime"] == "2026-10-02T00:00:00"


def test_product_ids_are_unique_upper_case_guids_and_two_products_share_a_name() -> None:
    products = [*O365_PRODUCTS, *CRM_PRODUCTS]
    assert len({product.product_id for product in products}) == len(products)
    assert all(product.product_id == product.product_id.upper() for product in products)
    names = Counter(product.name for product in products)
    assert names["MICROSOFT 365 BUSINESS BASIC"] == 2
    assert all(name is None or name == name.upper() for name in names)
