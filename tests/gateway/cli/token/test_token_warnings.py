"""Warnings about tokens that Partner Center will refuse."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.access_token import AccessToken
from gateway.cli.token.token_warnings import token_warnings
from tests.gateway.cli.token.identity import access_token, part


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({}, []),
        ({"aud": "fa3d9a0c-3fb0-42cc-9193-47c7ecd2edbd", "ver": "2.0", "amr": None}, []),
        ({"aud": "https://partner.partnercenterapi.microsoftonline.cn/"}, []),
        ({"aud": ["https://api.partnercenter.microsoft.com"], "amr": ["wia", "mfa"]}, []),
        ({"aud": "https://graph.microsoft.com"}, ["audience"]),
        ({"aud": None}, ["audience"]),
        ({"aud": 7}, ["audience"]),
        ({"scp": None, "roles": ["All"]}, ["not to a user"]),
        ({"idtyp": "app"}, ["not to a user"]),
        ({"amr": ["pwd"]}, ["multi-factor"]),
        ({"amr": []}, ["multi-factor"]),
        ({"amr": None}, ["multi-factor"]),
        ({"amr": {"mfa": 1}}, ["multi-factor"]),
        (
            {"amr": ["pwd"], "aud": "https://graph.windows.net", "idtyp": "app"},
            ["audience", "not to a user", "multi-factor"],
        ),
    ],
    ids=str,
)
def test_each_problem_is_one_sentence_that_says_what_to_do(claims: dict[str, Any], words: list[str]) -> None:
    warnings = token_warnings(AccessToken(access_token(**claims)))
    assert len(warnings) == len(words)
    assert all(word in sentence for word, sentence in zip(words, warnings, strict=True))


@pytest.mark.parametrize("token", ["opaque", "a.b", "a.e30.c.d.e", f"a.{part([1])}.c", "a.!.c", "a..c"])
def test_an_unreadable_token_gives_no_warning(token: str) -> None:
    assert token_warnings(AccessToken(token)) == []
