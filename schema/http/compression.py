"""Compression of what is worth more than the server's layer gives it. RFC 9110, section 8.4.

That layer compresses each reply where it stands. Large ones would stop everybody else meanwhile, so they are compressed
beside the event loop; and an answer from the cache is compressed once for as long as its rows are kept.
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

# Measured: so many take 0.2 (zstd) to 0.8 (gzip) milliseconds; 10,000 rows, 3.5 MB, take 8 to 35 and more.
LARGE_BYTES = 131_072

# The levels that the layer has, too.
_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstandard.ZstdCompressor(level=4).compress(body),
    "br": lambda body: brotli.compress(body, quality=4),
    "gzip": lambda body: gzip.compress(body, 4, mtime=0),
}


class Reply(Protocol):
    """A reply before it is sent, as Starlette's Response is one."""

    body: bytes | memoryview
    raw_headers: list[tuple[bytes, bytes]]


async def compress(scope: Scope, reply: Reply, kept: tuple[Renderings, Hashable] | None = None) -> None:
    """Compress the body of ``reply`` if its client accepts that, and it is large or there is a place to keep it.

    ``kept`` is that place, and a name there, which must stand for all of the body.
    """
    least_bytes = LARGE_BYTES if kept is None else COMPRESS_FROM_BYTES
    coding = coding_for(header(scope, b"accept-encoding")) if len(reply.body) >= least_bytes else None
    if coding is None:
        return
    renderings, name = kept or (None, None)
    found: bytes | None = None if renderings is None else renderings.get((coding, name))
    if found is None:
        found = await _compressed(coding, bytes(reply.body))
        if renderings is not None:
            renderings.keep((coding, name), found, len(found))
    reply.body = found
    reply.raw_headers[:] = [pair for pair in reply.raw_headers if pair[0] != b"content-length"]
    reply.raw_headers += [(b"content-encoding", coding.encode()), (b"content-length", b"%d" % len(found))]


async def _compressed(coding: str, body: bytes) -> bytes:
    work = _COMPRESS[coding]
    return work(body) if len(body) < LARGE_BYTES else await asyncio.to_thread(work, body)
