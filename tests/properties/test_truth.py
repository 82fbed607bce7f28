"""Every page over HTTP equals the reference model's page of the sandbox's rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Gateway
from tests.properties import model
from tests.properties.model import MODELS, Model

# Few rows and tiny blocks, so that most pages cross some boundary.
ROWS = 300
SOME = {dataset: dataset.rows()[:ROWS] for dataset in MODELS}
TOKEN = f"contoso+rows={ROWS}+as=truth"
BLOCKS = [(7, 20), (1, 1), (50, 10_000), (20, 20)]
GATEWAYS = [*((*blocks, "on", "hot") for blocks in BLOCKS), (7, 20, "off", "hot"), (7, 20, "on", "packed")]


def query_text(dataset: Model) -> str:
    """Return the document that asks for a page of all fields."""
    fields = " ".join(dataset.fields)
    return f"""
query Truth($filter: {dataset.kind}Filter, $groupBy: [{dataset.kind}Dimension!], $first: Int, $last: Int,
            $after: String, $before: String, $offset: Int) {{
  {dataset.field}(filter: $filter, groupBy: $groupBy, first: $first, last: $last, after: $after, before: $before,
                  offset: $offset) {{
    totalCount
    pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
    edges {{ cursor node {{ {fields} }} }}
    nodes {{ {fields} }}
  }}
}}
"""


QUERIES = {dataset: query_text(dataset) for dataset in MODELS}

BOUNDED = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def values_of(dataset: Model, name: str) -> st.SearchStrategy[str]:
    """Return values of a field in any letter case, and values that no row has."""
    present = sorted({str(row[name]) for row in SOME[dataset] if row[name] is not None})
    real = st.sampled_from(present)
    return st.one_of(
        real, real.map(str.swapcase), st.text(max_size=6).filter(str.isprintable), st.just("O'Neill & 100%")
    )


def conditions_on(dataset: Model, name: str) -> st.SearchStrategy[dict[str, Any]]:
    """A filter on one field."""
    value = values_of(dataset, name)
    values = st.lists(value, max_size=4)
    operators = st.fixed_dictionaries({}, optional={"eq": value, "ne": value, "in": values, "notIn": values})
    return operators.map(lambda condition: {name: condition})


def flat_filters(dataset: Model) -> st.SearchStrategy[dict[str, Any]]:
    """A filter on one field. If measures are not added over one, its values are often the only ones."""
    flat = [conditions_on(dataset, name) for name in dataset.dimensions.values()]
    if (name := dataset.not_added) is not None:
        only = st.sampled_from(sorted({str(row[name]) for row in SOME[dataset]}))
        flat += [only.map(lambda value: {name: {"eq": value}})] * 3
    return st.one_of(flat)


def filters(dataset: Model) -> st.SearchStrategy[dict[str, Any]]:
    flat = flat_filters(dataset)
    return st.recursive(
        flat | st.just({}),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: {"and": parts}),
            st.lists(inner, max_size=3).map(lambda parts: {"or": parts}),
            inner.map(lambda part: {"not": part}),
            st.tuples(inner, flat).map(lambda pair: {**pair[0], **pair[1]}),
        ),
        max_leaves=6,
    )


def groups(dataset: Model) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(sorted(dataset.dimensions)), max_size=4)


@dataclass(frozen=True)
class Asked:
    """The dataset, filter and groups of a query."""

    dataset: Model
    filter: dict[str, Any] | None
    group_by: list[str] | None = None

    @property
    def variables(self) -> dict[str, Any]:
        return {"filter": self.filter, "groupBy": self.group_by}

    @property
    def rows(self) -> list[model.Row]:
        return self.dataset.answer(SOME[self.dataset], self.filter, self.group_by)


ASKED = st.sampled_from(MODELS).flatmap(
    lambda dataset: st.builds(Asked, st.just(dataset), st.none() | filters(dataset), st.none() | groups(dataset))
)
ASKED_FLAT = st.sampled_from(MODELS).flatmap(
    lambda dataset: st.builds(Asked, st.just(dataset), st.none() | flat_filters(dataset))
)
COUNTS = st.integers(0, ROWS + 20)


@st.composite
def windows(draw: st.DrawFn) -> dict[str, int | None]:
    """Draw paging arguments as offsets; the test turns ``after`` and ``before`` into cursors of these rows."""
    arguments: dict[str, int | None] = dict.fromkeys(("first", "last", "after", "before", "offset"))
    direction = draw(st.sampled_from(["first", "last", "neither", "offset"]))
    if direction == "offset":
        return arguments | {"offset": draw(COUNTS), "first": draw(st.none() | COUNTS)}
    if direction != "neither":
        arguments[direction] = draw(COUNTS)
    return arguments | {"after": draw(st.none() | COUNTS), "before": draw(st.none() | COUNTS)}


@pytest.fixture(params=GATEWAYS, ids=str)
def gateway(request: pytest.FixtureRequest, start_gateway: Any) -> Iterator[Any]:
    first, rows, fast_path, tier = request.param
    if tier == "packed":
        request.getfixturevalue("no_hot_tier")
    gateway = start_gateway(first_block_rows=first, block_rows=rows, fast_path=fast_path, max_upstream_calls=1_000)
    yield gateway
    packed = re.search(r"^gateway_cache_packed_entries (\S+)$", gateway.client.get("/metrics").text, re.MULTILINE)
    assert packed
    assert (float(packed[1]) > 0) is (tier == "packed")


def cursor_at(gateway: Any, asked: Asked, offset: int | None, total: int) -> str | None:
    if offset is None or total == 0:
        return None
    text = QUERIES[asked.dataset]
    response = gateway.ask(text, TOKEN, **asked.variables, offset=min(offset, total - 1), first=1)
    cursor: str = response["data"][asked.dataset.field]["edges"][0]["cursor"]
    return cursor


@BOUNDED
@given(asked=ASKED, where=windows())
def test_any_page_equals_the_models_page(gateway: Any, asked: Asked, where: dict[str, int | None]) -> None:
    rows = asked.rows
    cursors = {name: cursor_at(gateway, asked, where[name], len(rows)) for name in ("after", "before")}
    places = {
        name: None if cursors[name] is None else min(where[name] or 0, len(rows) - 1) for name in ("after", "before")
    }
    start, stop = model.window(len(rows), first=where["first"], last=where["last"], offset=where["offset"], **places)

    arguments = {"first": where["first"], "last": where["last"], "offset": where["offset"]}
    response = gateway.ask(QUERIES[asked.dataset], TOKEN, **asked.variables, **arguments, **cursors)

    assert "errors" not in response, response["errors"]
    connection = response["data"][asked.dataset.field]
    assert connection["nodes"] == rows[start:stop]
    assert [edge["node"] for edge in connection["edges"]] == rows[start:stop]
    assert connection["totalCount"] == len(rows)
    info = connection["pageInfo"]
    assert info["hasNextPage"] is (stop < len(rows))
    assert info["hasPreviousPage"] is (start > 0 and len(rows) > 0)
    ends = (connection["edges"][0]["cursor"], connection["edges"][-1]["cursor"]) if stop > start else (None, None)
    assert (info["startCursor"], info["endCursor"]) == ends
    assert len({edge["cursor"] for edge in connection["edges"]}) == stop - start


@settings(BOUNDED, max_examples=25)
@given(size=st.integers(1, ROWS + 10), asked=ASKED_FLAT, backward=st.booleans())
def test_pagination_returns_each_row_once_and_in_order(gateway: Any, size: int, asked: Asked, backward: bool) -> None:
    rows = asked.rows
    collected: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(len(rows) // size + 2):
        where = {"last": size, "before": cursor} if backward else {"first": size, "after": cursor}
        response = gateway.ask(QUERIES[asked.dataset], TOKEN, filter=asked.filter, **where)
        connection = response["data"][asked.dataset.field]
        collected = [*connection["nodes"], *collected] if backward else [*collected, *connection["nodes"]]
        info = connection["pageInfo"]
        cursor = info["startCursor"] if backward else info["endCursor"]
        if not info["hasPreviousPage" if backward else "hasNextPage"]:
            break
    assert collected == rows


FAULTS = [
    "cap=13",
    "over=5",
    "total=missing",
    "total=missing+link=missing",
    "total=low",
    "total=string",
    "total=text+link=always-null",
    "link=on-last",
    "link=always-null",
    "link=foreign",
    "link=loop",
    "link=missing",
    "link=stuck",
    "value-key=value+link-key=@odata.nextLink+total-key=totalCount",
    "bom+gzip",
    "counts=string",
    "counts=float",
    "extra-keys",
    "mixed-dates",
    "names=table",
    "names=both",
]


@pytest.mark.usefixtures("both_tiers")
@pytest.mark.parametrize("faults", FAULTS)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_pagination_over_a_faulty_upstream_returns_each_row_once(
    start_gateway: Any, faults: str, backward: bool
) -> None:
    """Of each dataset."""
    gateway = start_gateway(first_block_rows=10, block_rows=50, max_upstream_calls=1_000)
    for dataset in MODELS:
        _paginate_over_faults(gateway, dataset, f"contoso+rows={ROWS}+as=odd+{faults}", backward=backward)


def _paginate_over_faults(gateway: Gateway, dataset: Model, token: str, *, backward: bool) -> None:
    names = [*dataset.dimensions.values(), *dataset.measures]
    fields = f"nodes {{ {' '.join(names)} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}"
    # Going backward starts at an offset, because some of these upstreams return no total.
    where = "offset: 299, first: 1" if backward else "first: 40"
    collected: list[dict[str, Any]] = []
    for _ in range(ROWS):
        connection = gateway.connection(where, token, fields, dataset.field)
        collected = [*connection["nodes"], *collected] if backward else [*collected, *connection["nodes"]]
        info = connection["pageInfo"]
        if not info["hasPreviousPage" if backward else "hasNextPage"]:
            break
        where = f'last: 40, before: "{info["startCursor"]}"' if backward else f'first: 40, after: "{info["endCursor"]}"'
    assert collected == [{name: row[name] for name in names} for row in SOME[dataset]]
