"""Bodies that arrive slowly hold a bounded number of bytes together."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import time
from contextlib import ExitStack
from typing import Any

import pytest

from gateway.errors import BadRequest, ServiceUnavailable
from schema.http import request_bodies
from schema.http.request_bodies import RequestBodies, RequestBody

HEAD = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n"


async def unfinished(bodies: RequestBodies, size: int, started: list[RequestBody]) -> None:
    """Receive a part of a body, and wait for the rest."""
    async with bodies.body(20) as body:
        started.append(body)
        body.add(size)
        await asyncio.Event().wait()


async def test_the_largest_body_is_refused_beyond_the_bound() -> None:
    bodies, started = RequestBodies(100), list[RequestBody]()
    waiting = [asyncio.create_task(unfinished(bodies, size, started)) for size in (40, 50)]
    await asyncio.sleep(0)
    async with bodies.body(20) as small:
        small.add(10)
        small.add(10)
        with pytest.raises(ServiceUnavailable):
            await waiting[1]
        assert bodies.held_bytes == 60
        with pytest.raises(ServiceUnavailable):
            small.add(61)
    assert bodies.held_bytes == 40
    waiting[0].cancel()
    await asyncio.wait(waiting)
    assert bodies.held_bytes == 0


async def test_a_body_that_does_not_arrive_in_time_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        async with RequestBodies(100).body(0.01):
            await asyncio.Event().wait()
    assert caught.value.status == 408


def test_small_bodies_arrive_in_parts_beside_many_large_unfinished_ones(
    start_gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_bodies.RequestBodies.__init__, "__defaults__", (300_000,))
    gateway = start_gateway()
    address = ("127.0.0.1", int(gateway.url.rpartition(":")[2]))
    with ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(socket.create_connection(address, timeout=20))
            connection.sendall(HEAD + b"x" * 29_000)
        for _ in range(20):
            body = b'{"query": "{ __typename }"}'
            connection = stack.enter_context(socket.create_connection(address, timeout=20))
            connection.sendall(HEAD.replace(b"900000", b"%d" % len(body)) + body[:5])
            time.sleep(0.01)
            connection.sendall(body[5:])
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


def test_unfinished_bodies_of_many_connections_are_refused(start_gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_bodies.RequestBodies.__init__, "__defaults__", (300_000,))
    gateway = start_gateway()
    address = ("127.0.0.1", int(gateway.url.rpartition(":")[2]))
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(4)]
        for connection in sockets:
            connection.sendall(HEAD + b"x" * 100_000)
        answered, _, _ = select.select(sockets, [], [], 20)
        answers = [connection.recv(65_536) for connection in answered]
        assert answers
        assert all(answer.startswith(b"HTTP/1.1 503") for answer in answers)
        error = json.loads(answers[0].partition(b"\r\n\r\n")[2])["errors"][0]
        assert error["extensions"]["code"] == "SERVICE_UNAVAILABLE"
        # A small request, which arrives at once, does not count.
        assert gateway.connection("first: 1", "sample+as=bodies")
