"""A proxy in front of a real Redis that can simulate failures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

# Handles bytes that a client sent; returning False closes the connection.
Trouble = Callable[[bytes, asyncio.StreamWriter], Awaitable[bool]]


class TroubledRedis:
    """Forwards everything to the server at ``port``, unless ``trouble`` is set."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self.port = 0
        self.trouble: Trouble | None = None
        self.delay_seconds = 0.0
        self.connections = 0
        self.requests = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        back = asyncio.create_task(self._pass_back(server_reader, writer))
        try:
            while data := await reader.read(2**20):
                self.requests += 1
                if self.trouble is None:
                    server_writer.write(data)
                elif not await self.trouble(data, writer):
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            back.cancel()
            server_writer.close()
            writer.close()

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**20):
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            writer.write(data)


@asynccontextmanager
async def troubled_redis(port: int) -> AsyncIterator[TroubledRedis]:
    """Run a proxy on loopback."""
    proxy = TroubledRedis(port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()


def answers_with(response: bytes) -> Trouble:
    """Respond to each command with ``response``."""

    async def answer(data: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(response * len(re.findall(rb"^\*\d+\r$", data, re.MULTILINE)))
        return True

    return answer


def sends_and_closes(response: bytes) -> Trouble:
    """Send ``response`` and close the connection."""

    async def answer(data: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(response)
        await writer.drain()
        return False

    return answer


def sends_and_hangs(response: bytes) -> Trouble:
    """Send ``response`` and then nothing."""

    async def answer(data: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(response)
        return True

    return answer


TROUBLES: dict[str, Trouble] = {
    "hanging": sends_and_hangs(b""),
    "hanging in the middle": sends_and_hangs(b"$100\r\nabc"),
    "cut": sends_and_closes(b""),
    "cut in the middle": sends_and_closes(b"$100\r\nabc"),
    "garbage": answers_with(b"\x00\xff HTTP/1.1 400 Bad Request\r\n\r\n"),
    "a length that is no number": answers_with(b"$abc\r\n"),
    "an endless length": answers_with(b"$99999999999999\r\n"),
    "numbers for values": answers_with(b":1\r\n"),
    "lists for values": answers_with(b"*2\r\n:1\r\n:2\r\n"),
    "LOADING": answers_with(b"-LOADING Redis is loading the dataset in memory\r\n"),
    "READONLY": answers_with(b"-READONLY You can't write against a read only replica.\r\n"),
    "OOM": answers_with(b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"),
    "NOAUTH": answers_with(b"-NOAUTH Authentication required.\r\n"),
    "NOPERM": answers_with(b"-NOPERM this user has no permissions to run the command\r\n"),
    "MOVED": answers_with(b"-MOVED 3999 127.0.0.1:6381\r\n"),
    "an unknown error": answers_with(b"-ERR unknown\r\n"),
}
