"""Read request bodies, with a bound on all that have arrived in part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Generator
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from gateway.errors import BadRequest, PayloadTooLarge, ServiceUnavailable
from gateway.http.request_headers import named_headers

# Our choice: 64 of the largest bodies. A body is read in well under a second, except by very slow clients.
MAX_BYTES = 67_108_864

RETRY_SECONDS = 1


class RequestBodies:
    """The bodies of a process that are being read. If they are too large together, the largest one is refused.

    So a client with many unfinished bodies does not prevent others from sending small ones.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._bodies: set[RequestBody] = set()

    @asynccontextmanager
    async def body(self, timeout_seconds: float) -> AsyncIterator[RequestBody]:
        """Count one body until the context ends.

        Raises BadRequest if that takes longer than ``timeout_seconds``, and ServiceUnavailable if the body is refused.
        """
        body = None
        try:
            async with asyncio.timeout(timeout_seconds) as timer:
                body = RequestBody(self, timer)
                self._bodies.add(body)
                yield body
        except TimeoutError:
            if body is not None and body.is_refused:
                raise _too_many() from None
            raise BadRequest("The request body did not arrive in time. Send it again.", status=408) from None
        finally:
            if body is not None:
                self._bodies.discard(body)
                self.held_bytes -= body.held_bytes

    def make_room(self) -> None:
        """Refuse the largest bodies until the others fit."""
        while self.held_bytes > self.max_bytes:
            largest = max(self._bodies, key=lambda body: body.held_bytes)
            self.held_bytes -= largest.held_bytes
            largest.refuse()


class RequestBody:
    """The bytes of one body. ``timer`` ends its reading."""

    __slots__ = ("_all", "_timer", "held_bytes", "is_refused")

    def __init__(self, bodies: RequestBodies, timer: asyncio.Timeout) -> None:
        self._all = bodies
        self._timer = timer
        self.held_bytes = 0
        self.is_refused = False

    def add(self, size_bytes: int) -> None:
        """Count another part. Raises ServiceUnavailable if this is the largest body, and all together are too large."""
        self.held_bytes += size_bytes
        self._all.held_bytes += size_bytes
        self._all.make_room()
        if self.is_refused:
            raise _too_many()

    def refuse(self) -> None:
        """End the reading of this body."""
        self.is_refused = True
        self.held_bytes = 0
        self._timer.reschedule(asyncio.get_running_loop().time())


def _too_many() -> ServiceUnavailable:
    return ServiceUnavailable(
        "Too many large requests are being received. Retry soon.", retry_after_seconds=RETRY_SECONDS
    )


async def read_body(
    scope: Scope, receive: Receive, bodies: RequestBodies, *, max_bytes: int, timeout_seconds: float
) -> bytes:
    """Return the body of a request. Parts count in ``bodies`` until all have arrived.

    Raises BadRequest, PayloadTooLarge, ServiceUnavailable and ClientDisconnect.
    """
    first = _Started(receive())
    if first.message is not None and not first.message.get("more_body", False):
        return _piece(first.message, max_bytes, max_bytes)
    announced = named_headers(scope).get(b"content-length", b"")
    if announced.isdigit() and int(announced) > max_bytes:
        first.close()
        raise _too_large(max_bytes)
    async with bodies.body(timeout_seconds) as body:
        return await _joined(await first, receive, max_bytes, body)


async def _joined(message: Message, receive: Receive, max_bytes: int, body: RequestBody) -> bytes:
    chunks = [_piece(message, max_bytes, max_bytes)]
    body.add(len(chunks[0]))
    while message.get("more_body", False):
        message = await receive()
        piece = _piece(message, max_bytes - body.held_bytes, max_bytes)
        body.add(len(piece))
        chunks.append(piece)
    return b"".join(chunks)


def _piece(message: Message, room_bytes: int, max_bytes: int) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    body: bytes = message.get("body", b"")
    if len(body) > room_bytes:
        raise _too_large(max_bytes)
    return body


class _Started:
    """An awaitable that was started and ran until it first waits; ``message`` is its result if it never waits.

    Nearly all bodies arrive together with their headers, and a timer would cost more than reading such a body.
    """

    def __init__(self, waiting: Awaitable[Message]) -> None:
        self._steps = waiting.__await__()
        self._first: Any = None
        self.message: Message | None = None
        try:
            self._first = next(self._steps)
        except StopIteration as end:
            self.message = end.value

    def close(self) -> None:
        if self.message is None:
            self._steps.close()

    def __await__(self) -> Generator[Any, Any, Message]:
        if self.message is not None:
            return self.message
        try:
            yield self._first
        except BaseException as error:
            self._steps.throw(error)
            raise
        return (yield from self._steps)


def _too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body is over {max_bytes} bytes. Send less at once.")
