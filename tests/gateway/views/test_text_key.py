"""Text keys: which texts are equal, and how they join."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.views.text_key import text_key, text_keys
from tests.gateway.views import reference


@pytest.mark.parametrize(
    "texts",
    [
        ("Straße", "STRASSE", "strasse"),
        ("ﬁne", "FINE"),
        ("İstanbul", "istanbul", "ISTANBUL"),
        ("café", "cafe\u0301", "CAFE", "Cafe"),
        ("Ⅷ", "viii"),
        ("ｶﾞ", "カ"),
        ("ΣΑΣ", "σας"),
        ("Ångström", "\u212bngstrom"),
        ("\u1e9e", "ss"),
    ],
)
def test_texts_that_differ_in_case_marks_or_form_have_equal_keys(texts: tuple[str, ...]) -> None:
    assert len(set(map(text_key, texts))) == 1


def test_a_dotless_i_and_vowel_signs_of_indic_scripts_count() -> None:
    """They are letters, not marks on letters."""
    assert text_key("ı") != text_key("i")
    assert text_key("कि") != text_key("क")


def test_the_key_of_every_character_is_stable() -> None:
    """Keys of joined texts are joined keys, so this holds for every text, with each version of Unicode."""
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    key = text_key(every)
    assert text_key(key) == key


@settings(deadline=None)
@given(st.text(), st.text())
def test_the_key_of_joined_texts_is_their_keys_joined(one: str, other: str) -> None:
    assert text_key(one + other) == text_key(one) + text_key(other) == reference.text_key(one + other)


@settings(deadline=None)
@given(st.lists(st.text() | st.text("aB \n")))
def test_the_keys_of_many_texts_are_the_key_of_each(texts: list[str]) -> None:
    assert text_keys(texts) == list(map(text_key, texts))


@pytest.mark.parametrize("two", ["\u0301\u0316", "\u0f73", "\u0f81"], ids=["marks", "one of two", "another of two"])
def test_any_number_of_marks_vanishes(two: str) -> None:
    """Python normalizes a million marks in a row for hours. Some vowel signs are made of two marks."""
    marks = two * 500_000
    assert text_key(f"Ce{marks}dil{marks}la") == "cedilla"
