"""A transport to an upstream that runs as an ASGI application in this process."""

from __future__ import annotations

from typing import Any

import h11
import httpx


class EmbeddedTransport(httpx.AsyncBaseTransport):
    """Sends requests to an ASGI application. A response that it breaks off raises the same error as on a socket."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response. Raises httpx.RemoteProtocolError if the application ends before its response does."""
        try:
            return await self._inner.handle_async_request(request)
        except AssertionError:
            pass
        # On a socket, the HTTP parser detects a truncated response and raises this cause.
        reason = "the application ended before its response did"
        raise httpx.RemoteProtocolError(reason, request=request) from h11.RemoteProtocolError(reason)
