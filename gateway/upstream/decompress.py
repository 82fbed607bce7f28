"""Read and decompress bodies in small steps, up to a size limit and without blocking the event loop."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing

import brotli
import zstandard

from gateway.errors import UpstreamBadResponse
from gateway.upstream.call import UpstreamCall
from gateway.upstream.retry import AttemptFailed, Failure, Retry
from gateway.upstream.transport import garbled

# The supported codings, fastest first. Measured: 10,000 rows, 3.7 MB, decompress in 1.5, 3 and 4 milliseconds.
ACCEPT_ENCODING = "zstd, br, gzip"

# Bytes decompressed in one step: well under a millisecond of work.
STEP_BYTES = 262_144
# Zstandard's library cannot limit a step's output, so limit its input. 4 bytes hold at most 128 kB (RFC 8878, section
# 3.1.1.2), so this many hold at most 8 MB. Measured: a page takes a sixth longer than in one piece.
ZSTD_STEP_PACKED_BYTES = 256
# RFC 9659, section 3: no content coding needs a larger window.
ZSTD_WINDOW_BYTES = 8_388_608
# Pieces, or decompression steps, after which other tasks may run: a few milliseconds of work at most.
YIELD_PIECES = 16

# zlib's manual: adding 16 to the window size selects the gzip header and trailer.
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS


async def read_body(pieces: AsyncIterable[bytes], encoding: str, max_bytes: int, call: UpstreamCall) -> bytes:
    """Return the whole decompressed body. Raises AttemptFailed if it is too large, corrupt or in an unrequested coding.

    ``encoding`` is the Content-Encoding header. It may list several codings (RFC 9110, section 8.4); at most one is
    supported.
    """
    parts: list[bytes] = []
    size_bytes = 0
    unpack = _unpacker(encoding)
    try:
        async with aclosing(unpack(_counted(pieces, call))) as unpacked:
            async for part in unpacked:
                parts.append(part)
                size_bytes += len(part)
                if size_bytes > max_bytes:
                    raise _unusable(f"is larger than {max_bytes} bytes. Request fewer rows or columns.")
                if len(parts) % YIELD_PIECES == 0:
                    await asyncio.sleep(0)
    except (zlib.error, brotli.error, zstandard.ZstdError):
        raise _garbled() from None
    return b"".join(parts)


async def _counted(pieces: AsyncIterable[bytes], call: UpstreamCall) -> AsyncGenerator[bytes]:
    async for piece in pieces:
        call.bytes += len(piece)
        yield piece


async def _unchanged(pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Yield the pieces. HTTP's framing detects truncation."""
    async for piece in pieces:
        yield piece


async def _gunzipped(pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Yield the content of one gzip member in parts of at most STEP_BYTES."""
    inflate = zlib.decompressobj(_GZIP_WINDOW_BITS)
    async for piece in pieces:
        while piece:
            if inflate.eof:
                raise _garbled()
            part = inflate.decompress(piece, STEP_BYTES)
            piece = inflate.unconsumed_tail or inflate.unused_data
            yield part
    if not inflate.eof:
        raise _garbled()


async def _brotli_unpacked(pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Yield the content of a Brotli stream in parts of about STEP_BYTES; the library rounds its buffers up."""
    decompressor = brotli.Decompressor()
    async for piece in pieces:
        # The library keeps output beyond the limit until it is called with empty input.
        while part := decompressor.process(piece, output_buffer_limit=STEP_BYTES):
            piece = b""
            yield part
    if not decompressor.is_finished():
        raise _garbled()


async def _zstd_unpacked(pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Yield the content of Zstandard frames (RFC 8878, section 3), a part for each ZSTD_STEP_PACKED_BYTES of input."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
    frame = decompressor.decompressobj()
    async for piece in pieces:
        for start in range(0, len(piece), ZSTD_STEP_PACKED_BYTES):
            packed = piece[start : start + ZSTD_STEP_PACKED_BYTES]
            while packed:
                if frame.eof:
                    frame = decompressor.decompressobj()
                part = frame.decompress(packed)
                packed = frame.unused_data
                yield part
    if not frame.eof:
        raise _garbled()


Unpack = Callable[[AsyncIterable[bytes]], AsyncGenerator[bytes]]

# RFC 9110, section 8.4.1, including the old name of gzip; RFC 7932; RFC 8878.
_UNPACKERS: dict[str, Unpack] = {
    "gzip": _gunzipped,
    "x-gzip": _gunzipped,
    "br": _brotli_unpacked,
    "zstd": _zstd_unpacked,
}


def _unpacker(encoding: str) -> Unpack:
    names = [name for name in (part.strip().lower() for part in encoding.split(",")) if name not in ("", "identity")]
    if not names:
        return _unchanged
    if len(names) == 1 and names[0] in _UNPACKERS:
        return _UNPACKERS[names[0]]
    raise _unusable("has a content coding that was not requested. Contact the operator.")


def _unusable(reason: str) -> AttemptFailed:
    return AttemptFailed(Failure(UpstreamBadResponse(f"The upstream's response {reason}")))


def _garbled() -> AttemptFailed:
    return AttemptFailed(Failure(garbled(), Retry.ONCE))
