"""An upstream and a Redis whose operations wait for their release, so that a schedule decides the order."""

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

from tests.gateway.fakes import ClockedRedisStore
from tests.properties.timeline import FILTERS

T = TypeVar("T")

FILTER_TEXTS = [None if part is None else part.text() for part in FILTERS]


@dataclass(eq=False)
class Call:
    """One upstream call that waits for its response."""

    token: str
    locale: str | None
    filter_number: int
    skip: int
    top: int
    ids: dict[str, str]
    started: float
    answered: asyncio.Future[httpx.Response] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def block(self) -> tuple[str, str | None, int, int]:
        """Return the identity of the block: parts of one block end at the same row."""
        return (self.token, self.locale, self.filter_number, self.skip + self.top)

    def respond(self, status: int, body: Any, **headers: str) -> None:
        """Complete the call with a response."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answered.set_result(httpx.Response(status, headers=self.ids | headers, content=data))

    def fail(self, error: Exception) -> None:
        """Fail the call with a connection error."""
        self.answered.set_exception(error)


def truncated() -> httpx.RemoteProtocolError:
    """Return the error that the HTTP library raises for a body that ends too soon."""
    error = httpx.RemoteProtocolError("too short")
    error.__cause__ = h11.RemoteProtocolError("too short")
    return error


class GatedUpstream(httpx.AsyncBaseTransport):
    """Hold every call until the test responds. Each new call is passed to ``on_call``."""

    def __init__(self, on_call: Callable[[Call], None], clock: Callable[[], float]) -> None:
        self._on_call = on_call
        self._clock = clock
        self.pending: list[Call] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Hold one call until its response is set."""
        address = str(request.url)
        match = re.fullmatch(r".*\?(?:filter=([^&]*)&)?top=(\d+)&skip=(\d+)", address)
        assert match, address
        text = None if match[1] is None else unquote(match[1])
        call = Call(
            token=request.headers["Authorization"].removeprefix("Bearer "),
            locale=request.headers.get("X-Locale"),
            filter_number=FILTER_TEXTS.index(text),
            skip=int(match[3]),
            top=int(match[2]),
            ids={name: request.headers[name] for name in ("MS-RequestId", "MS-CorrelationId")},
            started=self._clock(),
        )
        self._on_call(call)
        self.pending.append(call)
        try:
            return await call.answered
        finally:
            self.pending.remove(call)


class GatedRedis(ClockedRedisStore):
    """Redis whose operations wait in a queue while ``is_holding``; ``on_change`` runs when one starts or ends."""

    def __init__(self, *arguments: Any, on_change: Callable[[], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._on_change = on_change
        self._waiting: list[asyncio.Future[None]] = []
        self.is_holding = False
        self.running = 0

    def release(self, operations: int | None = None) -> None:
        """Start the first ``operations`` of the queue; with None start all of them and stop holding new ones."""
        self.is_holding = self.is_holding and operations is not None
        for waiter in self._waiting[:operations]:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting = [] if operations is None else self._waiting[operations:]

    async def _guarded(self, work: Callable[[], Awaitable[T]]) -> T | None:
        if self.is_holding:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            self._on_change()
            await waiter
        self.running += 1
        try:
            return await super()._guarded(work)
        finally:
            self.running -= 1
            self._on_change()
