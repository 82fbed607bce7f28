"""An upstream and a Redis whose operations wait until they are let go, so that a schedule decides who is first."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote

import h11
import httpx

from gateway.cache.redis_store import RedisStore
from tests.properties.timeline import FILTERS

T = TypeVar("T")

FILTER_TEXTS = [None if part is None else part.text() for part in FILTERS]


@dataclass(eq=False)
class Call:
    """One upstream call that waits for its reply."""

    token: str
    locale: str | None
    filter_number: int
    skip: int
    top: int
    ids: dict[str, str]
    begun: float
    answered: asyncio.Future[httpx.Response] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def block(self) -> tuple[str, str | None, int, int]:
        """What tells the block apart: parts of one block end at the same row."""
        return (self.token, self.locale, self.filter_number, self.skip + self.top)

    def say(self, status: int, body: Any, **headers: str) -> None:
        """Answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answered.set_result(httpx.Response(status, headers=self.ids | headers, content=data))

    def fail(self, error: Exception) -> None:
        """Break the connection off."""
        self.answered.set_exception(error)


def truncated() -> httpx.RemoteProtocolError:
    """What the HTTP library raises when a body ends too soon."""
    error = httpx.RemoteProtocolError("too short")
    error.__cause__ = h11.RemoteProtocolError("too short")
    return error


class GatedUpstream(httpx.AsyncBaseTransport):
    """Holds every call back. ``on_call`` is told of each one as it begins."""

    def __init__(self, on_call: Callable[[Call], None], clock: Callable[[], float]) -> None:
        self._on_call = on_call
        self._clock = clock
        self.pending: list[Call] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One call."""
        address = str(request.url)
        found = re.fullmatch(r".*\?(?:filter=([^&]*)&)?top=(\d+)&skip=(\d+)", address)
        assert found, address
        text = None if found[1] is None else unquote(found[1])
        call = Call(
            token=request.headers["Authorization"].removeprefix("Bearer "),
            locale=request.headers.get("X-Locale"),
            filter_number=FILTER_TEXTS.index(text),
            skip=int(found[3]),
            top=int(found[2]),
            ids={name: request.headers[name] for name in ("MS-RequestId", "MS-CorrelationId")},
            begun=self._clock(),
        )
        self._on_call(call)
        self.pending.append(call)
        try:
            return await call.answered
        finally:
            self.pending.remove(call)


class GatedRedis(RedisStore):
    """Redis whose operations, while ``is_holding``, wait in a queue. ``on_change`` is told as they begin and end."""

    def __init__(self, *arguments: Any, on_change: Callable[[], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._on_change = on_change
        self._held: list[asyncio.Future[None]] = []
        self.is_holding = False
        self.running = 0

    def let_go(self, operations: int | None = None) -> None:
        """Let the first operations of the queue begin; all, and those to come, without a number."""
        self.is_holding = self.is_holding and operations is not None
        for held in self._held[:operations]:
            if not held.done():
                held.set_result(None)
        self._held = [] if operations is None else self._held[operations:]

    async def _guarded(self, work: Callable[[], Awaitable[T]]) -> T | None:
        if self.is_holding:
            held = asyncio.get_running_loop().create_future()
            self._held.append(held)
            self._on_change()
            await held
        self.running += 1
        try:
            return await super()._guarded(work)
        finally:
            self.running -= 1
            self._on_change()
