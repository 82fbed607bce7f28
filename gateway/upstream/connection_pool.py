"""Connections that are kept for later requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import httpx

# Load balancers in front of Azure services drop idle connections after minutes; the default of httpx is 5 s.
IDLE_SECONDS = 30.0


class ConnectionPool(httpx.AsyncBaseTransport):
    """Sends each request on the connection that was used last, or on a new one if none is idle.

    Each connection has a transport of its own, made by ``new_transport``. The library's pool asks the operating system
    about each of its idle connections, twice for each request: with 100 of them, that takes 2 ms. The caller limits how
    many requests are sent at once. A connection that was idle for IDLE_SECONDS is closed when a later request ends.
    """

    def __init__(self, new_transport: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._new_transport = new_transport
        self._transports: set[httpx.AsyncBaseTransport] = set()
        # With the time since when they are idle, on the loop's clock; the one that was used last is the last.
        self._idle: deque[tuple[float, httpx.AsyncBaseTransport]] = deque()

    def __len__(self) -> int:
        return len(self._transports)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response. Its connection is idle again once it is closed."""
        transport = self._idle.pop()[1] if self._idle else self._new_transport()
        self._transports.add(transport)
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            await self._close(transport)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream, partial(self._give_back, transport))
        return response

    async def aclose(self) -> None:
        """Close all connections; the requests on them fail."""
        self._idle.clear()
        for transport in list(self._transports):
            await self._close(transport)

    async def _give_back(self, transport: httpx.AsyncBaseTransport) -> None:
        if transport not in self._transports:
            return
        now = asyncio.get_running_loop().time()
        self._idle.append((now, transport))
        # Each request that ends adds one connection, so closing two is enough.
        for _ in range(2):
            if self._idle and now - self._idle[0][0] >= IDLE_SECONDS:
                await self._close(self._idle.popleft()[1])

    async def _close(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transports.discard(transport)
        await transport.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of a response. ``on_close`` runs once it is closed."""

    def __init__(self, body: httpx.AsyncByteStream, on_close: Callable[[], Awaitable[None]]) -> None:
        self._body = body
        self._on_close = on_close

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body.__aiter__()

    async def aclose(self) -> None:
        """Close the body, then its connection unless the body was read to its end."""
        try:
            await self._body.aclose()
        finally:
            await self._on_close()
