"""The filter language: accepted syntax, and a comparison of SQLite's matches with those of plain Python."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sandbox.accounts import ACCOUNTS
from gateway.sandbox.datasets.license_deployment import FIELDS, LICENSE_DEPLOYMENT
from gateway.sandbox.dialect import Dialect
from gateway.sandbox.engine import Engine
from gateway.sandbox.odata import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    Condition,
    FilterError,
    ParsedComparison,
    ParsedJunction,
    parse_filter,
)
from gateway.sandbox.parameters import SandboxQuery
from tests.gateway.sandbox.rows import rows_of

_ROWS = rows_of("contoso")[:400]
_ENGINE = Engine(LICENSE_DEPLOYMENT, ACCOUNTS["contoso"])
_VALUES = {field: sorted({str(row[field]) for row in _ROWS if row[field] is not None}) for field in FIELDS}

# Tests write filters as trees of plain tuples: (field, operator, value) or (operator, [trees]).
Tree = tuple[Any, ...]


def _parse(text: str) -> Condition:
    return parse_filter(text, FIELDS)


def _comparisons() -> st.SearchStrategy[Tree]:
    return st.sampled_from(FIELDS).flatmap(
        lambda field: st.tuples(
            st.just(field),
            st.sampled_from(("eq", "ne")),
            st.sampled_from(_VALUES[field])
            | st.sampled_from(_VALUES[field]).map(str.swapcase)
            | st.text(alphabet="aZ'é (x)", max_size=4),
        )
    )


_TREES: st.SearchStrategy[Tree] = st.recursive(
    _comparisons(),
    lambda terms: st.tuples(st.sampled_from(("and", "or")), st.lists(terms, min_size=2, max_size=4)),
    max_leaves=25,
)


def _text(tree: Tree) -> str:
    if len(tree) == 3:
        return f"{tree[0]} {tree[1]} '{tree[2].replace(chr(39), chr(39) * 2)}'"
    return "(" + f" {tree[0]} ".join(_text(term) for term in tree[1]) + ")"


def _holds(tree: Tree, row: dict[str, Any], *, exact: bool) -> bool:
    if len(tree) == 2:
        results = [_holds(term, row, exact=exact) for term in tree[1]]
        return all(results) if tree[0] == "and" else any(results)
    field, operator, value = tree
    stored = row[field]
    if exact:
        equal = stored is not None and stored == value
    else:
        equal = stored is not None and stored.casefold() == value.casefold()
    return equal if operator == "eq" else not equal


def _matches(text: str, *, exact: bool = False) -> list[dict[str, Any]]:
    query = SandboxQuery(_parse(text), (), 10_000, 0)
    rows, _ = _ENGINE.execute(query, dialect=Dialect(first_rows=len(_ROWS), exact=exact))
    return rows


@settings(max_examples=200, deadline=None)
@given(tree=_TREES, exact=st.booleans())
def test_sqlite_matches_the_same_rows_as_plain_python(tree: Tree, exact: bool) -> None:
    expected = [row for row in _ROWS if _holds(tree, row, exact=exact)]
    assert _matches(_text(tree), exact=exact) == expected


@settings(max_examples=100, deadline=None)
@given(words=st.lists(st.tuples(_comparisons(), st.sampled_from(("and", "or"))), min_size=1, max_size=8))
def test_and_binds_tighter_than_or_without_parentheses(words: list[tuple[Tree, str]]) -> None:
    text = "".join(f"{_text(tree)} {word} " for tree, word in words).rsplit(" ", 2)[0]
    alternatives: list[list[Tree]] = [[]]
    for tree, word in words:
        alternatives[-1].append(tree)
        if word == "or":
            alternatives.append([])
    expected = [
        row
        for row in _ROWS
        if any(trees and all(_holds(tree, row, exact=False) for tree in trees) for trees in alternatives)
    ]
    assert _matches(text) == expected


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="()' \tandoreqneserviceCodx%\x00é", max_size=60) | st.text(max_size=30))
def test_any_text_parses_or_raises_filter_error(text: str) -> None:
    with suppress(FilterError):
        _parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "serviceCode eq 'O365'",
        "  serviceCode\teq\n'O365'  ",
        "((serviceCode EQ 'O365'))",
        "serviceCode eq 'O365' AND(channel Ne 'x')",
    ],
)
def test_whitespace_and_keyword_case_do_not_matter(text: str) -> None:
    assert _parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "()",
        "serviceCode",
        "serviceCode eq",
        "serviceCode eq O365",
        "serviceCode eq 'O365",
        "serviceCode eq 'O'Neill'",
        "serviceCode gt 'a'",
        "servicecode eq 'a'",
        "licensesSold eq '5'",
        "serviceCode eq 'a' and",
        "and serviceCode eq 'a'",
        "(serviceCode eq 'a'",
        "serviceCode eq 'a')",
        "serviceCode eq 'a' channel eq 'b'",
        "not serviceCode eq 'a'",
        "serviceCode eq null",
        "serviceCode eq 'a';",
    ],
)
def test_undocumented_syntax_raises_filter_error(text: str) -> None:
    with pytest.raises(FilterError):
        _parse(text)


def test_a_doubled_quote_stands_for_one_quote() -> None:
    assert _parse("customerName eq 'O''''Brien ''s'") == ParsedComparison("customerName", "eq", "O''Brien 's")


def test_nested_junctions_with_one_operator_are_merged() -> None:
    parsed = _parse("channel eq 'a' or (channel eq 'b' or (channel eq 'c'))")
    assert isinstance(parsed, ParsedJunction)
    assert [term.value for term in parsed.terms if isinstance(term, ParsedComparison)] == ["a", "b", "c"]


def test_null_equals_nothing_and_differs_from_everything() -> None:
    null_rows = [row for row in rows_of("contoso") if row["customerName"] is None]
    assert null_rows
    rows, _ = _ENGINE.execute(SandboxQuery(_parse("customerName eq ''"), (), 10_000, 0))
    _, total = _ENGINE.execute(SandboxQuery(_parse("customerName ne 'x'"), (), 1, 0))
    assert all(row["customerName"] == "" for row in rows)
    assert total == 12_000


def test_letters_with_longer_capitals_are_compared_case_insensitively() -> None:
    rows, _ = _ENGINE.execute(SandboxQuery(_parse("customerName eq 'straße & söhne GMBH'"), (), 10_000, 0))
    assert {row["customerName"] for row in rows} == {"Straße & Söhne GmbH", "STRASSE & SÖHNE GMBH"}


def test_parentheses_nest_at_most_fifty_deep() -> None:
    text = "serviceCode eq 'crm'"
    for level in range(MAX_DEPTH):
        text = f"channel eq 'reseller' {'and' if level % 2 else 'or'} ({text})"
    assert _matches(text)
    with pytest.raises(FilterError, match="50 deep"):
        _parse(f"(({text}))")
    with pytest.raises(FilterError, match="50 deep"):
        _parse("(" * 1_000_000)


def test_thousands_of_comparisons_run_within_three_seconds() -> None:
    pairs = [(row["customerTenantId"], row["productId"]) for row in rows_of("contoso")[: MAX_COMPARISONS // 2]]
    chain = " or ".join(f"(customerTenantId eq '{tenant}' and productId eq '{product}')" for tenant, product in pairs)
    started_seconds = time.perf_counter()
    _, total = _ENGINE.execute(SandboxQuery(_parse(chain), (), 10_000, 0))
    assert total == len(pairs)
    assert time.perf_counter() - started_seconds < 3
    with pytest.raises(FilterError, match=f"more than {MAX_COMPARISONS}"):
        _parse(f"{chain} or channel eq 'x'")


def test_a_hundred_thousand_comparisons_raise_filter_error() -> None:
    with pytest.raises(FilterError):
        _parse(" or ".join(["channel eq 'x'"] * 100_000))
