"""Every page of a view over HTTP equals the page that plain Python makes of the sandbox's rows."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dataset import Dataset
from gateway.paging.cursor import VIEW_VERSION
from gateway.views.order_term import OrderTerm
from schema.build import DATASETS
from tests.conftest import Gateway, StartGateway
from tests.gateway.views import reference
from tests.properties import model
from tests.properties.model import MODELS, Model
from tests.properties.test_truth import BOUNDED, ROWS, SOME, flat_filters, groups, windows

TOKEN = f"contoso+rows={ROWS}+as=views"
BY_NAME: dict[str, Dataset] = {dataset.name: dataset for dataset, _ in DATASETS}


def selections(dataset: Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return measures without excesses, and all: with groups, excesses make the gateway group the rows itself."""
    return ((*dataset.measures, *dataset.rates.values()), dataset.all_measures)


def query_text(dataset: Model, fields: Iterable[str], totals: Iterable[str]) -> str:
    kind, shown = dataset.kind, " ".join(fields)
    return f"""
query Views($filter: {kind}Filter, $groupBy: [{kind}Dimension!], $search: String,
            $having: {kind}Having, $orderBy: [{kind}Order!],
            $first: Int, $last: Int, $after: String, $before: String, $offset: Int) {{
  {dataset.field}(filter: $filter, groupBy: $groupBy, search: $search, having: $having, orderBy: $orderBy,
                  first: $first, last: $last, after: $after, before: $before, offset: $offset) {{
    totalCount
    pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
    edges {{ cursor node {{ {shown} }} }}
    totals {{ {" ".join(totals)} }}
    nodes {{ {shown} }}
  }}
}}
"""


RATES = st.sampled_from([0.0, 0.25, 0.4, 0.5, 0.9, 1.0, 1.5]) | st.integers(0, 1)
FLOAT_CONDITIONS = st.fixed_dictionaries({}, optional=dict.fromkeys(("gt", "gte", "lt", "lte"), RATES))


def havings(dataset: Model) -> st.SearchStrategy[dict[str, Any]]:
    counts = {int(row[dataset.measures[1]] or 0) for row in SOME[dataset]}
    numbers = st.sampled_from(sorted(counts | {-1, 0, 2**63 - 1}))
    long_conditions = st.fixed_dictionaries({}, optional=dict.fromkeys(("eq", "ne", "gt", "gte", "lt", "lte"), numbers))
    on_longs = st.sampled_from([*dataset.measures, *dataset.excesses.values()]).flatmap(
        lambda name: long_conditions.map(lambda condition: {name: condition})
    )
    on_rates = st.sampled_from(sorted(dataset.rates.values())).flatmap(
        lambda name: FLOAT_CONDITIONS.map(lambda condition: {name: condition})
    )
    return st.recursive(
        on_longs | on_rates | st.just({}),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: {"and": parts}),
            st.lists(inner, max_size=3).map(lambda parts: {"or": parts}),
            inner.map(lambda part: {"not": part}),
        ),
        max_leaves=5,
    )


def searches(dataset: Model) -> st.SearchStrategy[str]:
    words = sorted({word for row in SOME[dataset] for word in str(row["customerName"]).split()})
    return (
        st.sampled_from(words)
        | st.sampled_from(words).map(lambda word: word[1:4].upper())
        | st.sampled_from(["", "  ", "office MICROSOFT", "é", "no such row", "bi p", "-4", "share point"])
    )


def orders(dataset: Model) -> st.SearchStrategy[list[dict[str, str]]]:
    return st.lists(
        st.fixed_dictionaries(
            {"field": st.sampled_from(sorted(dataset.order_fields))},
            optional={"direction": st.sampled_from(["ASC", "DESC"])},
        ),
        max_size=3,
    )


@dataclass(frozen=True)
class Asked:
    """A dataset, a query of it, and the measures to select."""

    dataset: Model
    query: dict[str, Any]
    measures: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return (*self.dataset.dimensions.values(), *self.measures, "processedDateTime")

    def text(self, totals: Iterable[str]) -> str:
        return query_text(self.dataset, self.fields, totals)


def without_null_orders(asked: Asked) -> Asked:
    """Return ``asked`` without orders by dimensions that are not grouped by, which are refused."""
    query = asked.query
    if not query.get("groupBy") or not query.get("orderBy"):
        return asked
    nulls = set(asked.dataset.dimensions) - set(query["groupBy"])
    return replace(asked, query={**query, "orderBy": [each for each in query["orderBy"] if each["field"] not in nulls]})


