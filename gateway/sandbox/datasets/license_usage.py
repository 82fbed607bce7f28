"""The license usage dataset. Its rows are invented, and fit the deployments of the same account."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from random import Random
from typing import Final

from gateway.sandbox.accounts import HISTORY_WEEKS, SAMPLE, Account
from gateway.sandbox.dataset import Row, SandboxDataset
from gateway.sandbox.datasets import license_deployment

# Source: the Microsoft page lists these nine fields for filter. The order is that of its example row.
FIELDS: Final = ("workloadCode", "workloadName", *license_deployment.FIELDS)
MEASURES: Final = ("licenseActive", "licensesQualified")

_PRODUCT_NAME: Final = license_deployment.FIELDS.index("productName")
_CUSTOMER: Final = license_deployment.FIELDS.index("customerTenantId")

# Source of the first three: the Microsoft page. The names of the others are from sibling pages, their codes invented.
_EXCHANGE: Final = ("EXO", "Exchange")
_SHAREPOINT: Final = ("SPO", "SharePoint")
_SKYPE: Final = ("SFB", "Skype For Business")
_TEAMS: Final = ("TEAMS", "Microsoft Teams")
_CRM: Final = ("CRM", "Microsoft Dynamics CRM")

# The workloads of the products whose names contain a text; the first one that is contained counts.
_WORKLOADS: Final = (
    ("OFFICE 365 E", (_EXCHANGE, _SHAREPOINT, _SKYPE)),
    ("MICROSOFT 365", (_EXCHANGE, _SHAREPOINT, _TEAMS)),
    ("EXCHANGE", (_EXCHANGE,)),
    ("EMAIL", (_EXCHANGE,)),
    ("STORAGE", (_SHAREPOINT,)),
    ("INTRANET", (_SHAREPOINT,)),
    ("CALLING", (_SKYPE,)),
    ("CHAT", (_TEAMS,)),
    ("MEETING", (_TEAMS,)),
    ("DYNAMICS", (_CRM,)),
)

# Estimates: the workloads that customers have not set up, which have no row; of the others those without any use, and
# those with more use than is deployed.
_ABSENT_SHARE: Final = 0.25
_UNUSED_SHARE: Final = 0.08
_OVERUSED_SHARE: Final = 0.03

# Source: the example on the Microsoft page.
_SAMPLE_TENANT: Final = "0112A436-B14E-4888-967B-CA4BB2CF1234"
_SAMPLE_ROWS: Final = (
    Row(
        (*_SHAREPOINT, "o365", "Microsoft Office 365", "reseller", _SAMPLE_TENANT, "TEST COMPANY",
         "6FD2C87F-B296-42F0-B197-1E91E994B900", "OFFICE 365 ENTERPRISE E3"),
        (0, 1),
        HISTORY_WEEKS,
    ),
    Row(
        (*_EXCHANGE, "o365", "Microsoft Office 365", "reseller", _SAMPLE_TENANT, "TEST COMPANY",
         "45A2423B-E884-448D-A831-D9E139C52D2F", "EXCHANGE ONLINE PROTECTION"),
        (0, 1),
        HISTORY_WEEKS,
    ),
)  # fmt: skip


def generate(account: Account) -> Iterator[Row]:
    """Generate the rows of an account in upstream order: one for each workload that a customer uses of a product."""
    return iter(_SAMPLE_ROWS) if account.name == SAMPLE else _usages(account)


def _usages(account: Account) -> Iterator[Row]:
    rng = Random(f"usage {account.seed}")
    customer, adoption = None, 0.0
    for texts, (deployed, sold), age_weeks in license_deployment.generate(account):
        if texts[_CUSTOMER] != customer:
            # One adoption per customer: rates vary more between customers than between the products of one.
            customer, adoption = texts[_CUSTOMER], rng.random()
        for workload in _workloads(texts[_PRODUCT_NAME]):
            if rng.random() >= _ABSENT_SHARE:
                yield Row((*workload, *texts), (_active(rng, deployed, adoption), sold), age_weeks)


@lru_cache(maxsize=1_024)
def _workloads(product_name: str | None) -> tuple[tuple[str, str], ...]:
    """Return code and name of each workload of a product; without a name, or of other products, none."""
    return next((workloads for text, workloads in _WORKLOADS if text in (product_name or "")), ())


def _active(rng: Random, deployed: int, adoption: float) -> int:
    draw = rng.random()
    if draw < _UNUSED_SHARE:
        return 0
    if draw < _UNUSED_SHARE + _OVERUSED_SHARE:
        return deployed + 1 + int(deployed * rng.random() * 0.3)
    return int(deployed * min(1.0, adoption * (0.7 + 0.6 * rng.random())) + 0.5)


# Source of the path and of the table's spelling: the Microsoft page.
LICENSE_USAGE: Final = SandboxDataset(
    path="analytics/commercial/usage/license",
    fields=FIELDS,
    measures=MEASURES,
    index_field="customerTenantId",
    generate=generate,
    table_names={"licenseActive": "licensesActive"},
    has_bare_example=True,
)
