"""Connections to the upstream, and the translation of the HTTP library's errors.

The transport is used without the library's client, which would store cookies, read environment variables and log URLs.
It does not follow redirects.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import h11
import httpx

from gateway.config.groups import UpstreamConfig
from gateway.errors import (
    GatewayError,
    InternalServerError,
    UpstreamBadResponse,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.network.causes import NO_TLS, NOT_FOUND, REFUSED, TIMED_OUT, Cause, cause_of, silent_proxy
from gateway.network.trust import empty_store, trust_store
from gateway.network.tunnels import transport_to
from gateway.upstream.concurrency import no_connection_left
from gateway.upstream.connection_pool import IDLE_SECONDS, ConnectionPool
from gateway.upstream.retry import Failure, Retry

# What an operator can check first, by cause.
_REMEDIES = {
    REFUSED: "Check the host and the port in GATEWAY_UPSTREAM_URL, and that the server runs.",
    NOT_FOUND: "Check the spelling of the host in GATEWAY_UPSTREAM_URL, and DNS.",
    TIMED_OUT: "Check the network, and whether it needs a proxy (HTTPS_PROXY).",
    NO_TLS: "Check the port in GATEWAY_UPSTREAM_URL. If the host is private, try http://.",
}


class Connections:
    """Two transports: ``reusing`` keeps connections for later requests, ``single_use`` opens one for each request.

    A custom ``transport``, such as an embedded application's, replaces both. Raises TrustFault.
    """

    def __init__(self, config: UpstreamConfig, transport: httpx.AsyncBaseTransport | None = None) -> None:
        # Below WARNING, these loggers log every request with its address and headers.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.reusing: httpx.AsyncBaseTransport
        self.single_use: httpx.AsyncBaseTransport
        if transport is None:
            trust = trust_store() if config.base_url.startswith("https:") else empty_store()
            one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=IDLE_SECONDS)
            new_transport = partial(transport_to, trust, one, config.proxy)
            self.reusing = ConnectionPool(new_transport)
            self.single_use = ConnectionPool(new_transport, keeps=False)
        else:
            self.reusing = self.single_use = transport

    async def aclose(self) -> None:
        await self.reusing.aclose()
        if self.single_use is not self.reusing:
            await self.single_use.aclose()


class EmbeddedTransport(httpx.AsyncBaseTransport):
    """Sends requests to an ASGI application. A response that it breaks off raises the same error as on a socket."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx.ASGITransport(partial(_run_to_the_end, app))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response. Raises httpx.RemoteProtocolError if the application ends before its response does."""
        return await self._inner.handle_async_request(request)


async def _run_to_the_end(app: Any, scope: Any, receive: Any, send: Any) -> None:
    is_complete = False

    async def watch(message: Any) -> None:
        nonlocal is_complete
        is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        await send(message)

    await app(scope, receive, watch)
    if not is_complete:
        # The library checks this with an assertion, which python -O removes. On a socket, the HTTP parser detects a
        # truncated response and raises this cause.
        reason = "the application ended before its response did"
        raise httpx.RemoteProtocolError(reason) from h11.RemoteProtocolError(reason)