def asked_of(dataset: Model) -> st.SearchStrategy[Asked]:
    queries = st.fixed_dictionaries(
        {},
        optional={
            "filter": flat_filters(dataset),
            "groupBy": groups(dataset),
            "search": st.none() | searches(dataset),
            "having": st.none() | havings(dataset),
            "orderBy": st.none() | orders(dataset),
        },
    )
    built = st.builds(Asked, st.just(dataset), queries, st.sampled_from(selections(dataset)))
    return built.map(without_null_orders)


ASKED = st.sampled_from(MODELS).flatmap(asked_of)

OPERATORS: dict[str, Any] = {
    "eq": lambda one, other: one == other,
    "ne": lambda one, other: one != other,
    "gt": lambda one, other: one > other,
    "gte": lambda one, other: one >= other,
    "lt": lambda one, other: one < other,
    "lte": lambda one, other: one <= other,
}


def holds(dataset: Dataset, row: reference.Row, having: dict[str, Any]) -> bool:
    """Return whether a row meets a condition in the form of GraphQL variables."""
    return all(_holds(dataset, row, name, condition) for name, condition in having.items())


def _holds(dataset: Dataset, row: reference.Row, name: str, condition: Any) -> bool:
    if name == "and":
        return all(holds(dataset, row, part) for part in condition)
    if name == "or":
        return any(holds(dataset, row, part) for part in condition)
    if name == "not":
        return not holds(dataset, row, condition)
    value = reference.visible(reference.measure(dataset, row, name))
    return all(value is not None and OPERATORS[operator](value, number) for operator, number in condition.items())


