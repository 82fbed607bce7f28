"""Requests to an application of this process whose responses are read while they are written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
from starlette.types import ASGIApp, Message


class StreamingTransport(httpx.AsyncBaseTransport):
    """Serves requests from an ASGI application, at most one message ahead of the reader."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response as soon as it starts; its extension ``state`` is that of the request's scope."""
        state: dict[str, Any] = {}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.split(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("127.0.0.1", 0),
            "server": (request.url.host, request.url.port),
            "state": state,
        }
        body = _ResponseBody(self._app, scope, await request.aread())
        try:
            start = await body.next_message()
        except BaseException:
            await body.aclose()
            raise
        return httpx.Response(start["status"], headers=start["headers"], stream=body, extensions={"state": state})


class _ResponseBody(httpx.AsyncByteStream):
    def __init__(self, app: ASGIApp, scope: dict[str, Any], request_body: bytes) -> None:
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(1)
        self._is_closed = False
        self._request = [{"type": "http.request", "body": request_body, "more_body": False}]
        self._task = asyncio.create_task(self._run(app, scope))

    async def next_message(self) -> Message:
        """Return the next message. Raises httpx.RemoteProtocolError if the application ends before its response."""
        message = await self._messages.get()
        if message is None:
            raise httpx.RemoteProtocolError("the application ended before its response did")
        return message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            message = await self.next_message()
            yield message.get("body", b"")
            if not message.get("more_body", False):
                return

    async def aclose(self) -> None:
        """Cancel the rest of the response, and discard it."""
        self._is_closed = True
        # The application answers a cancellation with an error response, which has no reader any more.
        while not self._messages.empty():
            self._messages.get_nowait()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        # The application logs its failures; the reader sees a broken connection.
        with suppress(Exception):
            await app(scope, self._receive, self._put)
        await self._put(None)

    async def _put(self, message: Message | None) -> None:
        if not self._is_closed:
            await self._messages.put(message)

    async def _receive(self) -> Message:
        if not self._request:
            # The reader disconnects by cancellation.
            await asyncio.Event().wait()
        return self._request.pop()
