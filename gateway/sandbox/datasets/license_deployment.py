"""The license deployment dataset. Its rows are invented, deterministic, and distributed like a real partner's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, islice
from random import Random
from typing import Final
from uuid import UUID

from gateway.sandbox.accounts import HISTORY_WEEKS, SAMPLE, Account
from gateway.sandbox.customer_names import UNUSUAL_NAMES, company_name
from gateway.sandbox.dataset import Row, SandboxDataset
from gateway.sandbox.products import CRM_PRODUCTS, O365_PRODUCTS, Product

# Source: the Microsoft page lists these seven fields for filter and groupby. The order is that of its example row.
FIELDS: Final = (
    "serviceCode", "serviceName", "channel", "customerTenantId", "customerName", "productId", "productName",
)  # fmt: skip
MEASURES: Final = ("licensesDeployed", "licensesSold")

# Estimates: Dynamics' share of all popularity, which yields about 8 % of the rows, and the share of direct sales.
_CRM_SHARE: Final = 0.055
_DIRECT_SHARE: Final = 0.03
# Zipf exponent of product popularity: the first twenty products make up about 80 % of the rows.
_POPULARITY_EXPONENT: Final = 1.7
_YOUNG_SHARE: Final = 0.15

# Source: the example on the Microsoft page.
_SAMPLE_TENANT: Final = "0112A436-B14E-4888-967B-CA4BB2CF1234"
_SAMPLE_ROWS: Final = (
    Row(
        ("crm", "Microsoft Dynamics", "reseller", _SAMPLE_TENANT, "TEST COMPANY",
         "54B84594-9C77-4499-8D65-5E0D5F410E78", "DYNAMICS AX TASK"),
        (0, 9),
        HISTORY_WEEKS,
    ),
    Row(
        ("o365", "Microsoft Office 365", "reseller", _SAMPLE_TENANT, "TEST COMPANY",
         "D3B4FE1F-9992-4930-8ACB-CA6EC609365E", "DOMESTIC AND INTERNATIONAL CALLING PLAN"),
        (0, 5),
        HISTORY_WEEKS,
    ),
)  # fmt: skip


def generate(account: Account) -> Iterator[Row]:
    """Generate the rows of an account in upstream order. Deterministic; 250,000 rows take about two seconds."""
    if account.name == SAMPLE:
        return iter(_SAMPLE_ROWS)
    return islice(_customers(Random(account.seed)), account.row_count)


def _customers(rng: Random) -> Iterator[Row]:
    """Yield the rows of one customer after another, without end."""
    number = 0
    while True:
        number += 1
        # Every fifth customer gets an unusual name, until all are used: the first rows of an account contain them.
        index, rest = divmod(number, 5)
        name = UNUSUAL_NAMES[index - 1] if rest == 0 and index <= len(UNUSUAL_NAMES) else company_name(rng)
        tenant = str(UUID(int=rng.getrandbits(128))).upper()
        # Log-normal: the median customer owns 3 or 4 products, the largest customer of a distributor 60 or more.
        size = min(90, max(1, int(rng.lognormvariate(1.35, 0.95))))
        # One scale per customer: counts vary more between customers than between the products of one.
        scale = rng.gauss(1.95, 1.7)
        for product in _drawn_products(rng, size):
            yield _row(rng, tenant, name, product, scale)


def _row(rng: Random, tenant: str, name: str | None, product: Product, scale: float) -> Row:
    sold = 0 if rng.random() < 0.01 else min(50_000, max(1, int(rng.lognormvariate(scale, 1.5))))
    channel = "direct" if rng.random() < _DIRECT_SHARE else "reseller"
    deployed = _deployed(rng, sold)
    age_weeks = int(rng.random() * HISTORY_WEEKS) if rng.random() < _YOUNG_SHARE else HISTORY_WEEKS
    texts = (
        product.service_code, product.service_name, channel, tenant, name, product.product_id, product.name,
    )  # fmt: skip
    return Row(texts, (deployed, sold), age_weeks)


def _deployed(rng: Random, sold: int) -> int:
    """Draw the deployed count: 20 % deploy nothing, 4 % more than they bought here, the rest nearly all."""
    draw = rng.random()
    if draw < 0.20:
        return 0
    if draw < 0.24:
        return sold + 1 + int(sold * rng.random() * 0.5)
    return int(sold * (1.0 - 0.35 * rng.random() * rng.random()) + 0.5)


def _popularity(count: int, share: float) -> list[float]:
    """Return ``count`` Zipf weights that add up to ``share``."""
    weights = [(rank + 3) ** -_POPULARITY_EXPONENT for rank in range(count)]
    return [weight * share / sum(weights) for weight in weights]


_PRODUCTS: Final = (*O365_PRODUCTS, *CRM_PRODUCTS)
_CUMULATIVE_WEIGHTS: Final = tuple(
    accumulate((*_popularity(len(O365_PRODUCTS), 1 - _CRM_SHARE), *_popularity(len(CRM_PRODUCTS), _CRM_SHARE)))
)


def _drawn_products(rng: Random, size: int) -> list[Product]:
    products: dict[Product, None] = {}
    while len(products) < size:
        drawn = rng.choices(_PRODUCTS, cum_weights=_CUMULATIVE_WEIGHTS, k=size - len(products))
        products.update(dict.fromkeys(drawn))
    return list(products)


# Source of the path: the Microsoft page.
LICENSE_DEPLOYMENT: Final = SandboxDataset(
    path="analytics/commercial/deployment/license",
    fields=FIELDS,
    measures=MEASURES,
    index_field="customerTenantId",
    generate=generate,
)
