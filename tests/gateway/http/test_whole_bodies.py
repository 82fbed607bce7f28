"""Large GraphQL responses are compressed in a worker thread, and only once while their rows are cached."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Hashable
from typing import Any

import pytest
import zstandard
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from gateway.http import whole_bodies
from gateway.http.compression import Compress
from gateway.http.content_negotiation import JSON
from gateway.http.response_buffers import ResponseBuffers, attach_buffer
from gateway.http.whole_bodies import COMPRESS_FROM_BYTES, LARGE_BYTES, cache_compressed
from gateway.scheduling.worker_thread import WorkerThread

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
    accept_encoding: str,
    store: Store | None = None,
    name: str = "all",
    body: bytes = BODY,
    path: str = "/whole",
    thread: WorkerThread | None = None,
    owner: bytes | None = None,
) -> Response:
    """Return the response to a request of ``owner``, as the compression middleware sends it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if store is not None:
            cache_compressed(scope, store, name)
        if owner is not None:
            attach_buffer(scope, ResponseBuffers(len(body)).open(owner))
        await Response(body, headers={"X-Cache": "hit"}, media_type=JSON)(scope, receive, send)

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("no application here reads its request")

    headers = [(b"accept-encoding", accept_encoding.encode())]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "state": {}}
    await Compress(app, whole_path="/whole", thread=thread or WorkerThread())(scope, receive, send)
    start, message = sent
    response = Response(message["body"])
    response.raw_headers = start["headers"]
    return response


async def test_other_requests_run_while_a_large_response_is_compressed() -> None:
    task = asyncio.create_task(compressed("br", body=random.Random(1).randbytes(2_000_000)))
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    # A compression that blocks the event loop would allow one turn only.
    assert turns > 1
    assert task.result().headers["Content-Encoding"] == "br"


async def test_many_large_responses_of_one_token_do_not_delay_the_compression_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, gate, order = threading.Event(), threading.Event(), list[bytes]()

    def compress(body: bytes) -> bytes:
        started.set()
        assert gate.wait(30)
        order.append(body[:1])
        return body

    monkeypatch.setitem(whole_bodies._COMPRESS, "br", compress)
    thread = WorkerThread()
    busy = [
        asyncio.ensure_future(compressed("br", body=b"b" * LARGE_BYTES, thread=thread, owner=b"busy"))
        for _ in range(60)
    ]
    assert await asyncio.to_thread(started.wait, 30)
    other = asyncio.ensure_future(compressed("br", body=b"o" * LARGE_BYTES, thread=thread, owner=b"other"))
    # The middleware has some steps before the compression.
    for _ in range(10):
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(other, *busy)
    assert order.index(b"o") <= 2


async def test_the_headers_are_those_of_the_compressed_body() -> None:
    response = await compressed("zstd")
    assert zstandard.ZstdDecompressor().decompress(bytes(response.body)) == BODY
    assert response.headers["Content-Length"] == str(len(response.body))
    assert [name for name, _ in response.raw_headers].count(b"content-length") == 1
    assert response.headers["X-Cache"] == "hit"


async def test_a_compressed_response_is_reused() -> None:
    store = Store()
    first = await compressed("zstd", store)
    assert store.values == {("zstd", "all"): first.body}
    assert store.sizes_bytes == [len(first.body)]
    assert (await compressed("zstd", store)).body is first.body
    assert len(store.sizes_bytes) == 1


async def test_each_coding_and_body_is_stored_separately() -> None:
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
        response = await compressed("gzip", store, body=b"x" * COMPRESS_FROM_BYTES)
        assert response.headers["Content-Encoding"] == "gzip"
    assert len(store.sizes_bytes) == 1
    assert "Content-Encoding" not in (await compressed("gzip", store, body=b"x" * (COMPRESS_FROM_BYTES - 1))).headers


@pytest.mark.parametrize(("coding", "size_bytes"), [("zstd", COMPRESS_FROM_BYTES - 1), ("identity", LARGE_BYTES)])
async def test_a_response_is_unchanged_if_it_is_small_or_no_coding_is_accepted(coding: str, size_bytes: int) -> None:
    response = await compressed(coding, body=b"x" * size_bytes)
    assert response.body == b"x" * size_bytes
    assert "Content-Encoding" not in response.headers
    assert response.headers["Content-Length"] == str(size_bytes)


@pytest.mark.parametrize("path", ["/whole", "/others"])
@pytest.mark.parametrize("size_bytes", [COMPRESS_FROM_BYTES, LARGE_BYTES - 1, LARGE_BYTES])
async def test_every_response_is_compressed_once(path: str, size_bytes: int) -> None:
    response = await compressed("zstd", body=b"x" * size_bytes, path=path)
    assert zstandard.ZstdDecompressor().decompressobj().decompress(bytes(response.body)) == b"x" * size_bytes
    assert [value for name, value in response.raw_headers if name == b"content-encoding"] == [b"zstd"]
