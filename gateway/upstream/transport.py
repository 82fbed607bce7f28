"""Connections to the upstream, and what the HTTP library's errors mean.

The transport is used without the library's client around it: so there is no cookie jar, no redirect is followed, no
environment variable is read and no URL is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

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
        idle = min(MAX_IDLE_CONNECTIONS, max_connections)
        self.kept = transport or _pool(max_connections, idle)
        self.fresh = transport or _pool(max_connections, 0)

    async def aclose(self) -> None:
        """Close every connection."""
        await self.kept.aclose()
        if self.fresh is not self.kept:
            await self.fresh.aclose()


def _pool(max_connections: int, idle: int) -> httpx.AsyncBaseTransport:
    limits = httpx.Limits(
        max_connections=max_connections, max_keepalive_connections=idle, keepalive_expiry=IDLE_SECONDS
    )
    return httpx.AsyncHTTPTransport(verify=True, trust_env=False, http2=False, retries=0, limits=limits)


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


def failure_of(error: Exception) -> Failure:
    """What an error of the HTTP library, or of the operating system beneath it, means."""
    if isinstance(error, httpx.RemoteProtocolError) and _is_plain_close(error):
        return Failure(_cut(), Retry.ONCE)
    for kind in type(error).__mro__:
        if kind in FOREIGN:
            make, retry = FOREIGN[kind]
            assert callable(make)
            return Failure(make(), retry)
    return Failure(_unreachable(), Retry.BACKOFF) if isinstance(error, OSError) else Failure(InternalServerError())


def _is_plain_close(error: Exception) -> bool:
    # A close before the first byte is raised by the library itself; whatever broke the protocol has a cause beneath.
    return error.__cause__ is not None and error.__cause__.__cause__ is None
