"""HTTP transports, direct or through a proxy's tunnel.

A proxy sees the host and the port, never a request: it is encrypted inside the tunnel. The HTTP library has tunnels of
its own, but after a failed handshake they keep their place in the pool, until no connection is left.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from gateway.network.proxies import ProxyAddress
from gateway.network.trust import trust_store

_HTTP = b"HTTP/1."

# More than any proxy's headers; error pages follow behind the headers and are not read.
MAX_HEAD_BYTES = 65_536


class ProxyRefused(httpcore.ProxyError):
    """The proxy that ``variable`` names did not open a tunnel; ``status`` is 0 if it did not answer in HTTP.

    ``schemes`` are the ways to sign in that it offers, in lower case.
    """

    def __init__(self, variable: str, status: int, schemes: frozenset[str]) -> None:
        super().__init__(f"status {status}")
        self.variable = variable
        self.status = status
        self.schemes = schemes


class ProxyUnreachable(httpcore.ConnectError):
    """No connection to the proxy itself, or it was broken off before the tunnel was open; the cause says why."""

    def __init__(self, variable: str) -> None:
        super().__init__("no connection")
        self.variable = variable


class ProxySilent(httpcore.ConnectTimeout):
    """The proxy did not answer in time."""

    def __init__(self, variable: str) -> None:
        super().__init__("no answer")
        self.variable = variable


def transport_to(trust: ssl.SSLContext, limits: httpx.Limits, proxy: ProxyAddress | None) -> httpx.AsyncHTTPTransport:
    """Return a transport that reads no environment variables. Raises TrustFault."""
    if proxy is None:
        return httpx.AsyncHTTPTransport(verify=trust, trust_env=False, limits=limits)
    return _TunneledTransport(trust, limits, proxy)


class _TunneledTransport(httpx.AsyncHTTPTransport):
    def __init__(self, trust: ssl.SSLContext, limits: httpx.Limits, proxy: ProxyAddress) -> None:
        super().__init__(verify=trust, trust_env=False, limits=limits)
        # The library has no parameter for this; a test fails if the name changes.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Tunnels(proxy),
        )


class _Tunnels(httpcore.AsyncNetworkBackend):
    """Opens connections through tunnels of ``proxy``.

    Raises ProxyRefused, ProxyUnreachable and ProxySilent; all other failures are those of the tunneled connection.
    """

    def __init__(self, proxy: ProxyAddress) -> None:
        self._proxy = proxy
        self._trust = trust_store() if proxy.tls else None
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the library's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return a stream to ``host`` through the proxy."""
        proxy, target = self._proxy, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            stream = await self._backend.connect_tcp(proxy.host, proxy.port, timeout, local_address, socket_options)
            return await self._opened(stream, target, timeout)
        except httpcore.TimeoutException as error:
            raise ProxySilent(proxy.variable) from error
        except httpcore.NetworkError as error:
            raise ProxyUnreachable(proxy.variable) from error

    async def _opened(
        self,
        stream: httpcore.AsyncNetworkStream,
        target: str,
        timeout: float | None,  # noqa: ASYNC109  # as above
    ) -> httpcore.AsyncNetworkStream:
        """Return the stream to ``target`` inside ``stream`` to the proxy, which is closed if there will be none."""
        try:
            if self._trust is not None:
                stream = await stream.start_tls(self._trust, self._proxy.host, timeout)
            await stream.write(_request(target, self._proxy), timeout)
            status, schemes = await _answer(stream, timeout)
            if not 200 <= status <= 299:
                raise ProxyRefused(self._proxy.variable, status, schemes)
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


def _request(target: str, proxy: ProxyAddress) -> bytes:
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username is not None or proxy.password is not None:
        pair = f"{proxy.username or ''}:{proxy.password or ''}".encode()
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}")
    return "\r\n".join([*lines, "", ""]).encode()


async def _answer(
    stream: httpcore.AsyncNetworkStream,
    timeout: float | None,  # noqa: ASYNC109  # as above
) -> tuple[int, frozenset[str]]:
    """Return the status of the proxy's response, 0 if it is too long or not HTTP, and the ways to sign in.

    Raises httpcore.NetworkError.
    """
    head = b""
    while b"\r\n\r\n" not in head:
        part = await stream.read(4_096, timeout)
        if not part:
            raise httpcore.ConnectError("the proxy closed the connection") from ConnectionResetError()
        head += part
        if len(head) > MAX_HEAD_BYTES or not _HTTP.startswith(head[: len(_HTTP)]):
            return 0, frozenset()
    match = re.match(rb"HTTP/1\.[01] ([1-5]\d\d)[ \r]", head)
    return int(match[1]) if match else 0, _schemes(head.decode("latin-1").lower())


def _schemes(head: str) -> frozenset[str]:
    """Return the schemes of the challenges in a head (RFC 9110, section 11.3), without their parameters."""
    challenges = re.findall(r"^proxy-authenticate:(.*)$", head, re.MULTILINE)
    return frozenset(re.findall(r"(?:^|,)\s*([a-z]+)(?=\s|,|$)", ",".join(challenges)))
