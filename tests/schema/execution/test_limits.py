"""Expensive documents are refused quickly, with a code and a short message."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from graphql import OperationDefinitionNode, SelectionSetNode, get_introspection_query, parse

from gateway.config.groups import Limits
from gateway.errors import QueryTooComplex
from schema.execution.limits import MAX_LINES, Measure, _DocumentMeter, check_document, check_text
from tests.benchmarks.worst import LIMITS, Limit
from tests.schema.http.responses import check_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.conftest import Gateway, StartGateway

# A generous limit, because the checks take milliseconds, and the attacks would take minutes.
MAX_CPU_SECONDS = 2.0

CONNECTION = "LicenseDeploymentConnection"

INTROSPECTION = get_introspection_query(
    descriptions=True,
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
    experimental_directive_deprecation=True,
    one_of=True,
)


def many(count: int, *texts: str) -> str:
    """Repeat each text ``count`` times, with its number in place of #."""
    return " ".join(text.replace("#", str(number)) for number in range(count) for text in texts)


def chain(levels: int, kind: str, spreads: int, end: str) -> str:
    """Return fragments F0 … of type ``kind``, each of which spreads the next one ``spreads`` times."""
    links = (f"fragment F{i} on {kind} {{ {f'...F{i + 1} ' * spreads}}}" for i in range(levels))
    return " ".join([*links, f"fragment F{levels} on {kind} {{ {end} }}"])


def everywhere(count: int) -> Iterable[str]:
    """Return fragments that each spread all later ones."""
    for i in range(count):
        yield f"fragment F{i} on Query {{ __typename {' '.join(f'...F{j}' for j in range(i + 1, count))} }}"


# A root field; each number in place of # needs a separate upstream query.
QUESTIONS = "a#: licenseDeployments(first: #) { totalCount }"

FLOODS = {
    "deep": "{ licenseDeployments " + "{ nodes " * 150 + "}" * 151,
    "deeper than any stack": "{ a " * 100_000,
    "deep lists": "{ licenseDeployments(groupBy: " + "[" * 900 + "]" * 900 + ") { totalCount } }",
    "deep objects": "{ licenseDeployments(filter: " + "{ not: " * 300 + "{}" + "}" * 300 + ") { totalCount } }",
    "deep types": "query ($a: " + "[" * 900 + "Int" + "]" * 900 + ") { __typename }",
    "deep inline fragments": "{ " + "... { " * 190 + "__typename" + " }" * 191,
    "wide": "{ licenseDeployments { " + many(900, "totalCount nodes") + " } }",
    "wide root": "{ " + many(1_900, "__typename") + " }",
    "1,500 aliases": "{ " + many(1_500, "a#: __typename") + " }",
    "aliases": "{ " + many(31, "a#: __typename") + " }",
    "aliases deep inside": "{ licenseDeployments { nodes { " + many(600, "a#: channel") + " } } }",
    "aliases in fragments": "{ " + many(20, "...F#") + "} " + many(20, "fragment F# on Query { a#: id b#: id }"),
    "root fields": "{ " + many(11, "licenseDeployments { totalCount }") + " }",
    "root fields in fragments": "{ ...F0 } " + chain(5, "Query", 2, "__typename"),
    "root fields behind inline fragments": "{ " + "... { " * 125 + many(100, QUESTIONS) + "}" * 126,
    "root fields behind a chain": "{ ...F0 } " + chain(150, "Query", 1, many(60, QUESTIONS)),
    "doubling fragments": "{ ...F0 } " + chain(60, "Query", 2, "__typename"),
    "doubling fragments below": "{ licenseDeployments { ...F0 } } " + chain(60, CONNECTION, 2, "a: totalCount"),
    "fragments that spread all others": "{ ...F0 } " + " ".join(everywhere(30)),
    "overlapping fields": "{ licenseDeployments { " + many(490, "nodes { channel }") + " } }",
    "overlapping edges": "{ licenseDeployments { " + many(280, "edges { node { channel } }") + " } }",
    "comments": "#\n" * 20_000 + "{ __typename }",
    "tokens": "{ licenseDeployments(groupBy: [" + "CHANNEL " * 2_000 + "]) { totalCount } }",
    "operations": many(600, "query Q# { __typename }"),
    "variables": "query (" + many(700, "$v#: Int") + ") { __typename }",
}  # fmt: skip

