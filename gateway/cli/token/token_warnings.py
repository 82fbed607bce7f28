"""Warnings about claims of an access token that Partner Center will refuse."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.access_token import AccessToken, read_claims

# Partner Center docs, secure application model: the API's address, its app id, and its address in 21Vianet.
AUDIENCES = frozenset(
    {
        "https://api.partnercenter.microsoft.com",
        "fa3d9a0c-3fb0-42cc-9193-47c7ecd2edbd",
        "https://partner.partnercenterapi.microsoftonline.cn",
    }
)


class _EntraClaims(msgspec.Struct):
    """Claims of Entra's access tokens; each may have any JSON type."""

    aud: Any = None
    amr: Any = None
    idtyp: Any = None
    scp: Any = None
    ver: Any = None


def token_warnings(token: AccessToken) -> list[str]:
    """Return a sentence per problem, or none if the token is opaque."""
    claims = read_claims(token.reveal(), _EntraClaims)
    return [] if claims is None else list(_warnings(claims))


def _warnings(claims: _EntraClaims) -> Iterable[str]:
    audiences = claims.aud if isinstance(claims.aud, list) else [claims.aud]
    if not any(isinstance(audience, str) and audience.lower().rstrip("/") in AUDIENCES for audience in audiences):
        yield "Its audience is not Partner Center: omit --scope."
    if claims.idtyp == "app" or claims.scp is None:
        yield "It belongs to an application, not to a user: sign in as a user of the partner tenant."
    # Entra's access token claims reference: version 2.0 tokens never have the claim amr (authentication methods).
    if not (claims.amr is None and claims.ver == "2.0") and "mfa" not in _texts(claims.amr):
        yield "The user signed in without multi-factor authentication: sign in again with it."


def _texts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
