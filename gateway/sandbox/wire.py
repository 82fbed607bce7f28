"""Sends a response, with the faults of bytes, headers and time, and stops when the client disconnects."""

from __future__ import annotations

import asyncio
import gzip
import uuid
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

from starlette.requests import Request
from starlette.types import Receive, Send

from gateway.sandbox.faults import Faults, HeaderFaults
from gateway.sandbox.responses import JSON_TYPE, SandboxResponse

_BLOCK: Final = b" " * 65_536
_IDS: Final = ("MS-CorrelationId", "MS-RequestId")


class ClientGone(Exception):
    """The client closed its connection."""


@dataclass(frozen=True, slots=True)
class ClientConnection:
    """The connection of one request, for receiving and sending."""

    request: Request
    receive: Receive
    send: Send

    async def pause(self, seconds: float | None) -> None:
        """Wait for some seconds, or forever. Raises ClientGone as soon as the client disconnects."""
        try:
            async with asyncio.timeout(seconds):
                while (await self.receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return
        raise ClientGone

    async def send_response(self, response: SandboxResponse, faults: Faults, *, is_first: bool = False) -> None:
        """Send a response as the faults specify; ``is_first`` marks a token's first one. Raises ClientGone."""
        headers = _headers(response, self.request, faults.headers, is_first=is_first)
        body = response.body
        is_packed = faults.bytes.gzip and "gzip" in self.request.headers.get("accept-encoding", "")
        if is_packed:
            body = await asyncio.to_thread(gzip.compress, body, 5)
        if is_packed or faults.bytes.bomb is not None:
            headers.append(("Content-Encoding", "gzip"))
        if faults.bytes.bomb is None and faults.bytes.big is None and response.status != 204:
            headers.append(("Content-Length", str(len(body))))
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        await self.send({"type": "http.response.start", "status": response.status, "headers": raw})
        if faults.time.hang_body:
            await self.pause(None)
        async for part in self._parts(body, faults):
            await self.send({"type": "http.response.body", "body": part, "more_body": True})
        if not (faults.bytes.truncate and body):
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _parts(self, body: bytes, faults: Faults) -> AsyncIterator[bytes]:
        if faults.bytes.bomb is not None or faults.bytes.big is not None:
            for part in _big(faults.bytes.big or 0) if faults.bytes.bomb is None else _bomb(faults.bytes.bomb):
                yield part
                await self.pause(0)
        elif faults.bytes.truncate:
            yield body[: len(body) // 2]
        elif faults.time.trickle is not None:
            bytes_per_second = max(1, faults.time.trickle)
            size_bytes = max(1, bytes_per_second // 10)
            for start in range(0, len(body), size_bytes):
                yield body[start : start + size_bytes]
                await self.pause(size_bytes / bytes_per_second)
        else:
            yield body


def _big(size_bytes: int) -> Iterator[bytes]:
    """Yield a well-formed envelope without rows, padded with spaces to about ``size_bytes``."""
    yield b'{"Value":['
    for _ in range(size_bytes // len(_BLOCK)):
        yield _BLOCK
    yield b'],"@nextLink":null,"TotalCount":0}'


def _bomb(size_bytes: int) -> Iterator[bytes]:
    """Yield the envelope of ``_big`` in gzip, about a thousandth of its size."""
    compressor = zlib.compressobj(9, wbits=31)
    for part in _big(size_bytes):
        if compressed := compressor.compress(part):
            yield compressed
    yield compressor.flush()


def _headers(
    response: SandboxResponse, request: Request, faults: HeaderFaults, *, is_first: bool
) -> list[tuple[str, str]]:
    """Return the headers of the Microsoft page's example, and those that faults add."""
    is_other = faults.ids == "other" or (faults.ids == "other-once" and is_first)
    ids = [(name, _new_id() if is_other else request.headers.get(name) or _new_id()) for name in _IDS]
    headers = [(name, value.replace("{cid}", ids[0][1])) for name, value in response.headers]
    content_type = response.content_type
    if content_type == JSON_TYPE and faults.content_type is not None:
        content_type = None if faults.content_type == "none" else faults.content_type
    if content_type is not None:
        headers.append(("Content-Type", content_type))
    if faults.ids != "none":
        headers += ids
    headers += [("MS-CV", f"{b64encode(uuid.uuid4().bytes[:12]).decode()}.0"), ("MS-ServerId", "4")]
    headers.append(("Date", formatdate(usegmt=True)))
    if faults.cookie:
        headers.append(("Set-Cookie", f"session={_new_id()}; Path=/; HttpOnly"))
    return headers + [(f"X-Needless-{number}", "x") for number in range(faults.extra)]


def _new_id() -> str:
    return str(uuid.uuid4())
