"""A request's headers by name, parsed once for all middleware."""

from __future__ import annotations

from starlette.types import Scope


def named_headers(scope: Scope) -> dict[bytes, bytes]:
    """Return the headers by lower-case name; for repeated headers, the first value.

    They are cached in the request's scope, because every middleware needs them.
    """
    state = scope.setdefault("state", {})
    headers: dict[bytes, bytes] | None = state.get("headers")
    if headers is None:
        headers = state["headers"] = dict(reversed(scope["headers"]))
    return headers


def list_header(scope: Scope, name: bytes) -> str:
    """Return the list in the header ``name``, which may be repeated (RFC 9110, section 5.3); empty if it is missing."""
    headers = named_headers(scope)
    if len(headers) == len(scope["headers"]):
        return headers.get(name, b"").decode("latin-1")
    return ",".join(value.decode("latin-1") for known, value in scope["headers"] if known == name)
