"""Read and decompress the upstream's bodies, up to a size limit and without blocking the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing

from gateway.errors import UpstreamBadResponse
from gateway.http.decompression import CorruptBody, UnsupportedCoding, unpacker
from gateway.upstream.attempt_record import UpstreamAttempt
from gateway.upstream.retry import AttemptFailed, Failure, Retry
from gateway.upstream.transport import garbled

# Pieces, or decompression steps, after which other tasks may run: a few milliseconds of work at most.
YIELD_PIECES = 16


async def read_body(pieces: AsyncIterable[bytes], encoding: str, max_bytes: int, record: UpstreamAttempt) -> bytes:
    """Return the whole decompressed body. Raises AttemptFailed if it is too large, corrupt or in an unrequested coding.

    ``encoding`` is the Content-Encoding header.
    """
    parts: list[bytes] = []
    size_bytes = 0
    try:
        async with aclosing(unpacker(encoding)(_counted(pieces, record))) as unpacked:
            async for part in unpacked:
                parts.append(part)
                size_bytes += len(part)
                if size_bytes > max_bytes:
                    raise _unusable(f"is larger than {max_bytes} bytes. Request fewer rows or columns.")
                if len(parts) % YIELD_PIECES == 0:
                    await asyncio.sleep(0)
    except UnsupportedCoding:
        raise _unusable("has a content coding that was not requested. Contact the operator.") from None
    except CorruptBody:
        raise AttemptFailed(Failure(garbled(), Retry.ONCE)) from None
    return b"".join(parts)


async def _counted(pieces: AsyncIterable[bytes], record: UpstreamAttempt) -> AsyncGenerator[bytes]:
    async for piece in pieces:
        record.bytes += len(piece)
        yield piece


def _unusable(reason: str) -> AttemptFailed:
    return AttemptFailed(Failure(UpstreamBadResponse(f"The upstream's response {reason}")))
