"""An application of this process as the upstream, behind the same seam as the network."""

from __future__ import annotations

from typing import Any

import h11
import httpx


class EmbeddedTransport(httpx.AsyncBaseTransport):
    """Serves requests from an ASGI application. What it breaks off is a connection that broke, as it is on a socket."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One exchange. Raises httpx.RemoteProtocolError when the application ends before its reply does."""
        try:
            return await self._inner.handle_async_request(request)
        except AssertionError:
            pass
        # With the cause that a reply cut short has on a socket, where HTTP's own parser notices.
        reason = "the application ended before its reply did"
        raise httpx.RemoteProtocolError(reason, request=request) from h11.RemoteProtocolError(reason)
