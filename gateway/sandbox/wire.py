"""Sends a response, with the faults of bytes and time, and stops when the client disconnects."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

from starlette.types import Receive, Send

from gateway.sandbox.faults import Faults
from gateway.sandbox.responses import SandboxResponse

_BLOCK: Final = b" " * 65_536
_FOREVER_SECONDS: Final = 31_536_000.0


class ClientGone(Exception):
    """The client closed its connection."""


@dataclass(frozen=True, slots=True)
class ClientConnection:
    """The receiving and sending side of one request."""

    receive: Receive
    send: Send

    async def pause(self, seconds: float) -> None:
        """Wait for some seconds. Raises ClientGone as soon as the client disconnects."""
        try:
            async with asyncio.timeout(seconds):
                while (await self.receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return
        raise ClientGone

    async def hang(self) -> None:
        """Wait until the client disconnects, then raise ClientGone."""
        while True:
            await self.pause(_FOREVER_SECONDS)

    async def send_response(self, response: SandboxResponse, faults: Faults, *, accepts_gzip: bool) -> None:
        """Send a response as the faults specify. Raises ClientGone."""
        headers = list(response.headers)
        body = response.body
        if faults.bytes.gzip and accepts_gzip:
            body = await asyncio.to_thread(gzip.compress, body, 5)
        if faults.bytes.bomb is not None or (faults.bytes.gzip and accepts_gzip):
            headers.append(("Content-Encoding", "gzip"))
        if faults.bytes.bomb is None and faults.bytes.big is None and response.status != 204:
            headers.append(("Content-Length", str(len(body))))
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        await self.send({"type": "http.response.start", "status": response.status, "headers": raw})
        if faults.time.hang_body:
            await self.hang()
        async for part in self._parts(body, faults):
            await self.send({"type": "http.response.body", "body": part, "more_body": True})
        if not (faults.bytes.truncate and body):
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _parts(self, body: bytes, faults: Faults) -> AsyncIterator[bytes]:
        if faults.bytes.bomb is not None:
            for part in _bomb(faults.bytes.bomb):
                yield part
                await self.pause(0)
        elif faults.bytes.big is not None:
            for part in _big(faults.bytes.big):
                yield part
                await self.pause(0)
        elif faults.bytes.truncate:
            yield body[: len(body) // 2]
        elif faults.time.trickle is not None:
            async for part in self._trickle(body, max(1, faults.time.trickle)):
                yield part
        else:
            yield body

    async def _trickle(self, body: bytes, bytes_per_second: int) -> AsyncIterator[bytes]:
        size = max(1, bytes_per_second // 10)
        for start in range(0, len(body), size):
            yield body[start : start + size]
            await self.pause(size / bytes_per_second)


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
