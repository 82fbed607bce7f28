"""Packed rows: unpacked unchanged, and nothing else is unpacked."""

from __future__ import annotations

import tracemalloc
from asyncio import to_thread
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import zstandard

from gateway.cache import packing
from gateway.cache.packing import CHUNK_ROWS, MAX_PLAIN_BYTES, PackedRows, pack, unpack
from tests.gateway.fakes import Row


@asynccontextmanager
async def turns() -> AsyncIterator[None]:
    yield


def rows(count: int) -> tuple[Row, ...]:
    return tuple(Row(f"s{number}", 2**63 - 1 - number, None) for number in range(count))


@pytest.mark.parametrize("count", [0, 1, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 1, 2 * CHUNK_ROWS + 500])
async def test_rows_are_unpacked_unchanged(count: int) -> None:
    packed = await pack(rows(count), turns, to_thread)
    assert packed is not None
    assert len(packed) == count
    assert await unpack(packed, Row, turns, to_thread) == rows(count)


async def test_the_rows_of_a_page_are_encoded_and_decoded_in_turns() -> None:
    taken = 0

    @asynccontextmanager
    async def counted() -> AsyncIterator[None]:
        nonlocal taken
        taken += 1
        yield

    packed = await pack(rows(5 * CHUNK_ROWS), counted, to_thread)
    assert packed is not None
    assert taken == 5
    await unpack(packed, Row, counted, to_thread)
    assert taken == 10


async def test_packed_rows_take_a_fraction_of_their_text() -> None:
    """The library must not keep a buffer of the plain size for a small result."""
    plain = rows(10_000)
    # The first call starts a worker thread, and imports.
    await pack(plain, turns, to_thread)
    tracemalloc.start(10)
    try:
        packed = await pack(plain, turns, to_thread)
        traces = tracemalloc.take_snapshot().filter_traces(
            [tracemalloc.Filter(True, packing.__file__, all_frames=True)]
        )
        taken_bytes = sum(trace.size for trace in traces.traces)
    finally:
        tracemalloc.stop()
    assert packed is not None
    assert taken_bytes < 2 * len(packed.data) + 100_000
    assert len(packed.data) < len(msgspec.json.encode(rows(10_000))) / 5


async def test_packed_rows_cannot_be_read() -> None:
    packed = await pack(rows(2), turns, to_thread)
    assert packed is not None
    with pytest.raises(TypeError, match="unpacked"):
        packed[0]


async def test_rows_of_another_type_are_not_unpacked() -> None:
    class Other(msgspec.Struct):
        service_code: int = msgspec.field(name="serviceCode")

    packed = await pack(rows(3), turns, to_thread)
    assert packed is not None
    assert await unpack(packed, Other, turns, to_thread) is None


@pytest.mark.parametrize("has_size", [True, False])
async def test_a_bomb_is_not_unpacked(has_size: bool) -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=has_size).compress(b"\0" * (MAX_PLAIN_BYTES + 1))
    assert len(bomb) < 10_000
    assert await unpack(PackedRows(bomb, 1), Row, turns, to_thread) is None


@pytest.mark.parametrize("data", [b"", b"junk", zstandard.compress(b"junk"), zstandard.compress(b"\x90")])
async def test_unpacking_anything_else_returns_none(data: bytes) -> None:
    assert await unpack(PackedRows(data, 1), Row, turns, to_thread) is None


async def test_another_number_of_rows_is_not_unpacked() -> None:
    packed = await pack(rows(3), turns, to_thread)
    assert packed is not None
    assert await unpack(PackedRows(packed.data, 2), Row, turns, to_thread) is None
    assert await unpack(PackedRows(packed.data[:-1], 3), Row, turns, to_thread) is None


async def test_rows_that_could_not_be_unpacked_are_not_packed() -> None:
    assert await pack((Row("x" * (MAX_PLAIN_BYTES // 2), 1, None),), turns, to_thread) is None
    assert await pack((Row("a lone surrogate: \ud800", 1, None),), turns, to_thread) is None
