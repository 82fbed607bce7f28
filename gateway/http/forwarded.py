"""The host, scheme and path prefix that a client used, as a trusted proxy reports them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.config.proxies import Network, is_within
from gateway.http.request_headers import named_headers

PREFIX_HEADER = "X-Forwarded-Prefix"
_PREFIX_NAME = PREFIX_HEADER.lower().encode()

# RFC 3986, section 3.2.2, without user information and percent-encoding: a name, an address, or an IP literal.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(:[0-9]{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")

# Values longer than a host name or a sensible path are not parsed (RFC 1035, section 2.3.4, with a port).
_MAX_CHARACTERS = 262

# Ports that a browser leaves out of an origin (RFC 6454, section 6.2).
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class ForwardedHeaders:
    """ASGI middleware that reads ``X-Forwarded-Host``, ``-Proto`` and ``-Prefix`` of peers in ``networks``.

    The peer is the socket's. Malformed values are ignored, like all values of other peers.
    """

    def __init__(self, app: ASGIApp, networks: Sequence[Network]) -> None:
        self._app = app
        self._is_trusted = lru_cache(maxsize=256)(lambda peer: is_within(peer, networks))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and scope.get("client") and self._is_trusted(scope["client"][0]):
            named = named_headers(scope)
            if (host := _first(named.get(b"x-forwarded-host"))) and _HOST.fullmatch(host):
                scope["state"]["forwarded_host"] = host.lower()
            if (scheme := _first(named.get(b"x-forwarded-proto")).lower()) in _DEFAULT_PORTS:
                scope["scheme"] = scheme
            prefix = _first(named.get(_PREFIX_NAME)).removesuffix("/")
            if _PREFIX.fullmatch(prefix) and not {".", ".."} & set(prefix.split("/")):
                scope["state"]["forwarded_prefix"] = prefix
        return self._app(scope, receive, send)


def public_host(scope: Scope) -> str:
    """Return the host and port that the client used, in lower case; empty if unknown."""
    forwarded: str | None = scope["state"].get("forwarded_host")
    return forwarded if forwarded is not None else named_headers(scope).get(b"host", b"").decode("latin-1").lower()


def public_prefix(scope: Scope) -> str | None:
    """Return the path that a trusted proxy removed from the front of the URL; None if it reported none."""
    prefix: str | None = scope["state"].get("forwarded_prefix")
    return prefix or None


def is_host_of(origin: str, host: str) -> bool:
    """Return True if ``origin`` is at ``host``. Each may state the default port of the origin's scheme."""
    scheme, _, own = origin.lower().partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    return bool(own) and (own == host or (port is not None and own.removesuffix(port) == host.removesuffix(port)))


def _first(value: bytes | None) -> str:
    """Return the first member of a list header; a chain of proxies puts the client's value first."""
    if value is None or len(value) > _MAX_CHARACTERS:
        return ""
    return value.partition(b",")[0].strip(b" \t").decode("latin-1")
