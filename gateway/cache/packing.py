"""Pack the rows of pages into compressed bytes, and unpack them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from gateway.http.zstandard_codec import zstd
from gateway.scheduling.rotation import Turns
from gateway.scheduling.worker_thread import InThread

# Rows encoded or decoded in one turn. Measured: half a millisecond to encode, a millisecond to decode.
CHUNK_ROWS = 1_000

# The default of GATEWAY_UPSTREAM_MAX_BODY_BYTES. Measured: 10,000 rows take 3.6 MB.
MAX_PLAIN_BYTES = 67_108_864

# Measured on 10,000 rows, 3.5 MB: level 1 takes 2.1 ms and makes 170 kB of them, level -1 1.8 ms and 215 kB, level 3
# 2.5 ms and 165 kB.
LEVEL = 1

# Measured: compressing or decompressing this many rows takes a tenth of a millisecond. More go to the worker thread:
# with Redis, that shortens the first page of a token, 1,000 rows, by a quarter when requests follow one another.
MAX_INLINE_ROWS = 500

_CHUNKS = msgspec.msgpack.Decoder(tuple[bytes, ...])


class Packed:
    """The content of a cached value, compressed in ``data``."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class PackedRows(Packed, Sequence[Any]):
    """The rows of a page. Only their number can be read without unpacking."""

    __slots__ = ("_rows",)

    def __init__(self, data: bytes, rows: int) -> None:
        super().__init__(data)
        self._rows = rows

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: Any) -> Any:
        raise TypeError("packed rows must be unpacked first")


async def pack(rows: Sequence[Any], turns: Turns, in_thread: InThread) -> PackedRows | None:
    """Pack ``rows``, in turns.

    Return None if they are too large to unpack again or contain text that is not valid Unicode.
    """
    chunks, plain_bytes = [], 0
    for start in range(0, len(rows), CHUNK_ROWS):
        async with turns():
            try:
                chunks.append(msgspec.json.encode(rows[start : start + CHUNK_ROWS]))
            except ValueError:
                return None
        plain_bytes += len(chunks[-1])
        if plain_bytes > MAX_PLAIN_BYTES // 2:
            return None
    data = _compress(chunks) if len(rows) <= MAX_INLINE_ROWS else await in_thread(_compress, chunks)
    # The worker thread may hold the list a little longer.
    chunks.clear()
    return PackedRows(data, len(rows))


async def unpack(
    packed: PackedRows, row: type[msgspec.Struct], turns: Turns, in_thread: InThread
) -> tuple[Any, ...] | None:
    """Return the rows of ``packed`` as structs of type ``row``, decoded in turns; None if that is not what it holds."""
    decoder = _rows_decoder(row)
    rows: list[Any] = []
    try:
        is_small = len(packed) <= MAX_INLINE_ROWS
        for chunk in _decompress(packed.data) if is_small else await in_thread(_decompress, packed.data):
            async with turns():
                rows += decoder.decode(chunk)
    except (msgspec.MsgspecError, zstd.ZstdError, ValueError, RecursionError):
        return None
    return tuple(rows) if len(rows) == len(packed) else None


def compress(plain: bytes) -> bytes:
    return zstd.compress(plain, LEVEL)


def decompress(data: bytes) -> bytes:
    """Return at most MAX_PLAIN_BYTES. Raises zstd.ZstdError."""
    return zstd.ZstdDecompressor().decompress(data, MAX_PLAIN_BYTES)


def _compress(chunks: Sequence[bytes]) -> bytes:
    return compress(msgspec.msgpack.encode(chunks))


def _decompress(data: bytes) -> tuple[bytes, ...]:
    return _CHUNKS.decode(decompress(data))


@lru_cache(maxsize=64)
def _rows_decoder(row: type[msgspec.Struct]) -> msgspec.json.Decoder[tuple[Any, ...]]:
    return msgspec.json.Decoder(tuple[row, ...])  # type: ignore[valid-type]  # made here
