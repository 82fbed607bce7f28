"""The log says in plain words why Redis is not used, and which setting to check."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from gateway.cache.redis_store import RedisStore
from gateway.config.redis_url import cache_address
from tests.gateway.fakes import UPSTREAM
from tests.ports import free_port
from tests.redis_server import redis_server

PLACE_REMEDY = "Check the host and the port in GATEWAY_CACHE_URL, and that the server runs."


async def warned(url: str) -> tuple[str, str]:
    """Return cause and remedy in the log of a store that starts with the setting ``url``."""
    address = cache_address(url)
    assert address is not None
    store = RedisStore(address, UPSTREAM)
    with capture_logs() as lines:
        await store.start()
    await store.aclose()
    return lines[0]["cause"], lines[0]["remedy"]


@asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[int]:
    """Yield the port of a server that sends ``answer``, or nothing, to whatever arrives."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_an_unreachable_server_is_named_with_the_setting() -> None:
    assert await warned(f"redis://127.0.0.1:{free_port()}") == ("connection refused", PLACE_REMEDY)
    assert await warned("redis://nowhere.invalid") == ("name not found", PLACE_REMEDY)


@pytest.mark.parametrize(
    ("answer", "scheme", "cause", "remedy"),
    [
        (None, "redis", "timed out", PLACE_REMEDY),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "redis", "it does not answer like Redis", PLACE_REMEDY),
        (b"", "redis", "connection closed", "Check GATEWAY_CACHE_URL. A port with TLS needs rediss://."),
        (
            b"-READONLY You can't write against a read only replica.\r\n" * 3,
            "redis",
            "it is a read-only replica",
            "Name the primary server in GATEWAY_CACHE_URL.",
        ),
        (b"-ERR unknown\r\n", "rediss", "it does not speak TLS at this port", "Try redis:// in GATEWAY_CACHE_URL."),
    ],
)
async def test_another_server_at_the_port_is_named(answer: bytes | None, scheme: str, cause: str, remedy: str) -> None:
    async with answering(answer) as port:
        assert await warned(f"{scheme}://127.0.0.1:{port}") == (cause, remedy)


async def test_a_database_that_does_not_exist_is_named() -> None:
    with redis_server() as server:
        cause, remedy = await warned(f"{server.url}/99")
    assert cause == "it refused a command"
    assert "database at the end of GATEWAY_CACHE_URL" in remedy