INVALID = {
    "unused fragments": "{ __typename } " + many(280, "fragment F# on Query { __typename }"),
    "unused variables": "query (" + many(390, "$v#: Int") + ") { __typename }",
    "unknown fields": "{ licenseDeployments { nodes { " + many(1_900, "customerTenantI#") + " } } }",
    "unknown arguments": "{ licenseDeployments(" + many(600, "filte#: 1") + ") { totalCount } }",
    "unknown enum values": "{ licenseDeployments(groupBy: [" + many(1_900, "PRODUCT_I#") + "]) { totalCount } }",
    "unknown directives": "{ __typename " + many(900, "@d#") + " }",
    "repeated directives": "{ __typename " + many(200, "@skip(if: false)") + " }",
    "a huge name": "{ " + "x" * 900_000 + " }",
    "a huge enum value": "{ licenseDeployments(groupBy: " + "X" * 900_000 + ") { totalCount } }",
    "a number of 5,000 digits": "{ licenseDeployments(first: " + "9" * 5_000 + ") { totalCount } }",
    "a fragment that spreads itself": "{ ...F } fragment F on Query { ...F ...F }",
    "fragments that spread one another": "{ ...F } fragment F on Query { ...G ...G } fragment G on Query { ...F ...F }",
    "conflicting fields": "{ licenseDeployments(first: 1) { totalCount } licenseDeployments(first: 2) { totalCount } }",
}

HARMLESS = {
    "commas": "," * 900_000 + "{ __typename }",
    "a huge operation name": "query " + "x" * 900_000 + " { __typename }",
    "a long comment": "#" * 100_000 + "\n{ __typename }",
    "many operations, one of them selected": many(280, "query Q# { __typename }"),
}


class Stopwatch:
    """Return the CPU time of this process, which also runs the gateway."""

    def __enter__(self) -> None:
        self.started = time.process_time()

    def __exit__(self, *_: object) -> None:
        assert time.process_time() - self.started < MAX_CPU_SECONDS


@pytest.mark.parametrize("name", FLOODS)
def test_oversized_documents_are_refused_quickly_with_short_errors(gateway: Gateway, name: str) -> None:
    with Stopwatch():
        response = gateway.post(FLOODS[name])
    check_error(response, "QUERY_TOO_COMPLEX")
    assert len(response.content) < 500


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_document_of_any_size_gets_a_short_response(gateway: Gateway, name: str) -> None:
    with Stopwatch():
        response = gateway.post(INVALID[name])
    check_error(response, "GRAPHQL_VALIDATION_FAILED")
    assert len(response.json()["errors"]) <= 20
    assert len(response.content) < 20_000


@pytest.mark.parametrize("name", HARMLESS)
def test_long_valid_documents_are_answered(gateway: Gateway, name: str) -> None:
    body = {"query": HARMLESS[name], **({"operationName": "Q7"} if "Q7" in HARMLESS[name] else {})}
    with Stopwatch():
        response = gateway.client.post("/graphql", json=body)
    assert response.json() == {"data": {"__typename": "Query"}}


def test_a_document_at_its_limits_is_answered(gateway: Gateway) -> None:
    aliases = many(10, "a#: licenseDeployments(first: #) { b: totalCount c: totalCount }")
    response = gateway.ask(f"{{ {aliases} }}", "contoso+as=at-limits")
    assert len(response["data"]) == 10


def test_a_fragment_counts_at_each_spread_but_costs_only_once(gateway: Gateway) -> None:
    query = "{ licenseDeployments { ...F0 } } " + chain(50, CONNECTION, 2, "totalCount")
    with Stopwatch():
        assert gateway.ask(query)["data"]["licenseDeployments"]["totalCount"] == 12_000


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.description)
def test_the_most_expensive_allowed_query_is_answered_and_any_beyond_is_refused_briefly(
    gateway: Gateway, limit: Limit
) -> None:
    """docs/errors.md lists the cost of the most expensive allowed queries."""
    query, variables = limit.allowed
    passed = gateway.post(query, "contoso+as=worst", variables).json()
    assert "errors" not in passed
    assert any(passed["data"].values())
    query, variables = limit.beyond
    refused = gateway.post(query, "contoso+as=worst", variables)
    check_error(refused, limit.code, 413 if limit.code == "PAYLOAD_TOO_LARGE" else 200)
    assert len(refused.content) < 5_000


