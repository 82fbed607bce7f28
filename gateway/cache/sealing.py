"""Names and seals of what is kept in Redis, made from the caller's token, so that nothing there can be read or forged.

Each entry has a name (its Redis key) and an encryption key of its own. Both are made from the whole bearer token, by
HKDF-SHA256 with separate labels, and then bound to what the entry is about. Who has no token can compute neither, and
who has one can compute nothing of another's. There is no server secret to keep or to share between processes.
"""

from __future__ import annotations

import base64
import hmac
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.page import AccessToken

# The format of every sealed value; another one is another gateway's, and cannot be opened.
VERSION = b"\x01"

# NIST SP 800-38D, 8.2: 96 bits, here random. Each entry has a key of its own, so they cannot run short.
NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in Redis: ``name`` is its key there, and tells nothing."""

    name: str
    _key: bytes = field(repr=False)

    def seal(self, plain: bytes) -> bytes:
        """``plain`` encrypted and bound to this place (AES-256-GCM, with the name as associated data)."""
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + AESGCM(self._key).encrypt(nonce, plain, self._bound)

    def open(self, value: bytes) -> bytes | None:
        """What was sealed; None for all that was not sealed with this key, for this place, in this version."""
        if not value.startswith(VERSION):
            return None
        nonce, sealed = value[1 : 1 + NONCE_BYTES], value[1 + NONCE_BYTES :]
        try:
            return AESGCM(self._key).decrypt(nonce, sealed, self._bound)
        except (InvalidTag, ValueError):
            return None

    @property
    def _bound(self) -> bytes:
        return VERSION + self.name.encode()


def entry(token: AccessToken, kind: str, about: bytes = b"") -> Entry:
    """The place for what a token keeps of ``kind`` about something."""
    # No kind has a zero byte, so that no two places are named by the same bytes.
    identity = kind.encode() + b"\0" + about
    name = hmac.digest(token.derived("redis locator"), identity, "sha256")
    key = hmac.digest(token.derived("redis encryption"), identity, "sha256")
    return Entry("pcg:" + base64.urlsafe_b64encode(name).decode().rstrip("="), key)
