"""Translate the upstream's statuses and error bodies into errors.

Bodies come in five shapes (Partner Center docs, error codes and throttling guidance; Store analytics; newer Partner
APIs; Entra), or are empty, HTML or fragments. Only a code is taken from a body, never text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.config.groups import NEW_TOKEN
from gateway.config.settings import variable
from gateway.errors import (
    Forbidden,
    GatewayError,
    Unauthenticated,
    UpstreamBadResponse,
    UpstreamErrorFacts,
    UpstreamRejected,
    UpstreamUnavailable,
)
from gateway.upstream.codec import without_bom
from gateway.upstream.cooldown import throttled
from gateway.upstream.retry import Failure, Retry

TRY_HTTPS = "If its port speaks TLS, try https:// in GATEWAY_UPSTREAM_URL."

# RFC 9110: statuses after which the same request may succeed.
RETRIED_STATUSES = frozenset({408, 500, 502, 503, 504})

# Advice for codes of 401 and 403 (Partner Center docs, security requirements; the others from public threads).
_ADVICE = {
    900421: "Multi-factor authentication is required. Get an access token for a user who signed in with it.",
    900420: "The token was issued for a retired audience. Get one with Partner Center's scope user_impersonation.",
    900329: "Partner Center refuses app-only tokens here. Get an access token for a user who signed in.",
    900308: "The token's user lacks privileges in Partner Center. Ask an administrator to assign the required role.",
    900309: "Conditional Access of the tenant blocks this token. Sign in again as its policies demand, or ask an"
    " administrator.",
}

# IIS refuses longer query strings, with 404 (its documentation, requestLimits: maxQueryString).
MAX_QUERY_CHARACTERS = 2_048

# The sandbox's own code; Partner Center has no such code.
UNKNOWN_FAULT = "UnknownFault"
_UNKNOWN_FAULT_TEXT = "The sandbox does not know a fault in this token. Run `gateway sandbox --help` for all faults."

GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_CODE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CODE_NUMBER = re.compile(r"-?[0-9]{1,18}")

# Larger JSON numbers than 64 bits hold are not valid codes.
_MAX_CODE = 2**63 - 1


class _SandboxError(msgspec.Struct):
    description: str


def response_facts(status: int, body: bytes, *, response_id: str | None, sent_id: str) -> UpstreamErrorFacts:
    request_id = response_id if response_id and GUID.fullmatch(response_id) else sent_id
    return UpstreamErrorFacts(status, error_code(body), request_id)


def error_code(body: bytes) -> int | str | None:
    """Return the code in an error body (an integer or a short name), or None."""
    try:
        document = msgspec.json.decode(without_bom(body))
    except (ValueError, RecursionError):
        return None
    return next((code for code in map(_usable, _candidates(document)) if code is not None), None)


def description_of(body: bytes) -> str | None:
    """Return the description in an error body of the embedded sandbox, whose texts are the gateway's own."""
    try:
        return msgspec.json.decode(body, type=_SandboxError).description
    except (ValueError, RecursionError):
        return None


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


def failure_for(
    facts: UpstreamErrorFacts,
    retry_after_seconds: int,
    token_remedy: str = NEW_TOKEN,
    *,
    query_characters: int = 0,
    own_text: str | None = None,
    is_plain: bool = False,
) -> Failure:
    """Return the failure for a response with a status other than 200.

    ``retry_after_seconds`` applies only to 429. ``token_remedy``, only for 401, is a sentence naming the token to use.
    ``query_characters`` is the length of the query string, which may be what the upstream refuses. ``own_text`` is
    what the embedded sandbox says. ``is_plain`` is True for plain HTTP if the reader is the operator.
    """
    status = facts.status or 0
    if status == 429:
        return Failure(throttled(retry_after_seconds, facts))
    if status in (400, 404, 414) and query_characters > MAX_QUERY_CHARACTERS:
        message = (
            f"The upstream refused a long query with status {status}. Its filter may be too long: use a shorter one."
        )
        return Failure(UpstreamRejected(message, upstream=facts))
    if is_plain_at_tls_port(status, facts.code, is_plain=is_plain):
        message = f"The upstream refused the request with status 400. {TRY_HTTPS}"
        return Failure(UpstreamRejected(message, upstream=facts))
    if facts.code == UNKNOWN_FAULT:
        return Failure(UpstreamRejected(own_text or _UNKNOWN_FAULT_TEXT, upstream=facts))
    kind, message = _explanation(status, facts.code, token_remedy)
    return Failure(kind(message, upstream=facts), Retry.BACKOFF if status in RETRIED_STATUSES else Retry.NEVER)


def is_plain_at_tls_port(status: int | None, code: int | str | None, *, is_plain: bool) -> bool:
    """Return True if a refusal looks like that of plain HTTP at a TLS port: 400 without a code (nginx, Apache, Go)."""
    return is_plain and status == 400 and code is None


def _explanation(status: int, code: int | str | None, token_remedy: str) -> tuple[type[GatewayError], str]:
    if status in (401, 403) and code in _ADVICE:
        return Unauthenticated if status == 401 else Forbidden, _ADVICE[code]
    if status == 401:
        return Unauthenticated, f"The upstream refused the access token. {token_remedy}"
    if status == 403:
        message = "The token's user lacks permission for this data. Use the token of a user with the required role."
        return Forbidden, message
    if status == 404:
        names = f"{variable('upstream_path_prefix')} and {variable('upstream_trailing_slash')}"
        return UpstreamRejected, f"The upstream does not know this path. Ask the operator to check {names}."
    if status == 408 or 500 <= status <= 599:
        return UpstreamUnavailable, f"The upstream failed with status {status}. Retry later."
    if 300 <= status <= 499:
        return UpstreamRejected, f"The upstream refused the request with status {status}. Change the request."
    return UpstreamBadResponse, f"The upstream returned the unexpected status {status}. Contact the operator."
