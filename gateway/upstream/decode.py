"""Decode upstream bodies into rows.

Strict decoding reads a body in one typed pass. If that fails or meets an invalid value, lenient decoding reads the body
without types, field by field, so that an invalid value costs only itself. Rows without a known field are also decoded
leniently, because only that shows their keys: known names in another case are accepted, others are an error. A body
with two spellings of one name is decoded leniently, too.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from itertools import chain
from operator import attrgetter
from typing import Any, TypeVar

from gateway.dataset import Dataset
from gateway.errors import UpstreamBadResponse
from gateway.scheduling.worker_thread import InThread
from gateway.upstream.chunks import split_rows
from gateway.upstream.codec import ROWS_NAMES, Codec, Text, UpstreamResponse, codec_of, without_bom

# Measured: this many bytes, some 1,400 rows, take half a millisecond.
CHUNK_BYTES = 500_000

Turn = AbstractAsyncContextManager[None]
T = TypeVar("T")


def decode_strictly(body: bytes, dataset: Dataset) -> UpstreamResponse | None:
    """Decode ``body`` in one pass; None if it needs lenient decoding. Raises UpstreamBadResponse."""
    return _guarded(codec_of(dataset).strict, body)


async def decode_cooperatively(
    body: bytes, dataset: Dataset, turn: Callable[[], Turn], in_thread: InThread, chunk_bytes: int = CHUNK_BYTES
) -> UpstreamResponse | None:
    """Decode strictly; the chunks of a large body each in a ``turn``."""
    if len(body) > chunk_bytes:
        codec, marker = codec_of(dataset), secrets.token_hex(8)
        for name in ROWS_NAMES:
            split = split_rows(body, name, codec.marked(marker), chunk_bytes)
            decoded = None if split is None else await _in_chunks(codec, marker, *split, turn)
            if decoded is not None:
                # The keys of blank rows must be checked, which takes as long as lenient decoding.
                is_blank = codec.are_blank(decoded.rows)
                return await in_thread(decode_strictly, body, dataset) if is_blank else decoded
    return decode_strictly(body, dataset)


async def _in_chunks(
    codec: Codec, marker: str, envelope: bytes, chunks: Iterable[bytes], turn: Callable[[], Turn]
) -> UpstreamResponse | None:
    decoded = codec.envelope(envelope, marker)
    if decoded is None:
        return None
    rows: list[tuple[Any, ...]] = []
    for chunk in chunks:
        async with turn():
            chunk_rows = codec.chunk(chunk)
        # An empty chunk after a split means that a comma ended the list, which is invalid JSON.
        if chunk_rows is None or (rows and not chunk_rows):
            return None
        rows.append(chunk_rows)
    async with turn():
        return replace(decoded, rows=tuple(chain.from_iterable(rows)))


def decode_leniently(body: bytes, dataset: Dataset) -> UpstreamResponse:
    """Decode ``body`` field by field, which is several times slower. Raises UpstreamBadResponse."""
    return _guarded(codec_of(dataset).lenient, body)


def without_measures(response: UpstreamResponse, dataset: Dataset) -> UpstreamResponse:
    """Return ``response`` with null for all measures."""
    kept = [name for name in dataset.attributes if name not in dataset.measures]
    columns = {dataset.attributes[name]: map(attrgetter(dataset.attributes[name]), response.rows) for name in kept}
    rows = tuple(
        dataset.row(**dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)
    )
    return replace(response, rows=rows, unreadable_measures={})


def _guarded(read: Callable[[Text], T], body: bytes) -> T:
    try:
        return read(without_bom(body))
    except (ValueError, RecursionError):
        pass
    # Raised outside the except block: the decoder's error, which quotes the body, must not become its context.
    raise UpstreamBadResponse(
        "The upstream's response is not valid JSON. Try again; if this persists, contact the operator."
    )