@pytest.mark.parametrize(
    "query",
    [
        "{ ...F0 } " + chain(60, "Query", 2, "__typename"),
        "{ ...F0 } " + " ".join(everywhere(40)),
        "{ licenseDeployments { ...F0 } } " + chain(45, CONNECTION, 3, "nodes { channel }"),
    ],
    ids=["doubling", "all others", "tripling"],
)
def test_measuring_visits_each_selection_once(query: str) -> None:
    """Code that expands fragments would visit them billions of times."""
    document = parse(query)
    selections: Counter[int] = Counter()

    class DocumentMeter(_DocumentMeter):
        def selection_set(self, node: SelectionSetNode | None, level: int = 0) -> Measure:
            selections[id(node)] += node is not None
            # The limit, not a later step, must refuse it: expanding the fragments would never end.
            assert node is None or selections[id(node)] == 1
            return super().selection_set(node, level)

    meter = DocumentMeter(document, max_levels=200)
    [operation] = (node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    meter.selection_set(operation.selection_set)
    assert len(selections) > 10


def test_ten_dates_at_their_largest_page_are_answered(gateway: Gateway) -> None:
    """The largest intended use of the defaults: all fields of 10,000 rows, ten times."""
    fields = "nodes { customerTenantId customerName productId productName licensesDeployed licensesSold }"
    dates = many(10, f'a#: licenseDeployments(first: 10000, processedDateTime: "2026-11-1#") {{ {fields} }}')
    assert "errors" not in gateway.ask(f"{{ {dates} }}", "contoso+as=dates")


LISTS = "edges { cursor } nodes { channel }"


@pytest.mark.parametrize(
    "query",
    [
        "{ " + many(6, f"a#: licenseDeployments(first: 10000) {{ {LISTS} }}") + " }",
        "{ " + many(6, f"a#: licenseDeployments(last: 10000) {{ {LISTS} }}") + " }",
        "{ licenseDeployments(first: 10000) { " + many(11, "a#: nodes { channel }") + " } }",
        f"query ($n: Int) {{ {many(6, f'a#: licenseDeployments(first: $n) {{ {LISTS} }}')} }}",
        f"query ($m: Int = 10000) {{ {many(6, f'a#: licenseDeployments(first: $m) {{ {LISTS} }}')} }}",
        "{ " + many(6, "a#: licenseDeployments(first: 10000) { ...F }")
        + f" }} fragment F on {CONNECTION} {{ {LISTS} }}",
        "{ ... { ...Q } } fragment Q on Query { "
        + many(6, f"a#: licenseDeployments(first: 10000) {{ ... {{ {LISTS} }} }}") + " }",
    ],
    ids=["first", "last", "aliases", "variable", "default", "fragment", "root fragment"],
)  # fmt: skip
@pytest.mark.parametrize("fast_path", [True, False])
def test_rows_count_for_each_list_that_may_show_them(start_gateway: StartGateway, query: str, fast_path: bool) -> None:
    """An operation with too many rows is refused before any upstream call, and before the token is checked."""
    response = start_gateway(fast_path=fast_path).post(query, None, {"n": 10_000})
    check_error(response, "QUERY_TOO_COMPLEX")
    assert "'nodes', 'edges'" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "query",
    [
        "{ " + many(10, f"a#: licenseDeployments(first: 5000) {{ {LISTS} }}") + " }",
        "{ licenseDeployments(first: 10000) { " + "nodes { channel } " * 11 + "} }",
        "{ " + many(10, f"a#: licenseDeployments {{ {LISTS} }}") + " }",
        f"query ($n: Int) {{ {many(10, f'a#: licenseDeployments(first: $n) {{ {LISTS} }}')} }}",
    ],
    ids=["halves", "one list said often", "no first", "null"],
)
def test_rows_selected_once_count_once(gateway: Gateway, query: str) -> None:
    assert "errors" not in gateway.ask(query, "contoso+as=rows", n=None)


