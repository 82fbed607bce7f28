"""Why Partner Center will refuse a token, as far as the token itself tells."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.page import AccessToken, read_claims

# Partner Center docs, secure application model: the API by its address and by its app id, and as 21Vianet has it.
AUDIENCES = frozenset(
    {
        "https://api.partnercenter.microsoft.com",
        "fa3d9a0c-3fb0-42cc-9193-47c7ecd2edbd",
        "https://partner.partnercenterapi.microsoftonline.cn",
    }
)


class _Claims(msgspec.Struct):
    """Claims of Entra's access tokens, of whatever type they are found to be."""

    aud: Any = None
    amr: Any = None
    idtyp: Any = None
    scp: Any = None
    ver: Any = None


def concerns(token: AccessToken) -> list[str]:
    """Sentences for its user; none for a token that nobody but Partner Center can read."""
    claims = read_claims(token.reveal(), _Claims)
    return [] if claims is None else list(_concerns(claims))


def _concerns(claims: _Claims) -> Iterable[str]:
    audiences = claims.aud if isinstance(claims.aud, list) else [claims.aud]
    if not any(isinstance(one, str) and one.lower().rstrip("/") in AUDIENCES for one in audiences):
        yield "It is for another audience than Partner Center: leave --scope out."
    if claims.idtyp == "app" or claims.scp is None:
        yield "It belongs to an application alone, not to a user: sign in as a user of the partner tenant."
    # Entra's access token claims reference: tokens of version 2.0 never tell how the user signed in.
    if not (claims.amr is None and claims.ver == "2.0") and "mfa" not in _texts(claims.amr):
        yield "Its user signed in without multi-factor authentication: sign in with it."


def _texts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