def answer(asked: Asked, source: list[model.Row] | None = None) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return all rows of a query over ``source`` with all measures, and their totals."""
    dataset, query, shown = BY_NAME[asked.dataset.field], asked.query, asked.dataset
    filter, group_by = query.get("filter"), query.get("groupBy")
    rows: list[Any] = [row for row in source or SOME[shown] if model.matches(row, filter or {})]
    dimensions = [shown.dimensions[name] for name in dict.fromkeys(group_by or [])]
    if dimensions:
        rows = reference.grouped(dataset, rows, dimensions)
    if not shown.has_measures(filter, group_by):
        rows = [{**row, **dict.fromkeys(dataset.measures)} for row in rows]
    search, having = query.get("search") or "", query.get("having") or {}
    searched = dimensions or list(dataset.dimensions)
    rows = [row for row in rows if reference.contains(row, search, searched) and holds(dataset, row, having)]
    terms = [
        OrderTerm(shown.order_fields[order["field"]], order.get("direction") == "DESC")
        for order in query.get("orderBy") or []
    ]
    ordered = [rows[index] for index in reference.ordered(dataset, rows, terms)]
    totals = {name: reference.visible(value) for name, value in reference.totals(dataset, rows).items()}
    return [reference.item(dataset, row) for row in ordered], totals if shown.has_totals(filter) else None


def only(names: Iterable[str], row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def only_totals(names: Iterable[str], totals: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if totals is None else only(names, totals)


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


def cursor_at(gateway: Gateway, asked: Asked, offset: int | None, total: int) -> str | None:
    if offset is None or total == 0:
        return None
    text = asked.text(asked.measures)
    response = gateway.ask(text, TOKEN, **asked.query, offset=min(offset, total - 1), first=1)
    cursor: str = response["data"][asked.dataset.field]["edges"][0]["cursor"]
    return cursor


def is_view(connection: dict[str, Any]) -> bool:
    """Return whether the cursors are of a view: the first byte is the version."""
    cursor = connection["pageInfo"]["startCursor"]
    return cursor is not None and urlsafe_b64decode(cursor[:4])[0] == VIEW_VERSION


@settings(BOUNDED, max_examples=180)
@given(asked=ASKED, where=windows())
def test_any_page_of_a_view_equals_the_models_page(
    gateways: list[Gateway], asked: Asked, where: dict[str, int | None]
) -> None:
    rows, totals = answer(asked)
    cursors = {name: cursor_at(gateways[0], asked, where[name], len(rows)) for name in ("after", "before")}
    places = {
        name: None if cursors[name] is None else min(where[name] or 0, len(rows) - 1) for name in ("after", "before")
    }
    arguments = {"first": where["first"], "last": where["last"], "offset": where["offset"]}
    start, stop = model.window(len(rows), **arguments, **places)

    text = asked.text(asked.measures)
    responses = [gateway.ask(text, TOKEN, **asked.query, **arguments, **cursors) for gateway in gateways]

    assert "errors" not in responses[0], responses[0]["errors"]
    connection, other = (response["data"][asked.dataset.field] for response in responses)
    if not is_view(connection):
        # The cursors of blocks depend on the blocks.
        other["edges"], other["pageInfo"] = connection["edges"], connection["pageInfo"]
    assert connection == other
    shown = [only(asked.fields, row) for row in rows[start:stop]]
    assert connection["nodes"] == shown
    assert [edge["node"] for edge in connection["edges"]] == shown
    assert connection["totalCount"] == len(rows)
    assert connection["totals"] == only_totals(asked.measures, totals)
    info = connection["pageInfo"]
    assert info["hasNextPage"] is (stop < len(rows))
    assert info["hasPreviousPage"] is (start > 0 and len(rows) > 0)
    ends = (connection["edges"][0]["cursor"], connection["edges"][-1]["cursor"]) if stop > start else (None, None)
    assert (info["startCursor"], info["endCursor"]) == ends
    assert len({edge["cursor"] for edge in connection["edges"]}) == stop - start


@settings(BOUNDED, max_examples=25)
@given(asked=ASKED, size=st.integers(1, ROWS + 10), backward=st.booleans())
def test_paging_through_a_view_returns_each_row_once_and_in_order(
    gateways_of_each_tier: list[Gateway], asked: Asked, size: int, backward: bool
) -> None:
    """Each page comes from another process."""
    rows, _ = answer(asked)
    text = asked.text(asked.dataset.measures[:1])
    collected: list[dict[str, Any]] = []
    cursor: str | None = None
    for number in range(len(rows) // size + 2):
        where = {"last": size, "before": cursor} if backward else {"first": size, "after": cursor}
        response = gateways_of_each_tier[number % 2].ask(text, TOKEN, **asked.query, **where)
        connection = response["data"][asked.dataset.field]
        collected = [*connection["nodes"], *collected] if backward else [*collected, *connection["nodes"]]
        info = connection["pageInfo"]
        cursor = info["startCursor"] if backward else info["endCursor"]
        if not info["hasPreviousPage" if backward else "hasNextPage"]:
            break
    assert collected == [only(asked.fields, row) for row in rows]


ODD = [
    "rows=300+nulls",
    "rows=300+nulls+counts=negative",
    "rows=300+nulls+counts=big",
    "rows=1100+counts=big",
    "rows=300+nulls+mixed-dates",
]

OddRows = dict[Model, list[model.Row]]


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest, start_gateway: StartGateway) -> tuple[Gateway, str, OddRows]:
    """A gateway, a token whose rows are unusual, and these rows as the gateway shows them."""
    gateway, token = start_gateway(first_block_rows=7, block_rows=100), f"contoso+as=odd-view+{request.param}"
    rows = {
        dataset: gateway.connection("first: 2000", token, f"nodes {{ {' '.join(dataset.fields)} }}", dataset.field)[
            "nodes"
        ]
        for dataset in MODELS
    }
    return gateway, token, rows


@settings(BOUNDED, max_examples=50)
@given(asked=ASKED)
def test_unusual_rows_are_grouped_and_added_up_exactly(odd: tuple[Gateway, str, OddRows], asked: Asked) -> None:
    """Nulls, negative counts, and sums beyond 64 bits. The gateway groups the rows of deployments itself."""
    gateway, token, source = odd
    dataset = asked.dataset
    query = {name: value for name, value in asked.query.items() if name != "filter"}
    if dataset.not_added is not None:
        # Their groups are always the upstream's, whose null counts are different.
        query.pop("groupBy", None)
    asked = Asked(dataset, query, dataset.all_measures)
    rows, totals = answer(asked, source[dataset])
    response = gateway.ask(asked.text(asked.measures), token, **query, first=2_000)
    assert "errors" not in response, response["errors"]
    connection = response["data"][dataset.field]
    assert connection["nodes"] == [only(asked.fields, row) for row in rows]
    assert connection["totals"] == only_totals(asked.measures, totals)
