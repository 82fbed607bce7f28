"""Why an operation of Redis failed, in words for operators, and which setting to check."""

from __future__ import annotations

from dataclasses import replace

from redis import exceptions

from gateway.network.causes import NO_TLS, NOT_FOUND, REFUSED, TIMED_OUT, Cause, cause_of

_PLACE_REMEDY = "Check the host and the port in GATEWAY_CACHE_URL, and that the server runs."
_CLOSED = "connection closed"

# By the kind of error; more special kinds come first.
_CAUSES: dict[type[Exception], Cause] = {
    exceptions.AuthenticationError: Cause(
        "it wants another user name or password",
        remedy="Correct them in GATEWAY_CACHE_URL: redis://:password@host, or redis://user:password@host.",
    ),
    exceptions.NoPermissionError: Cause(
        "the user lacks a permission",
        remedy="Allow it GET, SET, EXPIRE and similar commands for keys that begin with pcg:.",
    ),
    exceptions.ReadOnlyError: Cause(
        "it is a read-only replica", remedy="Name the primary server in GATEWAY_CACHE_URL."
    ),
    exceptions.OutOfMemoryError: Cause(
        "its memory is full", remedy="Raise its maxmemory, or set maxmemory-policy to allkeys-lru."
    ),
    exceptions.ResponseError: Cause(
        "it refused a command", remedy="Check the number of the database at the end of GATEWAY_CACHE_URL."
    ),
    exceptions.InvalidResponse: Cause("it does not answer like Redis", remedy=_PLACE_REMEDY),
}

# Remedies of failed connections, by cause.
_REMEDIES = {
    REFUSED: _PLACE_REMEDY,
    NOT_FOUND: _PLACE_REMEDY,
    TIMED_OUT: _PLACE_REMEDY,
    NO_TLS: "Try redis:// in GATEWAY_CACHE_URL.",
    _CLOSED: "Check GATEWAY_CACHE_URL. A port with TLS needs rediss://.",
}


def redis_cause(error: BaseException) -> Cause:
    """Return the cause of a failed operation; the remedy names the setting."""
    own = next((cause for kind, cause in _CAUSES.items() if isinstance(error, kind)), None)
    if own is not None:
        return own
    cause = cause_of(error)
    # The library's own errors, which have no cause if it noticed the end of a connection itself.
    if cause.text == exceptions.ConnectionError.__name__:
        cause = Cause(_CLOSED)
    return replace(cause, remedy=cause.remedy or _REMEDIES.get(cause.text, ""))
