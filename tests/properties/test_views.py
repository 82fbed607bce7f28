"""Every page of a view over HTTP equals the page that plain Python makes of the sandbox's rows."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.paging.cursor import VIEW_VERSION
from gateway.views.order_term import OrderTerm
from schema.datasets.license_deployment import LICENSE_DEPLOYMENTS
from tests.conftest import Gateway, StartGateway
from tests.gateway.views import reference
from tests.properties import model
from tests.properties.test_truth import BOUNDED, FLAT, GROUPS, ROWS, SOME, windows

TOKEN = f"contoso+rows={ROWS}+as=views"
DERIVED = ("licensesUnassigned", "licensesOverdeployed", "deploymentRate")
MEASURES = ("licensesSold", "licensesDeployed", *DERIVED)
ORDER_FIELDS = {
    **model.DIMENSIONS,
    "LICENSES_SOLD": "licensesSold",
    "LICENSES_DEPLOYED": "licensesDeployed",
    "LICENSES_UNASSIGNED": "licensesUnassigned",
    "LICENSES_OVERDEPLOYED": "licensesOverdeployed",
    "DEPLOYMENT_RATE": "deploymentRate",
}

# With groups, the second selection makes the gateway group the rows itself.
SELECTIONS = (("licensesSold", "licensesDeployed", "deploymentRate"), MEASURES)

QUERY = """
query Views($filter: LicenseDeploymentFilter, $groupBy: [LicenseDeploymentDimension!], $search: String,
            $having: LicenseDeploymentHaving, $orderBy: [LicenseDeploymentOrder!],
            $first: Int, $last: Int, $after: String, $before: String, $offset: Int) {{
  licenseDeployments(filter: $filter, groupBy: $groupBy, search: $search, having: $having, orderBy: $orderBy,
                     first: $first, last: $last, after: $after, before: $before, offset: $offset) {{
    totalCount
    pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
    edges {{ cursor node {{ {fields} }} }}
    totals {{ {totals} }}
    nodes {{ {fields} }}
  }}
}}
"""

NUMBERS = st.sampled_from(sorted({int(row["licensesSold"] or 0) for row in SOME} | {-1, 0, 2**63 - 1}))
LONG_CONDITIONS = st.fixed_dictionaries({}, optional=dict.fromkeys(("eq", "ne", "gt", "gte", "lt", "lte"), NUMBERS))
RATES = st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0, 1.5]) | st.integers(0, 1)
FLOAT_CONDITIONS = st.fixed_dictionaries({}, optional=dict.fromkeys(("gt", "gte", "lt", "lte"), RATES))
ON_ONE_MEASURE = st.sampled_from(MEASURES[:4]).flatmap(
    lambda name: LONG_CONDITIONS.map(lambda condition: {name: condition})
) | FLOAT_CONDITIONS.map(lambda condition: {"deploymentRate": condition})
HAVING = st.recursive(
    ON_ONE_MEASURE | st.just({}),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: {"and": parts}),
        st.lists(inner, max_size=3).map(lambda parts: {"or": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=5,
)
WORDS = sorted({word for row in SOME for word in str(row["customerName"]).split()})
SEARCHES = (
    st.sampled_from(WORDS)
    | st.sampled_from(WORDS).map(lambda word: word[1:4].upper())
    | st.sampled_from(["", "  ", "office MICROSOFT", "é", "no such row", "bi p", "-4"])
)
ORDERS = st.lists(
    st.fixed_dictionaries(
        {"field": st.sampled_from(sorted(ORDER_FIELDS))}, optional={"direction": st.sampled_from(["ASC", "DESC"])}
    ),
    max_size=3,
)


def without_null_orders(query: dict[str, Any]) -> dict[str, Any]:
    """Return ``query`` without orders by dimensions that are not grouped by, which are refused."""
    if not query.get("groupBy") or not query.get("orderBy"):
        return query
    nulls = set(model.DIMENSIONS) - set(query["groupBy"])
    return {**query, "orderBy": [order for order in query["orderBy"] if order["field"] not in nulls]}


QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "filter": FLAT,
        "groupBy": GROUPS,
        "search": st.none() | SEARCHES,
        "having": st.none() | HAVING,
        "orderBy": st.none() | ORDERS,
    },
).map(without_null_orders)

OPERATORS: dict[str, Any] = {
    "eq": lambda one, other: one == other,
    "ne": lambda one, other: one != other,
    "gt": lambda one, other: one > other,
    "gte": lambda one, other: one >= other,
    "lt": lambda one, other: one < other,
    "lte": lambda one, other: one <= other,
}


def holds(row: reference.Row, having: dict[str, Any]) -> bool:
    """Return whether a row meets a condition in the form of GraphQL variables."""
    return all(_holds(row, name, condition) for name, condition in having.items())


def _holds(row: reference.Row, name: str, condition: Any) -> bool:
    if name == "and":
        return all(holds(row, part) for part in condition)
    if name == "or":
        return any(holds(row, part) for part in condition)
    if name == "not":
        return not holds(row, condition)
    value = reference.visible(reference.measure(LICENSE_DEPLOYMENTS, row, name))
    return all(value is not None and OPERATORS[operator](value, number) for operator, number in condition.items())


def answer(query: dict[str, Any], source: list[model.Row] = SOME) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return all rows of a query over ``source`` with all measures, and their totals."""
    rows: list[Any] = [row for row in source if model.matches(row, query.get("filter") or {})]
    dimensions = [model.DIMENSIONS[name] for name in dict.fromkeys(query.get("groupBy") or [])]
    if dimensions:
        rows = reference.grouped(LICENSE_DEPLOYMENTS, rows, dimensions)
    search, having = query.get("search") or "", query.get("having") or {}
    searched = dimensions or list(LICENSE_DEPLOYMENTS.dimensions)
    rows = [row for row in rows if reference.contains(row, search, searched) and holds(row, having)]
    terms = [
        OrderTerm(ORDER_FIELDS[order["field"]], order.get("direction") == "DESC")
        for order in query.get("orderBy") or []
    ]
    ordered = [rows[index] for index in reference.ordered(LICENSE_DEPLOYMENTS, rows, terms)]
    totals = {name: reference.visible(value) for name, value in reference.totals(LICENSE_DEPLOYMENTS, rows).items()}
    return [reference.item(LICENSE_DEPLOYMENTS, row) for row in ordered], totals