def test_an_invalid_number_of_rows_is_a_caller_error(gateway: Gateway) -> None:
    response = gateway.post("{ " + many(9, f"a#: licenseDeployments(first: 1000000) {{ {LISTS} }}") + " }")
    check_error(response, "QUERY_TOO_COMPLEX")
    response = gateway.post(f"{{ licenseDeployments(first: 1000000) {{ {LISTS} }} }}")
    assert check_error(response, "BAD_USER_INPUT")["argument"] == "first"


def test_both_lists_of_a_page_are_allowed_with_a_single_root_field(start_gateway: StartGateway) -> None:
    response = start_gateway(max_query_root_fields=1).connection("first: 10000", "contoso+as=both", LISTS)
    assert len(response["nodes"]) == len(response["edges"]) == 10_000


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("query ($v: [LicenseDeploymentFilter!]) { # }", [{}] * 1_990),
        ("query ($v: [LicenseDeploymentFilter!] = [" + "{}" * 400 + "]) { # }", None),
    ],
    ids=["explicit", "by default"],
)
def test_a_variable_counts_at_each_use(gateway: Gateway, query: str, value: object) -> None:
    """Without this limit, ten fields that each used 8 kB 18 times took five seconds."""
    field = "licenseDeployments(filter: {and: [" + "{and: $v} " * 9 + "]}) { totalCount }"
    text = query.replace("#", " ".join(f"a{i}: {field}" for i in range(10)))
    response = gateway.post(text, variables=None if value is None else {"v": value})
    assert check_error(response, "BAD_USER_INPUT")["argument"] == "v"
    once = query.replace("#", "licenseDeployments(filter: {and: $v}) { totalCount }")
    assert "errors" not in gateway.post(once, variables=None if value is None else {"v": value}).json()


def test_a_list_of_a_hundred_values_may_be_used_by_every_root_field(gateway: Gateway) -> None:
    query = many(10, "a#: licenseDeployments(filter: {customerTenantId: {in: $v}}, offset: #) { totalCount }")
    response = gateway.ask(f"query ($v: [String!]) {{ {query} }}", v=[f"{number:036}" for number in range(100)])
    assert "errors" not in response


def test_similar_names_are_suggested_only_for_short_documents_with_introspection_on(
    gateway: Gateway, start_gateway: StartGateway
) -> None:
    """Suggestions would reveal the schema, guess by guess."""
    wrong = "query ($f: LicenseDeploymentFilter) { licenseDeployments(filter: $f) { nodes { chanel } } }"
    input_only = "query ($f: LicenseDeploymentFilter) { licenseDeployments(filter: $f) { totalCount } }"
    closed = start_gateway(introspection=False)
    assert "'channel'" in gateway.post(wrong).json()["errors"][0]["message"]
    assert "'channel'" not in gateway.post("#" * 20_000 + "\n" + wrong).json()["errors"][0]["message"]
    assert "'channel'" not in closed.post(wrong).json()["errors"][0]["message"]
    variables: dict[str, Any] = {"f": {"chanel": {}}}
    assert "'channel'" in gateway.post(input_only, variables=variables).json()["errors"][0]["message"]
    assert "'channel'" not in closed.post(input_only, variables=variables).json()["errors"][0]["message"]


def test_only_the_first_error_of_a_long_document_is_reported(gateway: Gateway) -> None:
    """Finding the position of each error would read a megabyte again."""
    query = "{ licenseDeployments { nodes { " + many(30, "x#") + " } } }"
    assert len(gateway.post(query).json()["errors"]) == 20
    [error] = gateway.post("," * 900_000 + query).json()["errors"]
    assert error["locations"][0]["column"] > 900_000


def test_a_refused_document_is_refused_again(gateway: Gateway) -> None:
    """A cached document must be refused again."""
    for _ in range(2):
        check_error(gateway.post("{ licenseDeployments " + "{ nodes " * 30 + "}" * 31), "QUERY_TOO_COMPLEX")
        check_error(gateway.post("{ nothing }"), "GRAPHQL_VALIDATION_FAILED")
        check_error(gateway.post("{"), "GRAPHQL_PARSE_FAILED")


