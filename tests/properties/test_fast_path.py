"""The fast path returns the same bytes for every operation as graphql-core's executor."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from graphql.execution.collect_fields import CollectedFields
from graphql.execution.executor import Executor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.__main__ import build
from gateway.config.environment import read_settings
from gateway.sandbox import create_sandbox
from schema.execution import projection, rendering
from schema.execution.operations import FastExecutor
from tests.conftest import served
from tests.properties.model import DEPLOYMENTS, USAGES, Model

PAGE_INFO_FIELDS = ["hasNextPage", "hasPreviousPage", "startCursor", "endCursor", "__typename"]
CONDITIONS = ["", "", "", " @include(if: $yes)", " @skip(if: $no)", " @skip(if: $yes)", " @include(if: true)"]
CORRELATION_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def leaf(names: list[str]) -> st.SearchStrategy[str]:
    """Draw one leaf, perhaps with an alias. Each alias belongs to one field, so that selections can be merged."""
    return st.builds(
        lambda name, aliased, condition: (f"x_{name.strip('_')}: " if aliased else "") + name + condition,
        st.sampled_from(names),
        st.booleans(),
        st.sampled_from(CONDITIONS),
    )


def selections(type_name: str, fields: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Draw a selection set with nested inline fragments, with and without a type, and with repeated fields."""
    flat = st.lists(fields, min_size=1, max_size=5).map(" ".join)
    fragment = st.sampled_from(["...", f"... on {type_name}", "... @include(if: $yes)", "... @skip(if: $yes)"])
    return st.recursive(
        flat,
        lambda inner: st.builds("{0} {1} {{ {2} }} {3}".format, flat, fragment, inner, flat),
        max_leaves=4,
    )


PAGES = ["", "(first: 3)", "(first: 0)", "(last: 2)", "(offset: 4, first: 5)", "(first: 50)", "(first: $rows)"]
ARGUMENTS = {
    DEPLOYMENTS: [
        "(groupBy: [SERVICE_CODE])",
        "(groupBy: [SERVICE_CODE], orderBy: {field: LICENSES_SOLD}, last: 3)",
        "(orderBy: {field: LICENSES_UNASSIGNED, direction: DESC}, first: 5)",
        '(search: "office", having: {deploymentRate: {gt: 0.5}})',
        "(filter: {serviceCode: {eq: $code}})",
        "(filter: {or: []})",
        "(first: -1)",
        '(after: "x")',
    ],
    USAGES: [
        "(groupBy: [SERVICE_CODE])",
        "(groupBy: [WORKLOAD_CODE], orderBy: {field: USAGE_RATE}, last: 3)",
        '(filter: {workloadCode: {eq: "EXO"}}, groupBy: [CUSTOMER_NAME])',
        '(filter: {workloadCode: {eq: "EXO"}}, having: {usageRate: {lt: 0.5}}, search: "office")',
        "(filter: {serviceCode: {eq: $code}}, orderBy: {field: LICENSES_ACTIVE, direction: DESC})",
    ],
}


def node_fields(dataset: Model) -> st.SearchStrategy[str]:
    derived = [*dataset.excesses.values(), *dataset.rates.values()]
    return leaf([*dataset.fields, *derived, "__typename"])


def connections(dataset: Model) -> st.SearchStrategy[str]:
    """Draw the selection of a connection."""
    kind = dataset.kind
    node = selections(dataset.kind, node_fields(dataset) | st.just("...NodeParts"))
    edge_field = (
        leaf(["cursor", "__typename"])
        | node.map(lambda inside: f"node {{ {inside} }}")
        | node.map(lambda inside: f"same: node {{ {inside} }}")
    )
    field = (
        leaf(["totalCount", "__typename"])
        | node.map(lambda inside: f"nodes {{ {inside} }}")
        | node.map(lambda inside: f"again: nodes {{ {inside} }}")
        | selections(f"{kind}Edge", edge_field).map(lambda inside: f"edges {{ {inside} }}")
        | selections("PageInfo", leaf(PAGE_INFO_FIELDS)).map(lambda inside: f"pageInfo {{ {inside} }}")
        | selections(f"{kind}Totals", leaf([*dataset.all_measures, "__typename"])).map(
            lambda inside: f"totals {{ {inside} }}"
        )
        | st.just("...ConnectionParts")
    )
    return selections(f"{kind}Connection", field)


TYPES = {"yes": "Boolean!", "no": "Boolean!", "rows": "Int", "code": "String"}


def document(kind: str, root: str, second_field: str, node: str, other: str) -> str:
    """Build a document that declares the variables and fragments that it uses."""
    fragments = ""
    if "...ConnectionParts" in root:
        fragments += f" fragment ConnectionParts on {kind}Connection {{ totalCount nodes {{ {other} }} }}"
    if "...NodeParts" in root:
        fragments += f" fragment NodeParts on {kind} {{ {node} }}"
    declared = [f"${name}: {type_name}" for name, type_name in TYPES.items() if f"${name}" in root + fragments]
    return f"query Q{'(' + ', '.join(declared) + ')' if declared else ''} {{ {root} {second_field} }}{fragments}"


SECOND_FIELD = st.sampled_from(["", "", "", "__typename", "two: licenseDeployments(first: 1) { totalCount }"])