def only(names: tuple[str, ...], row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in names}


@pytest.fixture
def gateways(start_gateway: StartGateway) -> list[Gateway]:
    """Two gateways that share nothing: with tiny blocks, and with large ones and without the fast path."""
    return _gateways(start_gateway)


@pytest.fixture
def gateways_of_each_tier(both_tiers: str, start_gateway: StartGateway) -> list[Gateway]:
    """The same; in the second case they pack every block and view at once."""
    return _gateways(start_gateway)


def _gateways(start_gateway: StartGateway) -> list[Gateway]:
    tiny = start_gateway(first_block_rows=7, block_rows=20, max_upstream_calls=1_000)
    return [tiny, start_gateway(first_block_rows=50, block_rows=10_000, fast_path="off")]


def cursor_at(gateway: Gateway, text: str, query: dict[str, Any], offset: int | None, total: int) -> str | None:
    if offset is None or total == 0:
        return None
    response = gateway.ask(text, TOKEN, **query, offset=min(offset, total - 1), first=1)
    cursor: str = response["data"]["licenseDeployments"]["edges"][0]["cursor"]
    return cursor


def is_view(connection: dict[str, Any]) -> bool:
    """Return whether the cursors are of a view: the first byte is the version."""
    cursor = connection["pageInfo"]["startCursor"]
    return cursor is not None and urlsafe_b64decode(cursor[:4])[0] == VIEW_VERSION


