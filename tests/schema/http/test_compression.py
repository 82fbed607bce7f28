"""Large responses are compressed in a worker thread, and only once while their rows are cached."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Hashable
from typing import Any

import pytest
import zstandard
from starlette.responses import Response

from gateway.http.compression import COMPRESS_FROM_BYTES
from schema.http.response import LARGE_BYTES, compress

BODY = b"0123456789" * (LARGE_BYTES // 5)


class Store:
    """The response stored with a page; ``is_gone`` after the page was evicted."""

    def __init__(self, *, is_gone: bool = False) -> None:
        self.values: dict[Hashable, Any] = {}
        self.sizes_bytes: list[int] = []
        self.is_gone = is_gone

    def get(self, key: Hashable) -> Any:
        return self.values.get(key)

    def keep(self, key: Hashable, value: Any, size_bytes: int) -> None:
        self.sizes_bytes.append(size_bytes)
        if not self.is_gone:
            self.values[key] = value


async def compressed(
    accept_encoding: str, store: Store | None = None, name: str = "all", body: bytes = BODY
) -> Response:
    reply = Response(body, headers={"X-Cache": "hit"})
    scope = {"type": "http", "headers": [(b"accept-encoding", accept_encoding.encode())]}
    await compress(scope, reply, None if store is None else (store, name))
    return reply


async def test_other_requests_run_while_a_large_response_is_compressed() -> None:
    task = asyncio.create_task(compressed("br", body=random.Random(1).randbytes(2_000_000)))
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    # A compression that blocks the event loop would allow one turn only.
    assert turns > 1
    assert task.result().headers["Content-Encoding"] == "br"


async def test_the_headers_are_those_of_the_compressed_body() -> None:
    reply = await compressed("zstd")
    assert zstandard.ZstdDecompressor().decompress(bytes(reply.body)) == BODY
    assert reply.headers["Content-Length"] == str(len(reply.body))
    assert [name for name, _ in reply.raw_headers].count(b"content-length") == 1
    assert reply.headers["X-Cache"] == "hit"


async def test_a_compressed_response_is_reused() -> None:
    store = Store()
    first = await compressed("zstd", store)
    assert store.values == {("zstd", "all"): first.body}
    assert store.sizes_bytes == [len(first.body)]
    assert (await compressed("zstd", store)).body is first.body
    assert len(store.sizes_bytes) == 1


async def test_another_coding_or_body_is_another_value() -> None:
    store = Store()
    bodies = [
        bytes((await compressed(coding, store, name)).body) for coding in ("zstd", "gzip") for name in ("one", "two")
    ]
    assert len(store.values) == 4
    assert bodies[0] != bodies[2]


async def test_an_evicted_pages_rendering_is_freed() -> None:
    store = Store(is_gone=True)
    assert (await compressed("zstd", store)).headers["Content-Encoding"] == "zstd"
    assert store.values == {}


async def test_a_small_response_is_compressed_if_cacheable() -> None:
    store = Store()
    for _ in range(2):
        reply = await compressed("gzip", store, body=b"x" * COMPRESS_FROM_BYTES)
        assert reply.headers["Content-Encoding"] == "gzip"
    assert len(store.sizes_bytes) == 1
    assert "Content-Encoding" not in (await compressed("gzip", store, body=b"x" * (COMPRESS_FROM_BYTES - 1))).headers


@pytest.mark.parametrize(("accept_encoding", "size_bytes"), [("zstd", LARGE_BYTES - 1), ("identity", LARGE_BYTES)])
async def test_small_and_uncompressible_responses_are_sent_unchanged(accept_encoding: str, size_bytes: int) -> None:
    reply = await compressed(accept_encoding, body=b"x" * size_bytes)
    assert reply.body == b"x" * size_bytes
    assert "Content-Encoding" not in reply.headers
    assert reply.headers["Content-Length"] == str(size_bytes)
