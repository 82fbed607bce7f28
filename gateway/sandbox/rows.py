"""The rows of the sandbox's accounts: invented, deterministic, and distributed like a real partner's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, islice
from random import Random
from typing import Final, NamedTuple

from gateway.sandbox.customer_names import UNUSUAL_NAMES, company_name
from gateway.sandbox.products import Product, crm_products, o365_products

# Source: the Microsoft page lists these seven fields for filter and groupby. The order is that of its example row.
FIELDS: Final = (
    "serviceCode", "serviceName", "channel", "customerTenantId", "customerName", "productId", "productName",
)  # fmt: skip

# Estimates: Dynamics' share of all popularity, which yields about 8 % of the rows, and the share of direct sales.
_CRM_SHARE: Final = 0.055
_DIRECT_SHARE: Final = 0.03
# Zipf exponent of product popularity: the first twenty products make up about 80 % of the rows.
_POPULARITY_EXPONENT: Final = 1.7
# Number of processed dates. Earlier dates lack the younger rows.
HISTORY_WEEKS: Final = 8
_YOUNG_SHARE: Final = 0.15
# Decrease of the counts, in percent per week back.
SHRINK_PERCENT: Final = 4


class Row(NamedTuple):
    """One row as of the latest processed date. It also appears in dates up to ``age_weeks`` weeks earlier."""

    service_code: str
    service_name: str
    channel: str
    customer_tenant_id: str
    customer_name: str | None
    product_id: str
    product_name: str | None
    deployed: int
    sold: int
    age_weeks: int


@dataclass(frozen=True, slots=True)
class Account:
    """One account: the number of its rows, their random seed, and their processed dates."""

    name: str
    row_count: int
    seed: int
    latest: datetime = datetime(2026, 11, 20)
    history_weeks: int = HISTORY_WEEKS

    def processed_at(self, weeks_back: int) -> datetime:
        """Return the processed date ``weeks_back`` weeks before the latest; -1 is the next processing."""
        return self.latest - timedelta(weeks=weeks_back)


ACCOUNTS: Final = {
    account.name: account
    for account in (
        Account("contoso", 12_000, seed=11),
        Account("fabrikam", 250_000, seed=22),
        Account("tailspin", 0, seed=33),
        # Source of date and rows: the example on the Microsoft page.
        Account("sample", 2, seed=0, latest=datetime(2018, 10, 14), history_weeks=1),
    )
}

# Source: the example on the Microsoft page.
_SAMPLE_TENANT: Final = "0112A436-B14E-4888-967B-CA4BB2CF1234"
_SAMPLE_ROWS: Final = (
    Row("crm", "Microsoft Dynamics", "reseller", _SAMPLE_TENANT, "TEST COMPANY",
        "54B84594-9C77-4499-8D65-5E0D5F410E78", "DYNAMICS AX TASK", 0, 9, HISTORY_WEEKS),
    Row("o365", "Microsoft Office 365", "reseller", _SAMPLE_TENANT, "TEST COMPANY",
        "D3B4FE1F-9992-4930-8ACB-CA6EC609365E", "DOMESTIC AND INTERNATIONAL CALLING PLAN", 0, 5, HISTORY_WEEKS),
)  # fmt: skip


def generate(account: Account) -> Iterator[Row]:
    """Generate the rows of an account in upstream order. Deterministic; 250,000 rows take about two seconds."""
    if account.name == "sample":
        return iter(_SAMPLE_ROWS)
    return islice(_customers(Random(account.seed)), account.row_count)


def rows_of(account: str, weeks_back: int = 0) -> list[dict[str, str | int | None]]:
    """Return an account's rows for one processed date, in upstream order and with upstream keys."""
    owner = ACCOUNTS[account]
    date = owner.processed_at(weeks_back).isoformat()
    return [
        {
            "processedDateTime": date,
            **dict(zip(FIELDS, row[:7], strict=True)),
            "licensesDeployed": row.deployed * (100 - SHRINK_PERCENT * weeks_back) // 100,
            "licensesSold": row.sold * (100 - SHRINK_PERCENT * weeks_back) // 100,
        }
        for row in generate(owner)
        if row.age_weeks >= weeks_back
    ]


def _customers(rng: Random) -> Iterator[Row]:
    """Yield the rows of one customer after another, without end."""
    catalog = _Catalog.build()
    number = 0
    while True:
        number += 1
        # Every fifth customer gets an unusual name, until all are used: the first rows of an account contain them.
        index, rest = divmod(number, 5)
        name = UNUSUAL_NAMES[index - 1] if rest == 0 and index <= len(UNUSUAL_NAMES) else company_name(rng)
        tenant = _guid(rng)
        # Log-normal: the median customer owns 3 or 4 products, the largest customer of a distributor 60 or more.
        size = min(90, max(1, int(rng.lognormvariate(1.35, 0.95))))
        # One scale per customer: counts vary more between customers than between the products of one.
        scale = rng.gauss(1.95, 1.7)
        for product in catalog.pick(rng, size):
            yield _row(rng, tenant, name, product, scale)


def _row(rng: Random, tenant: str, name: str | None, product: Product, scale: float) -> Row:
    sold = 0 if rng.random() < 0.01 else min(50_000, max(1, int(rng.lognormvariate(scale, 1.5))))
    return Row(
        product.service_code,
        product.service_name,
        "direct" if rng.random() < _DIRECT_SHARE else "reseller",
        tenant,
        name,
        product.product_id,
        product.name,
        _deployed(rng, sold),
        sold,
        int(rng.random() * HISTORY_WEEKS) if rng.random() < _YOUNG_SHARE else HISTORY_WEEKS,
    )


def _deployed(rng: Random, sold: int) -> int:
    """Draw the deployed count: 20 % deploy nothing, 4 % more than they bought here, the rest nearly all."""
    draw = rng.random()
    if draw < 0.20:
        return 0
    if draw < 0.24:
        return sold + 1 + int(sold * rng.random() * 0.5)
    return int(sold * (1.0 - 0.35 * rng.random() * rng.random()) + 0.5)


def _guid(rng: Random) -> str:
    digits = f"{rng.getrandbits(128):032X}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@dataclass(frozen=True, slots=True)
class _Catalog:
    """All products and their cumulative popularity."""

    products: tuple[Product, ...]
    weights: tuple[float, ...]

    @classmethod
    def build(cls) -> _Catalog:
        shares = ((o365_products(), 1 - _CRM_SHARE), (crm_products(), _CRM_SHARE))
        products = [product for group, _ in shares for product in group]
        weights = [weight for group, share in shares for weight in _popularity(len(group), share)]
        return cls(tuple(products), tuple(accumulate(weights)))

    def pick(self, rng: Random, size: int) -> list[Product]:
        """Draw ``size`` distinct products, weighted by popularity."""
        products: dict[Product, None] = {}
        while len(products) < size:
            products.update(dict.fromkeys(rng.choices(self.products, cum_weights=self.weights, k=size - len(products))))
        return list(products)


def _popularity(count: int, share: float) -> list[float]:
    """Return ``count`` Zipf weights that add up to ``share``."""
    weights = [(rank + 3) ** -_POPULARITY_EXPONENT for rank in range(count)]
    return [weight * share / sum(weights) for weight in weights]