@settings(BOUNDED, max_examples=150)
@given(query=QUERIES, measures=st.sampled_from(SELECTIONS), where=windows())
def test_any_page_of_a_view_equals_the_models_page(
    gateways: list[Gateway], query: dict[str, Any], measures: tuple[str, ...], where: dict[str, int | None]
) -> None:
    rows, totals = answer(query)
    fields = (*LICENSE_DEPLOYMENTS.dimensions, *measures, "processedDateTime")
    text = QUERY.format(fields=" ".join(fields), totals=" ".join(measures))
    cursors = {name: cursor_at(gateways[0], text, query, where[name], len(rows)) for name in ("after", "before")}
    places = {
        name: None if cursors[name] is None else min(where[name] or 0, len(rows) - 1) for name in ("after", "before")
    }
    arguments = {"first": where["first"], "last": where["last"], "offset": where["offset"]}
    start, stop = model.window(len(rows), **arguments, **places)

    responses = [gateway.ask(text, TOKEN, **query, **arguments, **cursors) for gateway in gateways]

    assert "errors" not in responses[0], responses[0]["errors"]
    connection, other = (response["data"]["licenseDeployments"] for response in responses)
    if not is_view(connection):
        # The cursors of blocks depend on the blocks.
        other["edges"], other["pageInfo"] = connection["edges"], connection["pageInfo"]
    assert connection == other
    shown = [only(fields, row) for row in rows[start:stop]]
    assert connection["nodes"] == shown
    assert [edge["node"] for edge in connection["edges"]] == shown
    assert connection["totalCount"] == len(rows)
    assert connection["totals"] == only(measures, totals)
    info = connection["pageInfo"]
    assert info["hasNextPage"] is (stop < len(rows))
    assert info["hasPreviousPage"] is (start > 0 and len(rows) > 0)
    ends = (connection["edges"][0]["cursor"], connection["edges"][-1]["cursor"]) if stop > start else (None, None)
    assert (info["startCursor"], info["endCursor"]) == ends
    assert len({edge["cursor"] for edge in connection["edges"]}) == stop - start


@settings(BOUNDED, max_examples=25)
@given(query=QUERIES, size=st.integers(1, ROWS + 10), backward=st.booleans())
def test_paging_through_a_view_returns_each_row_once_and_in_order(
    gateways_of_each_tier: list[Gateway], query: dict[str, Any], size: int, backward: bool
) -> None:
    """Each page comes from another process."""
    rows, _ = answer(query)
    fields = (*LICENSE_DEPLOYMENTS.dimensions, *MEASURES)
    text = QUERY.format(fields=" ".join(fields), totals="licensesSold")
    collected: list[dict[str, Any]] = []
    cursor: str | None = None
    for number in range(len(rows) // size + 2):
        where = {"last": size, "before": cursor} if backward else {"first": size, "after": cursor}
        connection = gateways_of_each_tier[number % 2].ask(text, TOKEN, **query, **where)["data"]["licenseDeployments"]
        collected = [*connection["nodes"], *collected] if backward else [*collected, *connection["nodes"]]
        info = connection["pageInfo"]
        cursor = info["startCursor"] if backward else info["endCursor"]
        if not info["hasPreviousPage" if backward else "hasNextPage"]:
            break
    assert collected == [only(fields, row) for row in rows]


ODD = [
    "rows=300+nulls",
    "rows=300+nulls+counts=negative",
    "rows=300+nulls+counts=big",
    "rows=1100+counts=big",
    "rows=300+nulls+mixed-dates",
]


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest, start_gateway: StartGateway) -> tuple[Gateway, str, list[model.Row]]:
    """A gateway, a token whose rows are unusual, and these rows as the gateway shows them."""
    gateway, token = start_gateway(first_block_rows=7, block_rows=100), f"contoso+as=odd-view+{request.param}"
    rows = gateway.connection("first: 2000", token, f"nodes {{ {' '.join(model.FIELDS)} }}")["nodes"]
    return gateway, token, rows


@settings(BOUNDED, max_examples=40)
@given(query=QUERIES)
def test_unusual_rows_are_grouped_and_added_up_exactly(
    odd: tuple[Gateway, str, list[model.Row]], query: dict[str, Any]
) -> None:
    """Nulls, negative counts, and sums beyond 64 bits. The gateway groups the rows itself."""
    gateway, token, source = odd
    query.pop("filter", None)
    rows, totals = answer(query, source)
    fields = (*LICENSE_DEPLOYMENTS.dimensions, *MEASURES, "processedDateTime")
    text = QUERY.format(fields=" ".join(fields), totals=" ".join(MEASURES))
    response = gateway.ask(text, token, **query, first=2_000)
    assert "errors" not in response, response["errors"]
    connection = response["data"]["licenseDeployments"]
    assert connection["nodes"] == [only(fields, row) for row in rows]
    assert connection["totals"] == only(MEASURES, totals)
