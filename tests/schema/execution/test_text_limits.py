"""Reading a request takes a bounded time: long strings and comments, and wide objects, are refused before that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import QueryTooComplex
from schema.execution.cost import MAX_OBJECT_MEMBERS
from schema.execution.limits import (
    CHARACTERS_PER_TOKEN,
    MAX_INTROSPECTION_FIELDS,
    MAX_TOKENS_OF_LONG_DOCUMENTS,
    check_text,
)
from tests.conftest import Gateway, StartGateway
from tests.schema.http.responses import check_error

MAX_TOKENS = 2_000
MAX_CHARACTERS = MAX_TOKENS * CHARACTERS_PER_TOKEN

LONG_TEXTS = {
    "string": '"' + "a" * 900_000 + '"',
    "escapes": '"' + r"\n" * 250_000 + '"',
    "Unicode escapes": '"' + r"\u0041" * 100_000 + '"',
    "braced escapes": '"' + r"\u{41}" * 100_000 + '"',
    "surrogate pairs": '"' + r"\ud83d\ude00" * 70_000 + '"',
    "invalid escape at the end": '"' + r"\n" * 250_000 + r'\x"',
    "unterminated string": '"' + "a" * 900_000,
    "block string": '"""' + "a" * 900_000 + '"""',
    "indented block string": '"""' + (" " * 100 + "\n") * 8_000 + '"""',
    "quotes in a block string": '"""' + '"" ' * 150_000 + '"""',
    "escaped quotes in a block string": '"""' + r'\"""' * 100_000 + '"""',
    "unterminated block string": '"""' + "a" * 900_000,
    "integer": "9" * 900_000,
    "fraction": "1." + "9" * 900_000,
    "exponent": "1e" + "9" * 900_000,
    "integers": "99999 " * 150_000,
    "comment": "#" + "x" * 900_000 + "\n1",
    "comments": ("#" + "x" * 100 + "\n") * 8_000 + "1",
    "many strings": ('"' + "a" * 2_000 + '" ') * 450,
    "emoji": '"' + "😀" * 200_000 + '"',
}


@pytest.mark.parametrize("name", LONG_TEXTS)
@pytest.mark.parametrize("argument", ["after", "first", "unknown"])
def test_a_long_literal_or_comment_is_refused(gateway: Gateway, name: str, argument: str) -> None:
    response = gateway.post(f"{{ licenseDeployments({argument}: {LONG_TEXTS[name]}) {{ totalCount }} }}", token=None)
    check_error(response, "QUERY_TOO_COMPLEX")
    assert f"more than {MAX_CHARACTERS} characters" in response.json()["errors"][0]["message"]
    assert len(response.content) < 500


@pytest.mark.parametrize("text", ['"', "#", "9" * 1_001])
def test_a_short_document_may_consist_of_anything(text: str) -> None:
    assert check_text(text + "," * (MAX_CHARACTERS - len(text)), MAX_TOKENS) == MAX_TOKENS
    with pytest.raises(QueryTooComplex):
        check_text(text + "," * (MAX_CHARACTERS - len(text) + 1), MAX_TOKENS)


def test_a_long_document_of_names_has_few_tokens(gateway: Gateway) -> None:
    assert check_text("x" * (MAX_CHARACTERS + 1), MAX_TOKENS) == MAX_TOKENS_OF_LONG_DOCUMENTS
    arguments = [f"{'x' * 10_000}: true"] * 31
    query = "{ licenseDeployments(#) { totalCount } }"
    check_error(gateway.post(query.replace("#", " ".join(arguments[:30]))), "GRAPHQL_VALIDATION_FAILED")
    check_error(gateway.post(query.replace("#", " ".join(arguments))), "QUERY_TOO_COMPLEX")


def test_the_limit_of_characters_follows_the_limit_of_tokens(start_gateway: StartGateway) -> None:
    """A higher limit of tokens allows longer documents, too."""
    gateway = start_gateway(max_query_tokens=20_000)
    query = "{ __typename } #" + "x" * 500_000
    assert "errors" not in gateway.ask(query, token=None)


def test_numbers_with_an_exponent_are_read_as_numbers(gateway: Gateway) -> None:
    """The gateway uses Python's float to read them, because msgspec takes 12 microseconds for each."""
    query = "query ($n: Int) { licenseDeployments(first: $n) { nodes { channel } } }"
    body = '{"query": "' + query + '", "variables": {"n": 0.2e1, "unused": [' + "1.5e300," * 1_000 + "-2.5]}}"
    headers = {"Authorization": "Bearer contoso", "Content-Type": "application/json"}
    response = gateway.client.post("/graphql", content=body, headers=headers).json()
    assert len(response["data"]["licenseDeployments"]["nodes"]) == 2


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"and": [{"not": value}]}], ids=["top", "inside"])
def test_an_object_in_variables_has_a_bounded_width(gateway: Gateway, wrap: Callable[[Any], Any]) -> None:
    """Each unknown field would copy the whole object into its message."""
    query = "query ($f: LicenseDeploymentFilter) { licenseDeployments(filter: $f) { totalCount } }"
    narrow = {f"field{number}": 1 for number in range(MAX_OBJECT_MEMBERS)}
    response = gateway.post(query, variables={"f": wrap(narrow)})
    assert f"{MAX_OBJECT_MEMBERS} members" not in response.json()["errors"][0]["message"]
    response = gateway.post(query, variables={"f": wrap({**narrow, "one": 1})})
    assert check_error(response, "BAD_USER_INPUT")["argument"] == "f"
    assert f"more than {MAX_OBJECT_MEMBERS} members" in response.json()["errors"][0]["message"]


def test_variables_that_the_document_does_not_use_cost_nothing_more(gateway: Gateway) -> None:
    """Clients may send one object of variables with several documents."""
    variables = {f"v{number}": [[number]] for number in range(5_000)}
    assert gateway.ask("{ __typename }", token=None, **variables) == {"data": {"__typename": "Query"}}


EXPENSIVE_SCHEMA_QUERIES = {
    "repeated lists": "fields { args { name } args { description } args { defaultValue } }",
    "fields of fields": "fields { type { ofType { fields { name } } fields { name } } }",
    "inputs of inputs": "inputFields { type { inputFields { name } ofType { inputFields { name } } } }",
}


@pytest.mark.parametrize("name", EXPENSIVE_SCHEMA_QUERIES)
def test_repeated_introspection_is_refused(gateway: Gateway, name: str) -> None:
    inside = f" }} fragment X on __Type {{ {EXPENSIVE_SCHEMA_QUERIES[name]} }}"
    roots = " ".join(f"s{number}: __schema {{ a: types {{ ...X }} b: types {{ ...X }} }}" for number in range(10))
    response = gateway.post(f"{{ {roots}{inside}", token=None)
    check_error(response, "QUERY_TOO_COMPLEX")
    assert f"more than {MAX_INTROSPECTION_FIELDS}" in response.json()["errors"][0]["message"]
    assert "errors" not in gateway.ask(f"{{ __schema {{ types {{ ...X }} }}{inside}", token=None)
