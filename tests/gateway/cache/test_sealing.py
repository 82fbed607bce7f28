"""Names and encryption of entries."""

from __future__ import annotations

import base64
import hmac

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.access_token import HKDF_SALT, AccessToken
from gateway.cache.sealing import entry
from tests.gateway.fakes import UPSTREAM

TOKEN = AccessToken("canary-token")


def test_keys_derived_from_a_token_use_hkdf_and_are_never_shown() -> None:
    standard = HKDF(hashes.SHA256(), 32, HKDF_SALT, b"label").derive(b"canary-token")
    assert TOKEN.derived("label") == TOKEN.derived("label") == standard
    assert TOKEN.derived("other") != standard
    assert AccessToken("canary-token2").derived("label") != standard
    assert repr(TOKEN) == "AccessToken(***)"


def test_a_sealed_value_opens_only_as_its_own_entry() -> None:
    place = entry(UPSTREAM, TOKEN, "block", b"one")
    value = place.seal(b"secret")
    assert place.open(value) == entry(UPSTREAM, AccessToken("canary-token"), "block", b"one").open(value) == b"secret"
    others = [
        entry(UPSTREAM, TOKEN, "block", b"two"),
        entry(UPSTREAM, TOKEN, "question", b"one"),
        entry(UPSTREAM, AccessToken("x"), "block", b"one"),
        entry(UPSTREAM + "/", TOKEN, "block", b"one"),
    ]
    assert [other.open(value) for other in others] == [None] * 4
    assert len({place.name, *(other.name for other in others)}) == 5
    assert b"secret" not in value


def test_sealing_the_same_value_twice_gives_different_bytes() -> None:
    place = entry(UPSTREAM, TOKEN, "block")
    assert place.seal(b"secret") != place.seal(b"secret")


@pytest.mark.parametrize("at", [0, 1, 12, 13, 20, -1])
def test_a_value_with_one_changed_bit_does_not_open(at: int) -> None:
    place = entry(UPSTREAM, TOKEN, "block")
    value = bytearray(place.seal(b"a secret of some length"))
    value[at] ^= 1
    assert place.open(bytes(value)) is None


@pytest.mark.parametrize("bytes_left", range(30))
def test_a_truncated_value_does_not_open(bytes_left: int) -> None:
    place = entry(UPSTREAM, TOKEN, "block")
    assert place.open(place.seal(b"secret")[:bytes_left]) is None


def test_an_entry_shows_neither_token_nor_key() -> None:
    place = entry(UPSTREAM, TOKEN, "block", b"o365")
    assert "canary" not in repr(place)
    assert place._key.hex() not in repr(place)
    assert repr(place._key) not in repr(place)
    assert "o365" not in repr(place)


@pytest.mark.parametrize("kind", ["block", "question", "token", "cool-down"])
def test_the_name_of_an_entry_does_not_hold_its_encryption_key_in_any_encoding(kind: str) -> None:
    """Name and key use different labels: listing the keys of Redis must not reveal how to decrypt."""
    place = entry(UPSTREAM, TOKEN, kind, b"o365")
    text = place.name.removeprefix("pcg:")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert len(raw) == 32
    assert raw != place._key
    identity = b"\0".join((UPSTREAM.encode(), kind.encode(), b"o365"))
    assert raw == hmac.digest(TOKEN.derived("redis locator"), identity, "sha256")
    assert place._key == hmac.digest(TOKEN.derived("redis encryption"), identity, "sha256")
