"""Connections to the upstream, and what the HTTP library's errors mean.

The transport is used without the library's client around it: so there is no cookie jar, no redirect is followed, no
environment variable is read and no URL is logged.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from typing import Any

import h11
import httpx

from gateway.errors import (
    GatewayError,
    InternalServerError,
    UpstreamBadResponse,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.upstream.retry import Failure, Retry
from gateway.upstream.slots import no_connection_left

# As many as httpx keeps by default; idle connections beyond it would only age.
MAX_IDLE_CONNECTIONS = 20
# Load balancers in front of Azure services drop idle connections after minutes; httpx's default is 5 s.
IDLE_SECONDS = 30.0


class Connections:
    """Two pools: ``kept`` reuses connections, ``fresh`` opens one for each request.

    A ``transport`` that is given, such as an embedded application's, serves as both.
    """

    def __init__(self, max_connections: int, transport: httpx.AsyncBaseTransport | None = None) -> None:
        _silence()
        if transport is None:
            # SSL_CERT_FILE and SSL_CERT_DIR count, as for most programs: a company's own authority is in them.
            trust = httpx.create_ssl_context(trust_env=True)
            self.kept = _pool(trust, max_connections, min(MAX_IDLE_CONNECTIONS, max_connections))
            self.fresh = _pool(trust, max_connections, 0)
        else:
            self.kept = self.fresh = transport

    async def aclose(self) -> None:
        """Close every connection."""
        await self.kept.aclose()
        if self.fresh is not self.kept:
            await self.fresh.aclose()


def _pool(trust: ssl.SSLContext, max_connections: int, idle: int) -> httpx.AsyncBaseTransport:
    limits = httpx.Limits(
        max_connections=max_connections, max_keepalive_connections=idle, keepalive_expiry=IDLE_SECONDS
    )
    return httpx.AsyncHTTPTransport(verify=trust, trust_env=False, http2=False, retries=0, limits=limits)


class HandshakeGuard:
    """Closes a connection whose TLS handshake is cancelled, for the library would leave it open.

    One of these is the ``trace`` extension of each request (httpx documentation, request extensions).
    """

    def __init__(self) -> None:
        self._stream: Any = None

    async def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        """Note an event of the request."""
        if event == "connection.connect_tcp.complete":
            self._stream = facts["return_value"]
        elif event == "connection.start_tls.complete":
            self._stream = None
        elif event == "connection.start_tls.failed" and self._stream is not None:
            await self._stream.aclose()


def _silence() -> None:
    # Below WARNING these tell of every request, with addresses and headers.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def timed_out() -> GatewayError:
    """For attempts that got no whole reply in time."""
    return UpstreamTimeout("The upstream did not answer in time. Ask again, or for fewer rows.")


def _unreachable() -> GatewayError:
    return UpstreamUnavailable("The upstream cannot be reached. Ask again later.")


def _cut() -> GatewayError:
    return UpstreamUnavailable("The upstream closed the connection before it had answered. Ask again later.")


def garbled() -> GatewayError:
    """For replies that are not what HTTP and JSON allow."""
    return UpstreamBadResponse(
        "The upstream's reply is truncated or garbled. Ask again; if it stays, tell the operator."
    )


def _too_long() -> GatewayError:
    return UpstreamRejected("The question is too long for the upstream. Use a shorter filter.")


# Every error of the library that ends a branch of its tree; a test fails when it grows another.
FOREIGN: Mapping[type[Exception], tuple[object, Retry]] = {
    httpx.ConnectTimeout: (timed_out, Retry.TIMEOUT),
    httpx.ReadTimeout: (timed_out, Retry.TIMEOUT),
    httpx.WriteTimeout: (timed_out, Retry.TIMEOUT),
    httpx.PoolTimeout: (no_connection_left, Retry.NEVER),
    httpx.ConnectError: (_unreachable, Retry.BACKOFF),
    httpx.ReadError: (_cut, Retry.ONCE),
    httpx.WriteError: (_cut, Retry.ONCE),
    httpx.CloseError: (_cut, Retry.ONCE),
    httpx.RemoteProtocolError: (garbled, Retry.ONCE),
    httpx.DecodingError: (garbled, Retry.ONCE),
    httpx.InvalidURL: (_too_long, Retry.NEVER),
    # The rest cannot happen in the way the transport is used; a bug of the gateway's is what they would be.
    httpx.LocalProtocolError: (InternalServerError, Retry.NEVER),
    httpx.ProxyError: (InternalServerError, Retry.NEVER),
    httpx.UnsupportedProtocol: (InternalServerError, Retry.NEVER),
    httpx.TooManyRedirects: (InternalServerError, Retry.NEVER),
    httpx.HTTPStatusError: (InternalServerError, Retry.NEVER),
    httpx.CookieConflict: (InternalServerError, Retry.NEVER),
    httpx.StreamConsumed: (InternalServerError, Retry.NEVER),
    httpx.StreamClosed: (InternalServerError, Retry.NEVER),
    httpx.ResponseNotRead: (InternalServerError, Retry.NEVER),
    httpx.RequestNotRead: (InternalServerError, Retry.NEVER),
}


def reason_of(error: BaseException) -> str:
    """What is at the bottom of ``error``, by the name of its kind: a text might hold an address."""
    beneath = error.__cause__ or error.__context__
    return type(error).__name__ if beneath is None else reason_of(beneath)


def failure_of(error: Exception) -> Failure:
    """What an error of the HTTP library, or of the operating system beneath it, means."""
    if isinstance(error, httpx.RemoteProtocolError) and not _breaks_protocol(error):
        return Failure(_cut(), Retry.ONCE)
    for kind in type(error).__mro__:
        if kind in FOREIGN:
            make, retry = FOREIGN[kind]
            assert callable(make)
            return Failure(make(), retry)
    return Failure(_unreachable(), Retry.BACKOFF) if isinstance(error, OSError) else Failure(InternalServerError())


def _breaks_protocol(error: BaseException | None) -> bool:
    # A close before the first byte is noticed by the pool itself; everything else comes from the protocol's parser.
    while error is not None and not isinstance(error, h11.RemoteProtocolError):
        error = error.__cause__ or error.__context__
    return error is not None
