"""The gateway's answers in plain Python: filter, group and cut a list of dicts, with no code of the gateway's."""

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


def matches(row: Row, given: dict[str, Any]) -> bool:
    """Whether a row passes a filter as GraphQL's variables write it."""
    return all(_holds(row, name, condition) for name, condition in given.items())


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
    """Sums over the groups, in the order in which groups first appear; the other fields are null."""
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


def answer(rows: list[Row], given: dict[str, Any] | None, dimensions: list[str] | None) -> list[Row]:
    """All rows of a question."""
    return grouped([row for row in rows if given is None or matches(row, given)], dimensions or [])


def window(
    total: int, *, first: int | None, last: int | None, after: int | None, before: int | None, offset: int | None
) -> tuple[int, int]:
    """The range of a page: the Relay specification's algorithm over ``total`` rows."""
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
