"""A reference model: filter, group and slice a list of dicts in plain Python, without code of the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.sandbox.dataset import SandboxDataset
from gateway.sandbox.datasets.license_deployment import LICENSE_DEPLOYMENT
from gateway.sandbox.datasets.license_usage import LICENSE_USAGE
from tests.gateway.sandbox.rows import rows_of
from tests.properties.admitted import admitted_by

Row = dict[str, Any]

COMMON = {
    "SERVICE_CODE": "serviceCode",
    "SERVICE_NAME": "serviceName",
    "CHANNEL": "channel",
    "CUSTOMER_TENANT_ID": "customerTenantId",
    "CUSTOMER_NAME": "customerName",
    "PRODUCT_ID": "productId",
    "PRODUCT_NAME": "productName",
}


@dataclass(frozen=True, eq=False)
class Model:
    """A dataset as clients see it.

    ``field`` is that of Query, and ``kind`` the prefix of its types. Dimensions and measures map enum values to fields.
    ``excesses`` and ``rates`` map derived measures to their operands. Measures are not added over ``not_added``.
    """

    field: str
    kind: str
    sandbox: SandboxDataset
    dimensions: dict[str, str]
    stored: dict[str, str]
    excesses: dict[str, str]
    rates: dict[str, str]
    not_added: str | None = None

    @property
    def measures(self) -> tuple[str, ...]:
        """The stored measures."""
        return tuple(self.stored.values())

    @property
    def all_measures(self) -> tuple[str, ...]:
        return (*self.measures, *self.excesses.values(), *self.rates.values())

    @property
    def order_fields(self) -> dict[str, str]:
        return {**self.dimensions, **self.stored, **self.excesses, **self.rates}

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a row that the upstream sends."""
        return (*self.dimensions.values(), *self.measures, "processedDateTime")

    def rows(self, account: str = "contoso") -> list[Row]:
        """Return all rows of an account, with the gateway's names."""
        names = self.sandbox.table_names
        return [
            {names.get(name, name): value for name, value in row.items()}
            for row in rows_of(account, dataset=self.sandbox)
        ]

    def has_totals(self, filter: dict[str, Any] | None) -> bool:
        """Return whether measures may be added up over all rows that a filter admits."""
        return self.not_added is None or len(admitted_by(filter or {}, self.not_added).finite or ()) == 1

    def has_measures(self, filter: dict[str, Any] | None, dimensions: list[str] | None) -> bool:
        """Return whether the measures of the groups may be added up."""
        names = [self.dimensions[name] for name in dimensions or ()]
        return not names or self.not_added in names or self.has_totals(filter)

    def answer(self, rows: list[Row], filter: dict[str, Any] | None, dimensions: list[str] | None) -> list[Row]:
        """Return all rows or groups of a query."""
        selected = [row for row in rows if filter is None or matches(row, filter)]
        groups = self._grouped(selected, dimensions or [])
        if self.has_measures(filter, dimensions):
            return groups
        return [{**group, **dict.fromkeys(self.measures)} for group in groups]

    def _grouped(self, rows: list[Row], dimensions: list[str]) -> list[Row]:
        """Sum the measures of each group, in order of first appearance; other fields are null."""
        names = [self.dimensions[dimension] for dimension in dict.fromkeys(dimensions)]
        if not names:
            return rows
        groups: dict[tuple[Any, ...], Row] = {}
        for row in rows:
            key = tuple(row[name] for name in names)
            group = groups.setdefault(key, {**dict.fromkeys(self.fields), **dict.fromkeys(self.measures, 0)})
            group.update(zip(names, key, strict=True))
            for measure in self.measures:
                group[measure] += row[measure] or 0
        return list(groups.values())


DEPLOYMENTS = Model(
    "licenseDeployments",
    "LicenseDeployment",
    LICENSE_DEPLOYMENT,
    COMMON,
    {"LICENSES_DEPLOYED": "licensesDeployed", "LICENSES_SOLD": "licensesSold"},
    {"LICENSES_UNASSIGNED": "licensesUnassigned", "LICENSES_OVERDEPLOYED": "licensesOverdeployed"},
    {"DEPLOYMENT_RATE": "deploymentRate"},
)
USAGES = Model(
    "licenseUsages",
    "LicenseUsage",
    LICENSE_USAGE,
    {"WORKLOAD_CODE": "workloadCode", "WORKLOAD_NAME": "workloadName", **COMMON},
    {"LICENSES_ACTIVE": "licensesActive", "LICENSES_QUALIFIED": "licensesQualified"},
    {},
    {"USAGE_RATE": "usageRate"},
    not_added="workloadCode",
)
MODELS = (DEPLOYMENTS, USAGES)


def matches(row: Row, filter: dict[str, Any]) -> bool:
    """Return whether a row passes a filter in the form of GraphQL variables."""
    return all(_holds(row, name, condition) for name, condition in filter.items())


def _holds(row: Row, name: str, condition: Any) -> bool:
    if name == "and":
        return all(matches(row, part) for part in condition)
    if name == "or":
        return any(matches(row, part) for part in condition)
    if name == "not":
        return not matches(row, condition)
    return all(_compares(row[name], operator, operand) for operator, operand in condition.items())


def _compares(value: str | None, operator: str, operand: Any) -> bool:
    if operator == "in":
        return any(_equal(value, item) for item in operand)
    if operator == "notIn":
        return not any(_equal(value, item) for item in operand)
    return _equal(value, operand) is (operator == "eq")


def _equal(value: str | None, other: str) -> bool:
    return value is not None and value.casefold() == other.casefold()


def window(
    total: int, *, first: int | None, last: int | None, after: int | None, before: int | None, offset: int | None
) -> tuple[int, int]:
    """Return the range of a page by the Relay specification's algorithm over ``total`` rows."""
    start = 0 if after is None else after + 1
    stop = total if before is None else before
    if offset is not None:
        start = offset
    if first is None and last is None:
        first, last = (None, 100) if before is not None and after is None else (100, None)
    start, stop = min(start, total), min(stop, total)
    stop = max(start, stop)
    if first is not None:
        return start, min(stop, start + first)
    assert last is not None
    return max(start, stop - last), stop
