"""What the upstream's statuses and error bodies mean.

Bodies come in five shapes (Partner Center docs, error codes and throttling guidance; Store analytics; newer Partner
APIs; Entra), besides empty ones, HTML and fragments. Only a code is taken from them, never text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.config.settings import variable
from gateway.errors import (
    Forbidden,
    GatewayError,
    Unauthenticated,
    UpstreamBadResponse,
    UpstreamRejected,
    UpstreamReply,
    UpstreamUnavailable,
)
from gateway.upstream.cooldown import throttled
from gateway.upstream.decode import without_bom
from gateway.upstream.retry import Failure, Retry

# RFC 9110: what a repetition of the same request may mend.
RETRIED_STATUSES = frozenset({408, 500, 502, 503, 504})

# Partner Center docs, security requirements: the token was given without multi-factor authentication.
MFA_NEEDED = 900421

# What to do about a refused token where nothing better is known.
NEW_TOKEN = "Get a new one and ask again."  # noqa: S105  # a sentence

GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_CODE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CODE_NUMBER = re.compile(r"-?[0-9]{1,18}")

# JSON numbers beyond 64 bits are no codes.
_MAX_CODE = 2**63 - 1


def upstream_reply(status: int, body: bytes, *, answered_id: str | None, sent_id: str) -> UpstreamReply:
    """The facts of an error reply that may be told."""
    request_id = answered_id if answered_id and GUID.fullmatch(answered_id) else sent_id
    return UpstreamReply(status, error_code(body), request_id)


def error_code(body: bytes) -> int | str | None:
    """The code in an error body: an integer, or a short name, else None."""
    try:
        document = msgspec.json.decode(without_bom(body))
    except (ValueError, RecursionError):
        return None
    return next((code for code in map(_usable, _candidates(document)) if code is not None), None)


def _candidates(document: Any) -> Iterable[Any]:
    if isinstance(document, dict):
        yield document.get("code")
        error = document.get("error")
        yield error.get("code") if isinstance(error, dict) else error
        yield document.get("statusCode")


def _usable(value: Any) -> int | str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) <= _MAX_CODE else None
    if not isinstance(value, str):
        return None
    if _CODE_NUMBER.fullmatch(value):
        return int(value)
    return value if _CODE_NAME.fullmatch(value) else None


def failure_for(reply: UpstreamReply, retry_after_seconds: int, token_remedy: str = NEW_TOKEN) -> Failure:
    """What a reply with a status other than 200 means.

    ``retry_after_seconds`` counts for 429 alone, ``token_remedy``, a sentence that says which token to use, for 401.
    """
    status = reply.status or 0
    if status == 429:
        return Failure(throttled(retry_after_seconds, reply))
    return Failure(_error(status, reply, token_remedy), Retry.BACKOFF if status in RETRIED_STATUSES else Retry.NEVER)


def _error(status: int, reply: UpstreamReply, token_remedy: str) -> GatewayError:
    if status == 401:
        return Unauthenticated(_refused_token(reply, token_remedy), upstream=reply)
    if status == 403:
        return Forbidden(
            "The upstream forbids this to the token's user. Ask with a user who has the role.", upstream=reply
        )
    if status == 404:
        return UpstreamRejected(_unknown_path(), upstream=reply)
    if status == 408 or 500 <= status <= 599:
        return UpstreamUnavailable(f"The upstream failed with status {status}. Ask again later.", upstream=reply)
    if 300 <= status <= 499:
        return UpstreamRejected(f"The upstream refused the request with status {status}. Change it.", upstream=reply)
    return UpstreamBadResponse(f"The upstream answered with the unexpected status {status}.", upstream=reply)


def _refused_token(reply: UpstreamReply, remedy: str) -> str:
    if reply.code == MFA_NEEDED:
        return "Multi-factor authentication is needed: get an access token for a user who signed in with it."
    return f"The upstream refused the access token. {remedy}"


def _unknown_path() -> str:
    names = f"{variable('upstream_path_prefix')} and {variable('upstream_trailing_slash')}"
    return f"The upstream has nothing at this path. Tell the operator to check {names}."
