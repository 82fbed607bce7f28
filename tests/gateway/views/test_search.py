"""Search against the reference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.views import search_keys
from gateway.views.pieces import whole
from gateway.views.search import containing
from gateway.views.search_words import words_of
from tests.gateway.views import reference
from tests.gateway.views.generated import DIMENSIONS, TEXTS, Generated, SmallRow, table_of, tables

queries = st.lists(st.sampled_from(TEXTS) | st.text(max_size=2), max_size=3).map(" ".join)


@settings(deadline=None)
@given(tables(), queries, st.lists(st.sampled_from(DIMENSIONS), unique=True))
def test_rows_are_found_as_in_the_reference(generated: Generated, text: str, dimensions: list[str]) -> None:
    expected = [reference.contains(row, text, dimensions) for row in generated.rows]
    assert whole(containing(generated.table, words_of(text), dimensions)).tolist() == expected


@settings(deadline=None)
@given(tables())
def test_every_text_finds_its_own_row(generated: Generated) -> None:
    for number, row in enumerate(generated.rows):
        for dimension in DIMENSIONS:
            assert whole(containing(generated.table, words_of(row[dimension] or ""), DIMENSIONS))[number]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Contoso  Ltd", ("contoso", "ltd")),
        ("ltd CONTOSO Ltd.", ("contoso", "ltd", "ltd.")),
        ("", ()),
        (" \t\u00a0\u3000", ()),
        ("\u0301", ()),
        ("a \u0301 b", ("a", "b")),
        ("Straße", ("strasse",)),
        ("x´y", ("x", "y")),
    ],
)
def test_words_are_keys_sorted_and_without_repetition(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == words


ROWS = [
    SmallRow(customer_name="Contoso Café", product_name="Office"),
    SmallRow(customer_name="contoso", product_name=None),
    SmallRow(customer_name="Fabrikam", product_name="CAFE\u0301"),
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("CONTOSO", [True, True, False]),
        ("cafe", [True, False, True]),
        ("ntos off", [True, False, False]),
        ("office contoso", [True, False, False]),
        ("contosocafe", [False, False, False]),
        ("officecontoso", [False, False, False]),
        ("nothing", [False, False, False]),
        ("", [True, True, True]),
    ],
)
def test_each_word_is_found_in_some_dimension(text: str, found: list[bool]) -> None:
    assert whole(containing(table_of(ROWS), words_of(text), DIMENSIONS)).tolist() == found


def test_a_word_is_not_found_across_two_values() -> None:
    """The keys of a column are searched as one text."""
    table = table_of([SmallRow(customer_name="ab"), SmallRow(customer_name="cd")])
    assert whole(containing(table, ["bc"], DIMENSIONS)).tolist() == [False, False]


def test_only_the_given_dimensions_are_searched() -> None:
    """Groups have no others."""
    assert whole(containing(table_of(ROWS), ["office"], ["customerName"])).tolist() == [False, False, False]


def test_words_are_found_in_every_step_of_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also across the end of a step, and among texts that are not ASCII."""
    names = [f"{'x' * number}needle{'é' * (number % 2)}" for number in range(40)]
    for step in (1, 2, 3, 7, 64):
        monkeypatch.setattr(search_keys, "_BYTES_A_STEP", step)
        monkeypatch.setattr(search_keys, "TEXTS_A_STEP", step)
        table = table_of([SmallRow(customer_name=name) for name in [*names, "need", "les", None]])
        assert whole(containing(table, ["needle"], DIMENSIONS)).tolist() == [True] * 40 + [False] * 3
        assert (
            whole(containing(table, ["xneedlee"], DIMENSIONS)).tolist() == [n % 2 == 1 for n in range(40)] + [False] * 3
        )
