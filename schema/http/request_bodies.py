"""Read request bodies, with a bound on all that have arrived in part."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from gateway.errors import BadRequest, PayloadTooLarge, ServiceUnavailable
from gateway.http.request_headers import named_headers

# Our choice: 64 of the largest bodies. A body is read in well under a second, except by very slow clients.
MAX_BYTES = 67_108_864

RETRY_SECONDS = 1


class RequestBodies:
    """Counts the bytes of all bodies of a process that are being read."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0

    @contextmanager
    def body(self) -> Iterator[RequestBody]:
        """Count one body until the context ends."""
        body = RequestBody(self)
        try:
            yield body
        finally:
            self.held_bytes -= body.held_bytes


class RequestBody:
    """The bytes of one body."""

    __slots__ = ("_all", "held_bytes")

    def __init__(self, bodies: RequestBodies) -> None:
        self._all = bodies
        self.held_bytes = 0

    def add(self, size_bytes: int) -> None:
        """Count another part. Raises ServiceUnavailable if all bodies together are too large."""
        self.held_bytes += size_bytes
        self._all.held_bytes += size_bytes
        if self._all.held_bytes > self._all.max_bytes:
            raise ServiceUnavailable(
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
    try:
        async with asyncio.timeout(timeout_seconds):
            with bodies.body() as body:
                return await _joined(await first, receive, max_bytes, body)
    except TimeoutError:
        raise BadRequest("The request body did not arrive in time. Send it again.", status=408) from None


async def _joined(message: Message, receive: Receive, max_bytes: int, body: RequestBody) -> bytes:
    chunks = [_piece(message, max_bytes, max_bytes)]
    body.add(len(chunks[0]))
    while message.get("more_body", False):
        message = await receive()
        chunks.append(_piece(message, max_bytes - body.held_bytes, max_bytes))
        body.add(len(chunks[-1]))
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
