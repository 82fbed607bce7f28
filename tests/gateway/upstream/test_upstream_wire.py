"""Responses that are truncated, violate HTTP or would fill the memory."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
import zstandard

from gateway.errors import GatewayError, UpstreamBadResponse, UpstreamUnavailable
from tests.gateway.upstream.scripted import (
    GOOD,
    RecordingObserver,
    Step,
    caller,
    client,
    envelope,
    http,
    page_query,
    raw,
    reset,
    respond,
    rows,
    sold,
    upstream,
)

FAR = float("inf")
BODY = json.dumps(envelope(rows(1), 1)).encode()
OK = b"HTTP/1.1 200 OK\r\n"
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
# A frame with a window of 64 MB, which the reader would allocate; RFC 9659 allows at most 8 MB.
_wide = zstandard.ZstdCompressor(
    compression_params=zstandard.ZstdCompressionParameters.from_level(3, window_log=26)
).compressobj()
WIDE_WINDOW = _wide.compress(BODY) + _wide.flush()


def packed(encoding: str, body: bytes) -> Step:
    """Return a step that sends ``body`` unchanged with a Content-Encoding."""
    return raw(http(200, {"Content-Encoding": encoding}, body))


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (raw(b""), UpstreamUnavailable),
        (reset(), UpstreamUnavailable),
        (raw(OK + b"Content-Length: 100\r\n\r\n{"), UpstreamBadResponse),
        (raw(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"), UpstreamBadResponse),
        (raw(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}"), UpstreamBadResponse),
        (raw(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), UpstreamBadResponse),
        (raw(OK + b"Content-Length: -1\r\n\r\n{}"), UpstreamBadResponse),
        (raw(b"\x00\xff garbage \r\n\r\n"), UpstreamBadResponse),
        (raw(b"HTTP/9.9 huh\r\n\r\n"), UpstreamBadResponse),
        (raw(OK + b"X: " + b"y" * 200_000 + b"\r\n\r\n"), UpstreamBadResponse),
        (raw(OK + b"".join(b"X-%d: y\r\n" % number for number in range(20_000)) + b"\r\n"), UpstreamBadResponse),
        *((packed(name, pack(BODY)[:-3]), UpstreamBadResponse) for name, pack in PACK.items()),
        *((packed(name, b""), UpstreamBadResponse) for name in PACK),
        *((packed(name, BODY), UpstreamBadResponse) for name in PACK),
        *((packed(name, pack(BODY) + b"more"), UpstreamBadResponse) for name, pack in PACK.items()),
        (packed("zstd", WIDE_WINDOW), UpstreamBadResponse),
        (respond(b""), UpstreamBadResponse),
        (respond(b"<html>"), UpstreamBadResponse),
        (respond(BODY[:-1]), UpstreamBadResponse),
        (respond({"Value": None}), UpstreamBadResponse),
    ],
)
async def test_a_broken_response_is_retried_once_on_a_new_connection(step: Any, error: type[GatewayError]) -> None:
    """If it breaks again, the error has a code; the next query succeeds."""
    observer = RecordingObserver()
    async with upstream(GOOD, step, step, GOOD) as up, client(up.url, observer=observer) as it:
        await it.call(page_query(), caller(), deadline=FAR)
        with pytest.raises(error) as caught:
            await it.call(page_query(), caller(), deadline=FAR)
        assert type(caught.value) is error
        assert observer.outcomes == ["ok", error.code, error.code]
        assert up.requests[1].connection != up.requests[2].connection
        assert sold((await it.call(page_query(), caller(), deadline=FAR)).rows) == [1, 2]


@pytest.mark.parametrize("step", [raw(b""), reset(), raw(OK + b"Content-Length: 100\r\n\r\n{"), respond(b"[")])
async def test_a_response_that_breaks_once_is_recovered(step: Any) -> None:
    async with upstream(step, GOOD) as up, client(up.url) as it:
        result = await it.call(page_query(), caller(), deadline=FAR)
        assert (sold(result.rows), result.attempts) == ([1, 2], 2)


@pytest.mark.parametrize(
    "encoding", ["deflate", "gzip, gzip", "br, gzip", "zstd,zstd", "zstd, br, gzip", "dcz", "compress", "x" * 1000]
)
async def test_an_unrequested_content_coding_is_rejected(encoding: str) -> None:
    async with upstream(respond(BODY, headers={"Content-Encoding": encoding})) as up, client(up.url) as it:
        with pytest.raises(UpstreamBadResponse):
            await it.call(page_query(), caller(), deadline=FAR)
        assert len(up.requests) == 1


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", " gzip ,identity", "br", "Br", "zstd", "identity,ZSTD"])
async def test_a_requested_content_coding_is_decoded(encoding: str) -> None:
    pack = next(pack for name, pack in PACK.items() if name in encoding.lower())
    async with (
        upstream(respond(pack(BODY), headers={"Content-Encoding": encoding})) as up,
        client(up.url) as it,
    ):
        assert sold((await it.call(page_query(), caller(), deadline=FAR)).rows) == [1]


async def test_several_zstandard_frames_are_one_body() -> None:
    frames = b"".join(PACK["zstd"](BODY[start : start + 30]) for start in range(0, len(BODY), 30))
    async with upstream(packed("zstd", frames)) as up, client(up.url) as it:
        assert sold((await it.call(page_query(), caller(), deadline=FAR)).rows) == [1]


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "", "x;;=", "text/json; charset=latin1"])
async def test_the_content_type_of_valid_json_does_not_matter(kind: str) -> None:
    async with upstream(respond(b"\xef\xbb\xbf" + BODY, headers={"Content-Type": kind})) as up, client(up.url) as it:
        assert sold((await it.call(page_query(), caller(), deadline=FAR)).rows) == [1]


async def test_a_body_without_a_length_ends_with_its_connection() -> None:
    async with upstream(raw(OK + b"\r\n" + BODY)) as up, client(up.url) as it:
        assert sold((await it.call(page_query(), caller(), deadline=FAR)).rows) == [1]


async def test_interim_responses_are_skipped() -> None:
    async with upstream(raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + http(200, {}, BODY))) as up, client(up.url) as it:
        assert sold((await it.call(page_query(), caller(), deadline=FAR)).rows) == [1]


def bomb(encoding: str, size_bytes: int) -> bytes:
    """Return compressed spaces."""
    if encoding == "gzip":
        packer: Any = zlib.compressobj(9, zlib.DEFLATED, 31)
        feed, end = packer.compress, packer.flush
    elif encoding == "br":
        packer = brotli.Compressor(quality=5)
        feed, end = packer.process, packer.finish
    else:
        packer = zstandard.ZstdCompressor().compressobj()
        feed, end = packer.compress, packer.flush
    return b"".join([*(feed(b" " * 2**20) for _ in range(size_bytes // 2**20)), end()])


@pytest.mark.parametrize("encoding", PACK)
async def test_a_decompression_bomb_is_cut_off_without_memory_growth_or_blocking(encoding: str) -> None:
    """Each bomb contains 256 MiB.

    It takes a quarter of a megabyte with gzip, 8 kB with zstd, and less than 1 kB with br.
    """
    packed = bomb(encoding, 2**28)
    longest_seconds = 0.0

    async def watch() -> None:
        nonlocal longest_seconds
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(0)
            longest_seconds, before = max(longest_seconds, loop.time() - before), loop.time()

    async with (
        upstream(respond(packed, headers={"Content-Encoding": encoding})) as up,
        client(up.url, max_body_bytes=2**24) as it,
    ):
        watcher = asyncio.ensure_future(watch())
        tracemalloc.start()
        with pytest.raises(UpstreamBadResponse) as caught:
            await it.call(page_query(), caller(), deadline=FAR)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        watcher.cancel()
        assert "16777216 bytes" in caught.value.message
        assert len(up.requests) == 1
        assert peak_bytes < 3 * 2**24
        assert longest_seconds < 0.5


async def test_an_uncompressed_body_beyond_the_limit_is_cut_off() -> None:
    async with upstream(respond(b" " * 2_000_000)) as up, client(up.url) as it:
        with pytest.raises(UpstreamBadResponse):
            await it.call(page_query(), caller(), deadline=FAR)
        async with asyncio.timeout(5):
            await up.all_closed.wait()


async def test_an_error_body_beyond_its_limit_is_not_read() -> None:
    observer = RecordingObserver()
    async with upstream(respond(b" " * 50_000_000, 400)) as up, client(up.url, observer=observer) as it:
        with pytest.raises(GatewayError) as caught:
            await it.call(page_query(), caller(), deadline=FAR)
        assert caught.value.code == "UPSTREAM_REJECTED"
        assert observer.calls[0].bytes < 200_000


@pytest.mark.parametrize("encoding", PACK)
async def test_many_small_steps_give_the_same_rows(encoding: str) -> None:
    body = json.dumps(envelope(rows(*range(20_000)), 20_000)).encode()
    async with (
        upstream(respond(PACK[encoding](body), headers={"Content-Encoding": encoding})) as up,
        client(up.url, max_body_bytes=2**24) as it,
    ):
        result = await it.call(page_query(), caller(), deadline=FAR)
        assert sold(result.rows) == list(range(20_000))


async def test_a_large_body_of_invalid_values_is_decoded_in_a_worker_thread() -> None:
    """Counts are strings, as sibling endpoints send them."""
    odd = [{**row, "licensesSold": str(row["licensesSold"])} for row in rows(*range(5_000))]
    async with upstream(respond(envelope(odd, 5_000))) as up, client(up.url) as it:
        result = await it.call(page_query(), caller(), deadline=FAR)
        assert sold(result.rows) == list(range(5_000))
        assert result.unreadable_values == 0


async def test_a_body_in_chunks_of_a_byte_lets_other_tasks_run() -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY + b" " * 30_000)
    step = raw(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    async with upstream(step) as up, client(up.url) as it:
        turns = 0
        call = asyncio.ensure_future(it.call(page_query(), caller(), deadline=FAR))
        while not call.done():
            turns += 1
            await asyncio.sleep(0)
        assert sold(call.result().rows) == [1]
        assert turns > 1_000


async def test_an_https_upstream_is_never_requested_in_plain_text() -> None:
    """No token is sent before the handshake, which this upstream never completes, and no connection stays open."""
    async with upstream(GOOD) as up, client(up.url.replace("http:", "https:"), timeout_seconds=0.2) as it:
        with pytest.raises(GatewayError) as caught:
            await it.call(page_query(), caller(), deadline=FAR)
        assert caught.value.code in ("UPSTREAM_TIMEOUT", "UPSTREAM_UNAVAILABLE")
        assert not up.requests
        async with asyncio.timeout(5):
            await up.all_closed.wait()