@pytest.mark.parametrize(
    "value",
    [
        {"not": {"not": {"not": {}}}},
        {"channel": {"in": [1] * 100_000}},
        {"channel": {"in": [None] * 100_000}},
        {f"channe{i}": 1 for i in range(30_000)},
    ],
    ids=["nested", "wrong elements", "nulls", "unknown fields"],
)
def test_huge_variables_get_a_short_response(gateway: Gateway, value: dict[str, Any]) -> None:
    query = "query ($filter: LicenseDeploymentFilter) { licenseDeployments(filter: $filter) { totalCount } }"
    if "not" in value:
        for _ in range(400):
            value = {"not": value}
    with Stopwatch():
        response = gateway.post(query, variables={"filter": value})
    check_error(response, "BAD_USER_INPUT")
    assert len(response.content) < 20_000


@pytest.mark.parametrize(
    "limits",
    [{}, {"max_query_tokens": 10}, {"max_query_depth": 1}, {"max_query_aliases": 0, "max_query_root_fields": 1}],
)
def test_introspection_passes_whatever_the_limits(start_gateway: StartGateway, limits: dict[str, int]) -> None:
    """The query of graphql-js and its tools, with all options."""
    response = start_gateway(**limits).ask(INTROSPECTION, token=None)
    assert "errors" not in response
    assert {kind["name"] for kind in response["data"]["__schema"]["types"]} >= {"LicenseDeployment", "Long", "PageInfo"}


def test_introspection_does_not_raise_limits_for_other_fields(start_gateway: StartGateway) -> None:
    gateway = start_gateway(max_query_tokens=100)
    check_error(gateway.post(f"{INTROSPECTION} query Other {{ __typename }}"), "QUERY_TOO_COMPLEX")
    check_error(gateway.post("{ __schema { queryType { name } } " + many(100, "__typename") + "}"), "QUERY_TOO_COMPLEX")


@pytest.mark.parametrize(
    "query",
    [
        "{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }",
        '{ __type(name: "Query") { fields { type { ' + "ofType { fields { type { " * 20 + "name" + " } } }" * 21 + " }",
    ],
)  # fmt: skip
def test_exponential_introspection_is_refused(gateway: Gateway, query: str) -> None:
    with Stopwatch():
        response = gateway.post(query, token=None)
    assert response.json()["errors"][0]["extensions"]["code"] in ("GRAPHQL_VALIDATION_FAILED", "QUERY_TOO_COMPLEX")


def test_introspection_fails_when_it_is_off(start_gateway: StartGateway) -> None:
    gateway = start_gateway(introspection=False)
    check_error(gateway.post(INTROSPECTION, token=None), "GRAPHQL_VALIDATION_FAILED")
    check_error(gateway.post('{ __type(name: "Query") { name } }', token=None), "GRAPHQL_VALIDATION_FAILED")
    assert gateway.client.get("/schema.graphql").status_code == 404
    assert gateway.ask("{ __typename }", token=None) == {"data": {"__typename": "Query"}}
    assert gateway.connection(token="contoso+as=no-introspection") == {"totalCount": 12_000}


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n"])
def test_a_text_may_have_exactly_the_maximum_number_of_line_breaks(line_break: str) -> None:
    """A carriage return ends a line in GraphQL too; CR LF counts twice."""
    most = MAX_LINES // len(line_break)
    check_text(line_break * most, 2_000)
    with pytest.raises(QueryTooComplex):
        check_text(line_break * (most + 1), 2_000)


def test_a_document_may_have_exactly_the_maximum_number_of_tokens() -> None:
    limits = Limits(100, 8_000, 5, 5.0, 20, 2_000, 30, 10)
    document = parse("{ licenseDeployments { totalCount } }")
    check_document(document, limits, limits.max_query_tokens)
    with pytest.raises(QueryTooComplex):
        check_document(document, limits, limits.max_query_tokens + 1)


def test_each_fragment_of_a_chain_counts_as_a_level_of_nesting() -> None:
    def measured(levels: int) -> Measure:
        document = parse("{ ...F0 } " + chain(levels, "Query", 1, "__typename"))
        [operation] = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        return _DocumentMeter(document, max_levels=10).selection_set(operation.selection_set)

    # F0 to F8, and the selections around and inside them.
    assert measured(8).fields == 1
    with pytest.raises(QueryTooComplex):
        measured(9)
