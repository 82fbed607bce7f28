"""A reference model: filter, group and slice a list of dicts in plain Python, without code of the gateway."""

from __future__ import annotations

from typing import Any

DIMENSIONS = {
    "SERVICE_CODE": "serviceCode",
    "SERVICE_NAME": "serviceName",
    "CHANNEL": "channel",
    "CUSTOMER_TENANT_ID": "customerTenantId",
    "CUSTOMER_NAME": "customerName",
    "PRODUCT_ID": "productId",
    "PRODUCT_NAME": "productName",
}
MEASURES = ("licensesDeployed", "licensesSold")
FIELDS = (*DIMENSIONS.values(), *MEASURES, "processedDateTime")

Row = dict[str, Any]


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


def grouped(rows: list[Row], dimensions: list[str]) -> list[Row]:
    """Sum the measures of each group, in order of first appearance; other fields are null."""
    names = [DIMENSIONS[dimension] for dimension in dict.fromkeys(dimensions)]
    if not names:
        return rows
    groups: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = tuple(row[name] for name in names)
        group = groups.setdefault(key, {**dict.fromkeys(FIELDS), **dict.fromkeys(MEASURES, 0)})
        group.update(zip(names, key, strict=True))
        for measure in MEASURES:
            group[measure] += row[measure] or 0
    return list(groups.values())


def answer(rows: list[Row], filter: dict[str, Any] | None, dimensions: list[str] | None) -> list[Row]:
    """Return all rows of a query."""
    return grouped([row for row in rows if filter is None or matches(row, filter)], dimensions or [])


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
