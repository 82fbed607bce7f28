"""A separate process that opens tunnels as a company's proxy does, and reports everything that it could read.

Run as ``python connect_proxy.py REPORT MODE [USER:PASSWORD]``; prints its port.
"""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# The behaviors, apart from "tunnel": "refuse-NNN CHALLENGES" responds with a status, and with challenges to
# sign in if there are any. The others are:
STALL, SILENT, HANG_UP, CUT, GARBAGE = "stall", "silent", "hang-up", "cut", "garbage"

# The first byte of a TLS connection (RFC 8446, section 5.1), which this proxy, as a plain one, refuses in HTTP.
TLS_HANDSHAKE = b"\x16"

# Bytes of the server that "cut" relays: the handshake and the beginning of a response.
CUT_BYTES = 6_000


class ConnectProxy:
    """Serves connections in one mode, and appends one line of JSON for each event to the report."""

    def __init__(self, report: Path, mode: str, credentials: str | None) -> None:
        self._report = report
        self._mode = mode
        pair = base64.b64encode((credentials or "").encode()).decode()
        self._wanted = f"Proxy-Authorization: Basic {pair}" if credentials else None

    def note(self, **event: Any) -> None:
        with self._report.open("a") as report:
            report.write(json.dumps(event) + "\n")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, whatever happens."""
        with suppress(OSError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()
        self.note(event="closed")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(1)
        if first == TLS_HANDSHAKE:
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
        self.note(event="head", head=head)
        if self._mode == HANG_UP:
            return
        if self._mode == STALL:
            await reader.read()
            return
        if self._mode == GARBAGE:
            writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
            return
        challenges = ""
        status = 407 if self._wanted and self._wanted not in head else 200
        if self._mode.startswith("refuse-"):
            status, challenges = int(self._mode[7:10]), self._mode[11:]
        if status != 200:
            header = f"Proxy-Authenticate: {challenges}\r\n" if challenges else ""
            writer.write(f"HTTP/1.1 {status} No\r\n{header}Content-Length: 3\r\n\r\nno.".encode())
            return
        host, _, port = head.split(" ")[1].rpartition(":")
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 a-proxy\r\n\r\n")
        if self._mode == SILENT:
            await reader.read()
            return
        server_reader, server_writer = await asyncio.open_connection(host.strip("[]"), int(port))
        limit = CUT_BYTES if self._mode == CUT else None
        upward = asyncio.create_task(self._relay(reader, server_writer, None, is_client=True))
        await self._relay(server_reader, writer, limit, is_client=False)
        upward.cancel()
        server_writer.close()

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None, *, is_client: bool
    ) -> None:
        size = 0
        while data := await reader.read(1_024):
            if is_client:
                self.note(event="data", data=data.decode("latin-1"))
            size += len(data)
            if limit is not None and size > limit:
                writer.transport.abort()
                return
            writer.write(data)
            await writer.drain()
        writer.close()


class RunningProxy:
    """A proxy process: its address without credentials, and what it has seen."""

    def __init__(self, place: str, report: Path) -> None:
        self.place = place
        self._report = report

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = self._report.read_text().splitlines() if self._report.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def heads(self) -> list[str]:
        """The headers of each request."""
        return [event["head"] for event in self.events if event["event"] == "head"]

    @property
    def open_connections(self) -> int:
        kinds = [event["event"] for event in self.events]
        return kinds.count("head") - kinds.count("closed")

    def assert_blind(self, token: str) -> None:
        """Check that it was used, and saw neither a token nor the header that carries it."""
        assert self.heads
        text = "".join(event.get("head", "") + event.get("data", "") for event in self.events)
        assert "authorization" not in text.lower().replace("proxy-authorization", "")
        assert token not in text


@contextmanager
def connect_proxy(folder: Path, mode: str = "tunnel", credentials: str | None = None) -> Iterator[RunningProxy]:
    """Run a proxy process until the end of the block; ``folder`` is for its report."""
    report = folder / f"proxy-{mode.partition(' ')[0]}"
    command = [sys.executable, __file__, str(report), mode, *([credentials] if credentials else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield RunningProxy(f"127.0.0.1:{int(process.stdout.readline())}", report)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


async def main(report: str, mode: str, credentials: str | None = None) -> None:
    """Serve until the process is killed."""
    proxy = ConnectProxy(Path(report), mode, credentials)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  # the parent reads it
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
