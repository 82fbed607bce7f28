"""Why a connection failed, in words for operators, and whether a later attempt could succeed."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from gateway.network.proxies import ProxyAddress
from gateway.network.tunnels import ProxyRefused

# OpenSSL's verification errors (x509_vfy.h) that have their own words; all others mean an unknown authority.
EXPIRED, OTHER_HOST, OTHER_ADDRESS = 10, 62, 64

# The other side hung up during the handshake, which may be an outage, or the handshake was still waiting for data.
_TEMPORARY_TLS = (
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLSyscallError,
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
)

_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})


@dataclass(frozen=True, slots=True)
class Cause:
    """The cause of a failed connection. ``is_permanent`` is True if an operator must change something first."""

    text: str
    is_permanent: bool = False


def cause_of(error: BaseException) -> Cause:
    """Return the cause of an error of the HTTP library or the operating system. It quotes neither of them."""
    errors = list(_chain(error))
    for one in reversed(errors):
        if cause := _known(one):
            return cause
    return Cause(type(errors[-1]).__name__)


def route_of(url: str, proxy: ProxyAddress | None) -> str:
    """Return host and port of ``url``, and the proxy if there is one, for display: without user name and password."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return place if proxy is None else f"{place} through the proxy {proxy.place}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and its causes, the first one of a group."""
    current: BaseException | None = error
    while current is not None:
        yield current
        if isinstance(current, BaseExceptionGroup):
            current = current.exceptions[0]
        else:
            current = current.__cause__ or current.__context__


def _known(error: BaseException) -> Cause | None:
    if isinstance(error, ProxyRefused):
        return _refusal(error.status)
    if isinstance(error, ssl.SSLError) and not isinstance(error, _TEMPORARY_TLS):
        return Cause(_tls_text(error), is_permanent=True)
    if isinstance(error, socket.gaierror):
        return Cause("name not found")
    if isinstance(error, ConnectionRefusedError):
        return Cause("connection refused")
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return Cause("timed out")
    if isinstance(error, httpx.RemoteProtocolError):
        return Cause("malformed or cut response")
    if isinstance(error, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Cause("connection closed")
    if isinstance(error, OSError) and error.errno in _NO_ROUTE:
        return Cause("no route to this host")
    return None


def _refusal(status: int) -> Cause:
    if status == 0:
        return Cause("the proxy does not speak HTTP", is_permanent=True)
    if status == 407:
        return Cause("the proxy wants another user name or password (status 407)", is_permanent=True)
    # A proxy reports the target's outage with 502, 503 or 504.
    return Cause(f"the proxy refused with status {status}", is_permanent=status < 500)


def _tls_text(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        code = getattr(error, "verify_code", None)
        if code == EXPIRED:
            return "certificate expired"
        return "certificate is for another host" if code in (OTHER_HOST, OTHER_ADDRESS) else "certificate not trusted"
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return "it does not speak TLS at this port"
    return f"TLS handshake failed ({(error.reason or 'no reason given').replace('_', ' ').lower()})"
