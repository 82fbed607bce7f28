"""AccessToken: a caller's bearer token, and what is derived from it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any, TypeVar

import msgspec

from gateway.errors import Unauthenticated

# Visible ASCII without comma, quote and backslash. RFC 6750's b64token is narrower, but real opaque tokens (and the
# sandbox's) use more characters. None of these characters can end a header or start a second credential.
TOKEN = re.compile(r"[!#-+\--\[\]-~]+")

# Entra tokens with many groups reach a few kB; 8 kB must work, tens of kB must not.
MAX_TOKEN_BYTES = 16_384

# RFC 5869, 3.1: not secret; it separates our keys from those that other programs derive from the same token.
HKDF_SALT = b"partner-center-graphql"


class AccessToken:
    """A caller's bearer token. The secret is never part of its repr. Two tokens are equal only if identical.

    ``locator`` is a 32-byte digest of the token, which identifies it in tables without revealing it. ``expires_at`` is
    the ``exp`` claim in seconds since 1970 if the token is a readable JWT, else None. The claim is not verified: it can
    only shorten how long pages are served.
    """

    __slots__ = ("_derived", "_secret", "expires_at", "locator")

    def __init__(self, secret: str) -> None:
        if len(secret) > MAX_TOKEN_BYTES or not TOKEN.fullmatch(secret):
            problem = "malformed." if secret else "empty. Is the variable that holds it set?"
            if len(secret) > MAX_TOKEN_BYTES:
                problem = f"longer than {MAX_TOKEN_BYTES:,} characters."
            raise Unauthenticated(f"The bearer token is {problem} Send 'Authorization: Bearer <access token>'.")
        self._secret = secret
        self.locator = hashlib.blake2b(secret.encode(), digest_size=32, person=b"pcg-locator").digest()
        self.expires_at = _expiry(secret)
        self._derived: dict[str, bytes] = {}

    def reveal(self) -> str:
        """Return the secret, for the Authorization header of an upstream call, or to print a token just obtained."""
        return self._secret

    def seconds_left(self, wall: float) -> float:
        """Return the seconds until the token expires, infinity if unknown. ``wall`` is in seconds since 1970."""
        return float("inf") if self.expires_at is None else self.expires_at - wall

    def derived(self, label: str) -> bytes:
        """Derive 32 secret bytes from the token, different for each ``label``; they do not reveal the token.

        HKDF-SHA256 (RFC 5869) with one block of output.
        """
        key = self._derived.get(label)
        if key is None:
            extracted = hmac.digest(HKDF_SALT, self._secret.encode(), "sha256")
            key = self._derived[label] = hmac.digest(extracted, label.encode() + b"\x01", "sha256")
        return key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccessToken) and self.locator == other.locator

    def __hash__(self) -> int:
        return hash(self.locator)

    def __repr__(self) -> str:
        return "AccessToken(***)"

    def __reduce__(self) -> Any:
        raise TypeError("an access token cannot be pickled or copied")


ClaimsT = TypeVar("ClaimsT", bound=msgspec.Struct)


def read_claims(secret: str, kind: type[ClaimsT]) -> ClaimsT | None:
    """Return the token's unverified claims that ``kind`` declares, or None if it is not a readable JWT."""
    parts = secret.split(".")
    if len(parts) != 3:
        return None
    try:
        # JWT payloads are base64url without padding (RFC 7519, section 3).
        payload = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(payload, type=kind)
    except (ValueError, RecursionError):
        return None


class _Claims(msgspec.Struct):
    exp: float | None = None


def _expiry(secret: str) -> float | None:
    claims = read_claims(secret, _Claims)
    return None if claims is None else claims.exp
