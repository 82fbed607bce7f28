"""Sends a reply, well or badly, and stops waiting as soon as the client has gone."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

from starlette.types import Receive, Send

from gateway.sandbox.faults import Faults
from gateway.sandbox.replies import Reply

_BLOCK: Final = b" " * 65_536
_FOREVER_SECONDS: Final = 31_536_000.0


class ClientGone(Exception):
    """The client has closed its connection."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One exchange with a client."""

    receive: Receive
    send: Send

    async def pause(self, seconds: float) -> None:
        """Waits. Raises ClientGone at once when the client hangs up meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                while (await self.receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return
        raise ClientGone

    async def hang(self) -> None:
        """Waits for the client to go. Raises ClientGone."""
        while True:
            await self.pause(_FOREVER_SECONDS)

    async def deliver(self, reply: Reply, faults: Faults, *, accepts_gzip: bool) -> None:
        """Sends a reply as the faults ask for it. Raises ClientGone."""
        headers = list(reply.headers)
        body = reply.body
        if faults.gzip and accepts_gzip:
            body = await asyncio.to_thread(gzip.compress, body, 5)
        if faults.bomb is not None or (faults.gzip and accepts_gzip):
            headers.append(("Content-Encoding", "gzip"))
        if faults.bomb is None and faults.big is None and reply.status != 204:
            headers.append(("Content-Length", str(len(body))))
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        await self.send({"type": "http.response.start", "status": reply.status, "headers": raw})
        if faults.hang_body:
            await self.hang()
        async for part in self._parts(body, faults):
            await self.send({"type": "http.response.body", "body": part, "more_body": True})
        if not (faults.truncate and body):
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _parts(self, body: bytes, faults: Faults) -> AsyncIterator[bytes]:
        if faults.bomb is not None:
            for part in _bomb(faults.bomb):
                yield part
                await self.pause(0)
        elif faults.big is not None:
            for part in _big(faults.big):
                yield part
                await self.pause(0)
        elif faults.truncate:
            yield body[: len(body) // 2]
        elif faults.trickle is not None:
            async for part in self._trickle(body, max(1, faults.trickle)):
                yield part
        else:
            yield body

    async def _trickle(self, body: bytes, bytes_per_second: int) -> AsyncIterator[bytes]:
        size = max(1, bytes_per_second // 10)
        for start in range(0, len(body), size):
            yield body[start : start + size]
            await self.pause(size / bytes_per_second)


def _big(size_bytes: int) -> Iterator[bytes]:
    """A well-formed envelope without rows, blown up with blanks to about that many bytes."""
    yield b'{"Value":['
    for _ in range(size_bytes // len(_BLOCK)):
        yield _BLOCK
    yield b'],"@nextLink":null,"TotalCount":0}'


def _bomb(size_bytes: int) -> Iterator[bytes]:
    """The same, compressed a thousandfold."""
    squeezed = zlib.compressobj(9, wbits=31)
    for part in _big(size_bytes):
        if packed := squeezed.compress(part):
            yield packed
    yield squeezed.flush()
