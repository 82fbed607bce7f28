"""Clients on plain sockets: some disconnect at random times, others read slowly."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import socket
import struct
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tests.soak.exports import Received, check_break, check_export
from tests.soak.load import QUERY, Load
from tests.soak.upstream import row_count

# A slow reader reads this many bytes at a time, and its kernel buffers as few, so that the gateway has to wait.
SLOW_BYTES, SLOW_PAUSE_SECONDS = 4_096, 0.1
SLOW_SECONDS = (1.0, 4.0)
FAST_BYTES = 262_144
TIMEOUT_SECONDS = 60

# With SO_LINGER of 0 seconds, closing resets the connection.
RESET = struct.pack("ii", 1, 0)


class _Bytes(io.BytesIO):
    """A received response as http.client wants it: a socket."""

    def makefile(self, *_: Any) -> _Bytes:
        return self


def _request(token: str, method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _page_request(token: str, **variables: int) -> bytes:
    return _request(token, "POST", "/graphql", json.dumps({"query": QUERY, "variables": variables}).encode())


async def disconnect(load: Load, token: str) -> None:
    """Disconnect at a random time between the first byte and the answer."""
    address = urlsplit(load.url)
    started = load.now()
    load.requests += 1
    whole = _page_request(token, first=7, offset=load.random.randint(0, 40))
    try:
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(whole if load.random.random() < 0.7 else whole[: load.random.randint(1, len(whole))])
        await writer.drain()
    except ConnectionError as error:
        load.require_kill(error, started)
        return
    await asyncio.sleep(load.random.random() * 0.01)
    writer.transport.abort()
    load.results["disconnected"] += 1


async def slow_page(load: Load, token: str) -> None:
    """Read a large page slowly, and check it if it is read to the end."""
    size = min(5_000, row_count(token))
    started = load.now()
    response = await _read_slowly(load, _page_request(token, first=size))
    if response is None:
        return
    try:
        received = _body(response)
    except (http.client.HTTPException, ConnectionError) as error:
        load.require_kill(error, started)
        return
    body = msgspec.json.decode(received.body)
    if "errors" in body:
        load.check_refusal(body, token, started)
        return
    load.check(body["data"]["licenseDeployments"], token, 0, size, started)
    load.results["slow page"] += 1


async def slow_export(load: Load, token: str) -> None:
    """Read an export slowly, and check it if it is read to the end."""
    started = load.now()
    response = await _read_slowly(load, _request(token, "GET", "/export/licenseDeployments.csv"))
    if response is None:
        return
    try:
        received = _body(response)
    except http.client.IncompleteRead as error:
        check_break(load, token, error, started)
        check_export(load, token, "csv", Received(error.partial, "", is_complete=False), started)
        return
    except http.client.HTTPException as error:
        load.require_kill(error, started)
        return
    if not received.snapshot:
        load.check_refusal(msgspec.json.decode(received.body), token, started)
        return
    check_export(load, token, "csv", received, started)
    load.results["slow export"] += 1


def _body(response: bytes) -> Received:
    """Return a response's body and snapshot, if it has one. Raises HTTPException if the response is incomplete."""
    parsed = http.client.HTTPResponse(_Bytes(response))  # type: ignore[arg-type]  # it only calls makefile()
    parsed.begin()
    return Received(parsed.read(), parsed.headers.get("X-Snapshot", ""), is_complete=True)


async def _read_slowly(load: Load, request: bytes) -> bytes | None:
    """Return what arrived, the first part slowly; None if the client disconnects after reading slowly."""
    load.requests += 1
    loop, received = asyncio.get_running_loop(), bytearray()
    slow_until, leaves = load.now() + load.random.uniform(*SLOW_SECONDS), load.random.random() < 0.4
    with closing(socket.socket()) as connection, suppress(ConnectionError):
        # If the connection breaks, the end of what arrived shows that the response is incomplete.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_BYTES)
        connection.setblocking(False)
        await loop.sock_connect(connection, (urlsplit(load.url).hostname, urlsplit(load.url).port))
        await loop.sock_sendall(connection, request)
        while load.now() < slow_until:
            chunk = await asyncio.wait_for(loop.sock_recv(connection, SLOW_BYTES), TIMEOUT_SECONDS)
            if not chunk:
                return bytes(received)
            received += chunk
            await asyncio.sleep(SLOW_PAUSE_SECONDS)
        if leaves:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            load.results["slow reader left"] += 1
            return None
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FAST_BYTES)
        while chunk := await asyncio.wait_for(loop.sock_recv(connection, FAST_BYTES), TIMEOUT_SECONDS):
            received += chunk
    return bytes(received)
