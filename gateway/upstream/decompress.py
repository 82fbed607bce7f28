"""Bodies read piece by piece and unpacked piece by piece, never beyond a bound, and never for long at a stretch."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, Iterable, Iterator

from gateway.errors import UpstreamBadResponse
from gateway.upstream.retry import AttemptFailed, Failure, Retry
from gateway.upstream.transport import garbled

# Unpacked bytes made in one step: well under a millisecond of work.
STEP_BYTES = 262_144
# Pieces, or steps of unpacking, after which other tasks get their turn: a few milliseconds of work at most.
TURN_PIECES = 16

# zlib's manual: 16 added to the window's size means a gzip header and trailer.
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS


class Meter:
    """What is known of an attempt so far, for whoever reports its failure; bytes count as received, packed."""

    __slots__ = ("is_foreign", "received_bytes", "status")

    def __init__(self) -> None:
        self.status: int | None = None
        self.received_bytes = 0
        self.is_foreign = False


async def read_body(pieces: AsyncIterable[bytes], encoding: str, max_bytes: int, meter: Meter) -> bytes:
    """The whole unpacked body. Raises AttemptFailed: too large, garbled, or packed in a way that was not asked for.

    ``encoding`` is the Content-Encoding header. RFC 9110, section 8.4: several may be listed; none or one gzip is read.
    """
    parts: list[bytes] = []
    size_bytes = 0
    unpacker = _unpacker(encoding)
    async for piece in pieces:
        meter.received_bytes += len(piece)
        for part in unpacker.feed(piece):
            parts.append(part)
            size_bytes += len(part)
            if size_bytes > max_bytes:
                raise AttemptFailed(_too_large(max_bytes))
            if len(parts) % TURN_PIECES == 0:
                await asyncio.sleep(0)
    unpacker.finish()
    return b"".join(parts)


class Identity:
    """Bytes as they come."""

    def feed(self, piece: bytes) -> Iterable[bytes]:
        """The piece itself."""
        return (piece,)

    def finish(self) -> None:
        """HTTP's own framing tells whether anything is missing."""


class Gzip:
    """One gzip member. Raises AttemptFailed on anything else."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP_WINDOW_BITS)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Unpacked parts of STEP_BYTES at most."""
        while piece:
            if self._inflate.eof:
                raise AttemptFailed(Failure(garbled(), Retry.ONCE))
            try:
                part = self._inflate.decompress(piece, STEP_BYTES)
            except zlib.error:
                raise AttemptFailed(Failure(garbled(), Retry.ONCE)) from None
            piece = self._inflate.unconsumed_tail or self._inflate.unused_data
            yield part

    def finish(self) -> None:
        """Refuse a member without its end."""
        if not self._inflate.eof:
            raise AttemptFailed(Failure(garbled(), Retry.ONCE))


def _unpacker(encoding: str) -> Identity | Gzip:
    names = [name for name in (part.strip().lower() for part in encoding.split(",")) if name not in ("", "identity")]
    if not names:
        return Identity()
    if names in (["gzip"], ["x-gzip"]):
        return Gzip()
    raise AttemptFailed(
        Failure(UpstreamBadResponse("The upstream's reply is packed in a way nobody asked for. Tell the operator."))
    )


def _too_large(max_bytes: int) -> Failure:
    return Failure(
        UpstreamBadResponse(f"The upstream's reply is larger than {max_bytes} bytes. Ask for fewer rows or columns.")
    )