class HandshakeGuard:
    """Closes a connection whose TLS handshake is canceled; the library would leave it open.

    ``is_connecting`` is True from the start of a connection until its handshake is complete, and ``is_opening`` until
    the handshake begins. Pass one as the ``trace`` extension of each request (httpx documentation, request extensions).
    """

    def __init__(self) -> None:
        self.is_connecting = self.is_opening = False
        self._stream: Any = None

    async def __call__(self, event: str, details: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.started", "connection.start_tls.started"):
            self.is_connecting, self.is_opening = True, event == "connection.connect_tcp.started"
        elif event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self.is_connecting = self.is_opening = False
        # Behind a proxy, the names are the same: the tunnel is part of connect_tcp.
        if event == "connection.connect_tcp.complete":
            self._stream = details["return_value"]
        elif event == "connection.start_tls.complete":
            self._stream = None
        elif event == "connection.start_tls.failed" and self._stream is not None:
            await self._stream.aclose()

    def cause_of(self, error: BaseException, config: UpstreamConfig) -> Cause:
        """Return the cause of a failed request with its remedy.

        If time ran out before a tunnel was open, the proxy is the cause.
        """
        if isinstance(error, TimeoutError) and self.is_opening and config.proxy is not None:
            return silent_proxy(config.proxy.variable)
        cause = cause_of(error)
        return replace(cause, remedy=cause.remedy or _REMEDIES.get(cause.text, ""))


timed_out = partial(UpstreamTimeout, "The upstream did not answer in time. Try again, or request fewer rows.")
_unreachable = partial(UpstreamUnavailable, "The upstream cannot be reached. Retry later.")
_misconfigured = partial(
    UpstreamUnavailable,
    "The upstream cannot be reached, and retrying will not help. Ask the operator to read the log.",
    permanent=True,
)
_cut = partial(UpstreamUnavailable, "The upstream closed the connection before it had answered. Retry later.")
_too_long = partial(UpstreamRejected, "The query is too long for the upstream. Use a shorter filter.")
# The response violates HTTP or its content coding.
garbled = partial(
    UpstreamBadResponse,
    "The upstream's response is truncated or corrupt. Try again; if this persists, contact the operator.",
)

# Every leaf of the library's exception tree. A test fails if the library adds one.
LIBRARY_ERRORS: Mapping[type[Exception], tuple[Callable[[], GatewayError], Retry]] = {
    httpx.ConnectTimeout: (timed_out, Retry.TIMEOUT),
    httpx.ReadTimeout: (timed_out, Retry.TIMEOUT),
    httpx.WriteTimeout: (timed_out, Retry.TIMEOUT),
    httpx.PoolTimeout: (no_connection_left, Retry.NEVER),
    httpx.ConnectError: (_unreachable, Retry.BACKOFF),
    httpx.ProxyError: (_unreachable, Retry.BACKOFF),
    httpx.ReadError: (_cut, Retry.ONCE),
    httpx.WriteError: (_cut, Retry.ONCE),
    httpx.CloseError: (_cut, Retry.ONCE),
    httpx.RemoteProtocolError: (garbled, Retry.ONCE),
    httpx.DecodingError: (garbled, Retry.ONCE),
    httpx.InvalidURL: (_too_long, Retry.NEVER),
    # The other errors cannot occur in this use of the transport. They would be bugs of the gateway.
    httpx.LocalProtocolError: (InternalServerError, Retry.NEVER),
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
    """Return the class name of the root cause of ``error``. Its text is omitted: it might contain an address."""
    cause = error.__cause__ or error.__context__
    return type(error).__name__ if cause is None else reason_of(cause)


def cannot_reach(cause: Cause, route: str, *, is_timeout: bool = False) -> Failure:
    """Return the failure of a connection, with host, cause and remedy, for a reader who is the operator."""
    facts: dict[str, Any] = {"unreachable": True, **({"permanent": True} if cause.is_permanent else {})}
    message = cause.unreachable(route)
    if is_timeout:
        return Failure(UpstreamTimeout(message, **facts), Retry.TIMEOUT)
    return Failure(UpstreamUnavailable(message, **facts), Retry.NEVER if cause.is_permanent else Retry.BACKOFF)


def failure_of(error: Exception) -> Failure:
    """Return the failure for an error of the HTTP library or the operating system, without host and cause."""
    if isinstance(error, httpx.RemoteProtocolError) and not _breaks_protocol(error):
        return Failure(_cut(), Retry.ONCE)
    if isinstance(error, httpx.ConnectError | httpx.ProxyError) and cause_of(error).is_permanent:
        return Failure(_misconfigured())
    for kind in type(error).__mro__:
        if kind in LIBRARY_ERRORS:
            make, retry = LIBRARY_ERRORS[kind]
            return Failure(make(), retry)
    return Failure(_unreachable(), Retry.BACKOFF) if isinstance(error, OSError) else Failure(InternalServerError())


def _breaks_protocol(error: BaseException | None) -> bool:
    # The pool itself detects a close before the first byte; every other violation comes from the HTTP parser.
    while error is not None and not isinstance(error, h11.RemoteProtocolError):
        error = error.__cause__ or error.__context__
    return error is not None
