"""What a token itself tells of why Partner Center will refuse it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.cli.token.concerns import concerns
from gateway.page import AccessToken
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
        ({"scp": None, "roles": ["All"]}, ["application alone"]),
        ({"idtyp": "app"}, ["application alone"]),
        ({"amr": ["pwd"]}, ["multi-factor"]),
        ({"amr": []}, ["multi-factor"]),
        ({"amr": None}, ["multi-factor"]),
        ({"amr": {"mfa": 1}}, ["multi-factor"]),
        ({"amr": ["pwd"], "aud": "https://graph.windows.net", "idtyp": "app"}, ["audience", "alone", "multi-factor"]),
    ],
    ids=str,
)
def test_each_reason_is_one_sentence_that_says_what_to_do(claims: dict[str, Any], words: list[str]) -> None:
    found = concerns(AccessToken(access_token(**claims)))
    assert len(found) == len(words)
    assert all(word in sentence for word, sentence in zip(words, found, strict=True))


@pytest.mark.parametrize("token", ["opaque", "a.b", "a.e30.c.d.e", f"a.{part([1])}.c", "a.!.c", "a..c"])
def test_of_a_token_that_cannot_be_read_nothing_is_said(token: str) -> None:
    assert concerns(AccessToken(token)) == []
