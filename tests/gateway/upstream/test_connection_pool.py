"""Connections are kept and reused, the last one first; idle ones are closed, and failed ones are dropped."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.upstream import connection_pool
from gateway.upstream.connection_pool import IDLE_SECONDS, ConnectionPool
from tests.gateway.upstream.scripted import Scripted, Step, UpstreamRequest, http, raw, upstream
from tests.redis_server import until

OK = raw(http(200, {}, b"rows"), keep=True)
ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=IDLE_SECONDS)


@asynccontextmanager
async def pool_of(*steps: Step) -> AsyncIterator[tuple[ConnectionPool, Scripted]]:
    async with upstream(*steps) as up:
        pool = ConnectionPool(lambda: httpx.AsyncHTTPTransport(limits=ONE))
        try:
            yield pool, up
        finally:
            await pool.aclose()


async def get(pool: ConnectionPool, up: Scripted) -> bytes:
    response = await pool.handle_async_request(httpx.Request("GET", up.url))
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        return b"".join([part async for part in response.stream])
    finally:
        await response.aclose()


async def test_requests_after_each_other_share_one_connection() -> None:
    async with pool_of(OK) as (pool, up):
        assert [await get(pool, up) for _ in range(5)] == [b"rows"] * 5
        assert (up.connections, len(pool)) == (1, 1)


async def test_requests_at_once_have_a_connection_each_and_the_last_used_is_the_next() -> None:
    gate = asyncio.Event()

    async def held(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        await gate.wait()
        writer.write(http(200, {}, b"rows"))
        return True

    async with pool_of(held) as (pool, up):
        tasks = [asyncio.create_task(get(pool, up)) for _ in range(20)]
        await until(lambda: len(up.requests) == 20)
        gate.set()
        assert await asyncio.gather(*tasks) == [b"rows"] * 20
        assert (up.connections, len(pool)) == (20, 20)
        for _ in range(3):
            await get(pool, up)
        assert up.connections == 20
        assert len({request.connection for request in up.requests[20:]}) == 1


async def test_connections_that_were_idle_for_long_are_closed_two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pool_of(OK) as (pool, up):
        responses = [await pool.handle_async_request(httpx.Request("GET", up.url)) for _ in range(7)]
        for response in responses:
            await response.aread()
            await response.aclose()
        monkeypatch.setattr(connection_pool, "IDLE_SECONDS", 0.0)
        sizes = []
        for _ in range(3):
            await get(pool, up)
            sizes.append(len(pool))
        assert sizes == [5, 3, 1]
        await until(lambda: up.open_connections == 1)


async def test_a_connection_that_the_upstream_closed_is_replaced() -> None:
    async with pool_of(raw(http(200, {}, b"first"), keep=False), OK) as (pool, up):
        assert await get(pool, up) == b"first"
        await until(lambda: not up.open_connections)
        await asyncio.sleep(0.05)
        assert await get(pool, up) == b"rows"
        assert (up.connections, len(pool)) == (2, 1)


async def test_a_failed_connection_is_dropped() -> None:
    async with pool_of(raw(b"this is not HTTP\r\n\r\n"), OK) as (pool, up):
        with pytest.raises(httpx.RemoteProtocolError):
            await get(pool, up)
        assert len(pool) == 0
        assert await get(pool, up) == b"rows"


async def test_a_canceled_request_closes_its_connection() -> None:
    async def never(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        await asyncio.Event().wait()
        return True

    async with pool_of(never) as (pool, up):
        task = asyncio.create_task(get(pool, up))
        await until(lambda: up.requests)
        task.cancel()
        await asyncio.wait([task])
        assert len(pool) == 0
        await asyncio.wait_for(up.all_closed.wait(), 5)


async def test_a_body_that_is_not_read_to_its_end_closes_its_connection_only() -> None:
    async with pool_of(raw(http(200, {}, b"x" * 1_000_000), keep=True), OK) as (pool, up):
        response = await pool.handle_async_request(httpx.Request("GET", up.url))
        await response.aclose()
        assert await get(pool, up) == b"rows"
        assert [request.connection for request in up.requests] == [1, 2]


@pytest.mark.parametrize("steps", range(1, 6))
async def test_after_a_canceled_close_the_connection_is_not_used_again(steps: int) -> None:
    """The library leaves such a connection busy for ever, and a request on it would wait for its end."""
    async with pool_of(OK) as (pool, up):
        response = await pool.handle_async_request(httpx.Request("GET", up.url))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        assert [part async for part in response.stream] == [b"rows"]
        closing = asyncio.ensure_future(response.stream.aclose())
        for _ in range(steps):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        async with asyncio.timeout(5):
            assert await get(pool, up) == b"rows"
        assert len(pool) == 1


async def test_without_keeping_each_request_has_its_own_connection() -> None:
    async with upstream(OK) as up:
        pool = ConnectionPool(lambda: httpx.AsyncHTTPTransport(limits=ONE), keeps=False)
        for _ in range(3):
            assert await get(pool, up) == b"rows"
        assert (up.connections, len(pool)) == (3, 0)
        await asyncio.wait_for(up.all_closed.wait(), 5)


async def test_a_connection_that_is_reset_at_once_is_an_error_of_the_network() -> None:
    """The library asks such a socket for its peer, and fails with an AttributeError."""

    def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    url = "http://{}:{}".format(*server.sockets[0].getsockname())
    pool = ConnectionPool(lambda: httpx.AsyncHTTPTransport(limits=ONE))
    async with server:
        results = await asyncio.gather(
            *(pool.handle_async_request(httpx.Request("GET", url)) for _ in range(200)), return_exceptions=True
        )
    assert {type(result) for result in results} <= {httpx.ReadError, httpx.WriteError, httpx.ConnectError}
    assert len(pool) == 0


async def test_closing_the_pool_closes_busy_and_idle_connections() -> None:
    async with pool_of(OK) as (pool, up):
        busy = await pool.handle_async_request(httpx.Request("GET", up.url))
        await get(pool, up)
        assert up.open_connections == 2
        await pool.aclose()
        await asyncio.wait_for(up.all_closed.wait(), 5)
        await busy.aclose()
        assert len(pool) == 0
