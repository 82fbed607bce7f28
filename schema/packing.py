"""Large replies packed beside the event loop, and once for as long as their rows are kept. RFC 9110, section 8.4.

Small ones are left to the server's layer for all replies, which packs them where it stands.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Hashable
from typing import Protocol

import brotli
import zstandard
from starlette.types import Scope

from gateway.page import Renderings
from schema.accept import coding_for
from schema.request import header

# Measured: so many take zstd half a millisecond and Brotli two; 10,000 rows, 3.5 MB, take 8 and 35 to 110.
LARGE_BYTES = 131_072

# The middle levels that the layer for small replies has, too.
_PACK: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstandard.ZstdCompressor(level=4).compress(body),
    "br": lambda body: brotli.compress(body, quality=4),
    "gzip": lambda body: gzip.compress(body, 4, mtime=0),
}


class Reply(Protocol):
    """A reply before it is sent, as Starlette's Response is one."""

    body: bytes | memoryview
    raw_headers: list[tuple[bytes, bytes]]


async def pack(scope: Scope, reply: Reply, kept: tuple[Renderings, Hashable] | None = None) -> None:
    """Pack the body of ``reply`` if it is large and its client accepts that.

    ``kept`` says where a packed body is kept for the next time, and under which name, which must stand for all of it.
    """
    coding = coding_for(header(scope, b"accept-encoding")) if len(reply.body) >= LARGE_BYTES else None
    if coding is None:
        return
    renderings, name = kept or (None, None)
    packed: bytes | None = None if renderings is None else renderings.get((coding, name))
    if packed is None:
        packed = await asyncio.to_thread(_PACK[coding], bytes(reply.body))
        if renderings is not None:
            renderings.keep((coding, name), packed, len(packed))
    reply.body = packed
    reply.raw_headers[:] = [pair for pair in reply.raw_headers if pair[0] != b"content-length"]
    reply.raw_headers += [(b"content-encoding", coding.encode()), (b"content-length", b"%d" % len(packed))]
