"""Encryption of entries in Redis with keys derived from the caller's token.

Each entry has its own name (its Redis key) and its own encryption key. Both are derived from the whole bearer token by
HKDF-SHA256 with separate labels, and from the upstream and the entry's content type and subject. Without the token,
neither can be computed, and a token gives no access to another token's entries. The processes share no secret.
"""

from __future__ import annotations

import base64
import hmac
import os
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.access_token import AccessToken

T = TypeVar("T")

# The format of sealed values. Values of other versions, from other releases of the gateway, cannot be opened.
VERSION = b"\x03"

# NIST SP 800-38D, 8.2: 96 random bits. Each entry has its own key, so nonces cannot run out.
NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """The name and encryption key of a value in Redis. ``name`` is its Redis key, and reveals nothing."""

    name: str
    _key: bytes = field(repr=False)

    def seal(self, plain: bytes) -> bytes:
        """Encrypt ``plain`` for this entry (AES-256-GCM with the name as associated data)."""
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + AESGCM(self._key).encrypt(nonce, plain, self._associated_data)

    def open(self, value: bytes) -> bytes | None:
        """Decrypt ``value``; return None unless it was sealed with this key for this entry in this version."""
        if not value.startswith(VERSION):
            return None
        nonce, ciphertext = value[1 : 1 + NONCE_BYTES], value[1 + NONCE_BYTES :]
        try:
            return AESGCM(self._key).decrypt(nonce, ciphertext, self._associated_data)
        except (InvalidTag, ValueError):
            return None

    def seal_value(self, value: Any) -> bytes:
        """Encode ``value`` as MessagePack and encrypt it."""
        return self.seal(msgspec.msgpack.encode(value))

    def open_value(self, value: bytes, kind: type[T]) -> T | None:
        """Decrypt and decode a value of type ``kind``; return None if it is not one."""
        plain = self.open(value)
        try:
            return None if plain is None else msgspec.msgpack.decode(plain, type=kind)
        except (msgspec.MsgspecError, ValueError):
            return None

    @property
    def _associated_data(self) -> bytes:
        return VERSION + self.name.encode()


def entry(upstream: str, token: AccessToken, kind: str, about: bytes = b"") -> Entry:
    """Return the entry of ``kind`` for an upstream, a token and the subject ``about``."""
    # Neither upstreams nor kinds contain a zero byte, so different entries never share an identity.
    identity = b"\0".join((upstream.encode(), kind.encode(), about))
    name = hmac.digest(token.derived("redis locator"), identity, "sha256")
    key = hmac.digest(token.derived("redis encryption"), identity, "sha256")
    return Entry("pcg:" + base64.urlsafe_b64encode(name).decode().rstrip("="), key)
