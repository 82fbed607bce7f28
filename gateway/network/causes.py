"""Why a connection failed, in words for operators, and whether a later attempt could succeed."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from gateway.network.tunnels import ProxyRefused, ProxySilent, ProxyUnreachable

# OpenSSL's verification errors (x509_vfy.h) that have their own words; all others mean an unknown authority.
EXPIRED, OTHER_HOST, OTHER_ADDRESS = 10, 62, 64

_UNTRUSTED = "certificate not trusted"
REFUSED, NOT_FOUND, TIMED_OUT = "connection refused", "name not found", "timed out"
NO_TLS = "it does not speak TLS at this port"

# Statuses of servers that do not know CONNECT, and of those that redirect it.
_NO_PROXY = frozenset({*range(300, 400), 400, 404, 405, 501})

# A proxy reports with these that it cannot reach the target (RFC 9110, sections 15.6.3 to 15.6.5).
_TARGET_FAILED = frozenset({502, 503, 504})

# Ways to sign in that need more than a user name and a password, as written in messages.
_OTHER_SCHEMES = {"negotiate": "Negotiate", "ntlm": "NTLM", "kerberos": "Kerberos", "digest": "Digest"}

# The other side hung up during the handshake, which may be an outage, or the handshake was still waiting for data.
_TEMPORARY_TLS = (
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLSyscallError,
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
)

# What an operator can do about some causes.
TRUST_REMEDY = (
    "If a company's own authority issued it, name a PEM file in SSL_CERT_FILE with that authority, and with"
    " intermediate ones that the server does not send."
)
_SIGN_IN_REMEDY = "Put them into the proxy's address: http://user:password@proxy.example:8080."
_RELAY_REMEDY = "Run a local proxy such as Px or cntlm in between, and name that one in {variable}."
_RULES_REMEDY = "Ask the proxy's administrator to allow this host and port, or list the host in NO_PROXY."

_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})


@dataclass(frozen=True, slots=True)
class Cause:
    """The cause of a failed connection. ``is_permanent`` is True if an operator must change something first.

    ``remedy`` is a sentence that says what to change; it is empty if nothing is known.
    """

    text: str
    is_permanent: bool = False
    remedy: str = ""

    def unreachable(self, route: str) -> str:
        """Return the message that ``route`` cannot be reached, for operators."""
        return " ".join(filter(None, (f"Cannot reach {route}: {self.text}.", self.remedy)))


def proxy_remedy(variable: str) -> str:
    """Return what to do about a proxy that does not work as one; ``variable`` names it."""
    return f"Check the proxy's address in {variable}."


def silent_proxy(variable: str) -> Cause:
    """Return the cause of a time that ran out before a tunnel was open."""
    return Cause("the proxy does not answer", remedy=proxy_remedy(variable))


def cause_of(error: BaseException) -> Cause:
    """Return the cause of an error of the HTTP library or the operating system. It quotes neither of them."""
    errors = list(_chain(error))
    causes = filter(None, map(_known, reversed(errors)))
    cause = next(causes, Cause(type(errors[-1]).__name__))
    proxy = next((one for one in errors if isinstance(one, ProxyUnreachable)), None)
    if proxy is None:
        return cause
    remedy = f"Try http:// in {proxy.variable}." if cause.text == NO_TLS else proxy_remedy(proxy.variable)
    return Cause(f"the proxy cannot be reached ({cause.text})", cause.is_permanent, cause.remedy or remedy)


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
        return _refusal(error)
    if isinstance(error, ProxySilent):
        return silent_proxy(error.variable)
    if isinstance(error, ssl.SSLError) and not isinstance(error, _TEMPORARY_TLS):
        text = _tls_text(error)
        return Cause(text, is_permanent=True, remedy=TRUST_REMEDY if text == _UNTRUSTED else "")
    if isinstance(error, socket.gaierror):
        return Cause(NOT_FOUND)
    if isinstance(error, ConnectionRefusedError):
        return Cause(REFUSED)
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return Cause(TIMED_OUT)
    if isinstance(error, httpx.RemoteProtocolError):
        return Cause("malformed or cut response")
    if isinstance(error, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Cause("connection closed")
    if isinstance(error, OSError) and error.errno in _NO_ROUTE:
        return Cause("no route to this host")
    return None


def _refusal(error: ProxyRefused) -> Cause:
    status, remedy = error.status, proxy_remedy(error.variable)
    if status == 0:
        text = f"{remedy} If the proxy itself speaks TLS, try https://."
        return Cause("the proxy does not speak HTTP", is_permanent=True, remedy=text)
    if status == 407:
        return _sign_in(error)
    if status in _NO_PROXY:
        text = f"This address may not be a forward proxy. {remedy}"
        return Cause(f"the proxy refused with status {status}", is_permanent=True, remedy=text)
    if status in _TARGET_FAILED:
        text = "Check that host's address, and whether it must be reached without the proxy (NO_PROXY)."
        return Cause(f"the proxy could not reach the host (status {status})", remedy=text)
    is_permanent = status < 500
    return Cause(f"the proxy refused with status {status}", is_permanent, _RULES_REMEDY if is_permanent else "")


def _sign_in(error: ProxyRefused) -> Cause:
    """Return the cause of status 407."""
    offered = [name for scheme, name in _OTHER_SCHEMES.items() if scheme in error.schemes]
    if offered and "basic" not in error.schemes:
        text = f"the proxy wants {' or '.join(offered)}, which the gateway does not speak (status 407)"
        return Cause(text, is_permanent=True, remedy=_RELAY_REMEDY.format(variable=error.variable))
    text = "the proxy wants another user name or password (status 407)"
    return Cause(text, is_permanent=True, remedy=_SIGN_IN_REMEDY)


def _tls_text(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        code = getattr(error, "verify_code", None)
        if code == EXPIRED:
            return "certificate expired"
        return "certificate is for another host" if code in (OTHER_HOST, OTHER_ADDRESS) else _UNTRUSTED
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return NO_TLS
    return f"TLS handshake failed ({(error.reason or 'no reason given').replace('_', ' ').lower()})"