def documents(dataset: Model) -> st.SearchStrategy[str]:
    arguments = st.sampled_from([*PAGES, *ARGUMENTS[dataset]])
    root = st.builds(
        "{0}{1}{2} {{ {3} }}".format,
        st.sampled_from(["", "one: "]),
        st.just(dataset.field),
        arguments,
        connections(dataset),
    )
    plain = selections(dataset.kind, node_fields(dataset))
    return st.builds(document, st.just(dataset.kind), root, SECOND_FIELD, plain, plain)


DOCUMENTS = st.one_of([documents(dataset) for dataset in ARGUMENTS])
VARIABLES = st.fixed_dictionaries(
    {"yes": st.booleans(), "no": st.booleans()},
    optional={"rows": st.none() | st.integers(0, 12), "code": st.sampled_from(["crm", "o365"])},
)
TOKENS = st.sampled_from(
    ["contoso+rows=9+nulls+counts=string", "contoso+rows=9", "sample", "tailspin", "contoso+rows=9+counts=big"]
)


class GatewayPairs:
    """Gateways over one upstream, in pairs with and without the fast path: default blocks and tiny blocks."""

    def __init__(self, upstream_url: str) -> None:
        self._loop = asyncio.new_event_loop()
        common: dict[str, Any] = {"upstream_url": upstream_url, "max_query_tokens": 10_000, "max_query_aliases": 1_000}
        tiny = {"first_block_rows": 2, "block_rows": 4}
        self._pairs = [
            (self._client(**common), self._client(**common, fast_path="off")),
            (self._client(**common, **tiny), self._client(**common, **tiny, fast_path="off")),
        ]

    def _client(self, **overrides: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(build(read_settings({}, overrides)))
        headers = {"Accept-Encoding": "identity", "MS-CorrelationId": CORRELATION_ID}
        return httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers, timeout=60)

    def answers(self, document: str, variables: dict[str, Any], token: str) -> list[list[tuple[int, bytes]]]:
        """Return for each pair the ordinary response, then two fast ones, the second of them from a cached plan."""
        return self._loop.run_until_complete(self._answers(document, variables, token))

    async def _answers(self, document: str, variables: dict[str, Any], token: str) -> list[list[tuple[int, bytes]]]:
        request: dict[str, Any] = {
            "json": {"query": document, "variables": variables},
            "headers": {"Authorization": f"Bearer {token}"},
        }
        responses_of_pairs = []
        for fast, ordinary in self._pairs:
            responses = [await client.post("/graphql", **request) for client in (ordinary, fast, fast)]
            responses_of_pairs.append([(response.status_code, response.content) for response in responses])
        return responses_of_pairs

    def close(self) -> None:
        self._loop.close()


@pytest.fixture(scope="module", params=["whole pages", "tiny slices"])
def pairs(request: pytest.FixtureRequest) -> Iterator[GatewayPairs]:
    """Yield pairs that render each page as a whole, and pairs that render it in slices as if it were large."""
    with pytest.MonkeyPatch.context() as patch, served(create_sandbox()) as url:
        if request.param == "tiny slices":
            for module in (projection, rendering):
                patch.setattr(module, "SLICE_ROWS", 3)
            patch.setattr(projection, "MIN_CACHED_COLUMN_ROWS", 2)
            patch.setattr(projection, "STEP_COLUMNS", 2)
        gateways = GatewayPairs(url)
        yield gateways
        gateways.close()


# For a longer run set it in the environment; an example takes some milliseconds.
EXAMPLES = int(os.environ.get("FAST_PATH_EXAMPLES", "60"))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=DOCUMENTS, variables=VARIABLES, token=TOKENS)
@pytest.mark.timeout(3_600)
def test_both_paths_return_the_same_bytes(
    pairs: GatewayPairs, document: str, variables: dict[str, Any], token: str
) -> None:
    for ordinary, *fast in pairs.answers(document, variables, token):
        assert fast == [ordinary, ordinary]


def test_most_generated_operations_return_data_instead_of_an_error(pairs: GatewayPairs) -> None:
    """If all documents failed alike, the comparison would prove nothing."""
    good: list[bool] = []

    @settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(document=DOCUMENTS, variables=VARIABLES)
    def ask(document: str, variables: dict[str, Any]) -> None:
        [[(_, body), *_], _] = pairs.answers(document, variables, "contoso+rows=9")
        good.append(bool(json.loads(body).get("data")))

    ask()
    assert sum(good) > len(good) / 3


def test_the_private_names_that_the_executor_uses_still_exist() -> None:
    """A new version of graphql-core or Strawberry that moves them fails here, with a clear message."""
    assert FastExecutor.__mro__[1] is StrawberryGraphQLCoreExecutionContext
    names = Executor.complete_object_value.__code__.co_varnames[: Executor.complete_object_value.__code__.co_argcount]
    assert names == ("self", "return_type", "field_details_list", "info", "path", "result", "position_context")
    assert FastExecutor.complete_object_value.__code__.co_varnames[: len(names)] == names
    assert CollectedFields._fields[0] == "grouped_field_set"
    assert FastExecutor.collect_subfields is Executor.collect_subfields
