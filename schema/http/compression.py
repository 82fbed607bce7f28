"""Compress large and cached GraphQL responses. RFC 9110, section 8.4.

The application's compression layer compresses each response in the event loop. Large responses would block it, so they
are compressed in a worker thread. A response from the cache is compressed once while its rows are cached.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Hashable
from typing import Protocol

import brotli
import zstandard
from starlette.types import Scope

from gateway.http.compression import COMPRESS_FROM_BYTES
from gateway.page import Renderings
from schema.http.content_negotiation import coding_for
from schema.http.request import header

# Measured: this size takes 0.2 (zstd) to 0.8 (gzip) milliseconds; 10,000 rows, 3.5 MB, take 8 to over 35.
LARGE_BYTES = 131_072

# The same levels as in the compression layer.
_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstandard.ZstdCompressor(level=4).compress(body),
    "br": lambda body: brotli.compress(body, quality=4),
    "gzip": lambda body: gzip.compress(body, 4, mtime=0),
}


class EncodedResponse(Protocol):
    """A response before it is sent, such as Starlette's Response."""

    body: bytes | memoryview
    raw_headers: list[tuple[bytes, bytes]]


async def compress(
    scope: Scope, response: EncodedResponse, stored_as: tuple[Renderings, Hashable] | None = None
) -> None:
    """Compress the body of ``response`` if the client accepts it, and the body is large or ``stored_as`` is given.

    ``stored_as`` is a store for the compressed body and a key, which must identify the whole body.
    """
    min_bytes = LARGE_BYTES if stored_as is None else COMPRESS_FROM_BYTES
    coding = coding_for(header(scope, b"accept-encoding")) if len(response.body) >= min_bytes else None
    if coding is None:
        return
    renderings, name = stored_as or (None, None)
    body: bytes | None = None if renderings is None else renderings.get((coding, name))
    if body is None:
        body = await _compressed(coding, bytes(response.body))
        if renderings is not None:
            renderings.keep((coding, name), body, len(body))
    response.body = body
    response.raw_headers[:] = [pair for pair in response.raw_headers if pair[0] != b"content-length"]
    response.raw_headers += [(b"content-encoding", coding.encode()), (b"content-length", b"%d" % len(body))]


async def _compressed(coding: str, body: bytes) -> bytes:
    compressor = _COMPRESS[coding]
    return compressor(body) if len(body) < LARGE_BYTES else await asyncio.to_thread(compressor, body)
