"""Decoding in chunks gives the same result as decoding the whole body, even if row boundaries are guessed wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dataset import Dataset
from gateway.errors import UpstreamBadResponse
from gateway.upstream.chunks import split_rows
from gateway.upstream.codec import UpstreamResponse
from gateway.upstream.decode import decode_cooperatively, decode_strictly
from tests.gateway.upstream.scripted import DATASET, envelope

ROWS = [{"customerName": f"customer {number}", "licensesSold": number} for number in range(100)]

# Text that looks like a row boundary or an end of the list.
TRICKS = ["},{", '"},{"', '"Value":[', "]", "}]", "[{", '\\"},', "\\", '"', "},", "é},{", ""]


async def in_chunks(body: bytes, dataset: Dataset, chunk_bytes: int) -> tuple[UpstreamResponse | None, int]:
    """Return the result of decoding in chunks, and how often other tasks could run."""
    turns = 0

    @asynccontextmanager
    async def turn() -> AsyncIterator[None]:
        nonlocal turns
        turns += 1
        yield

    return await decode_cooperatively(body, dataset, turn, asyncio.to_thread, chunk_bytes), turns


def outcome(decoded: Any) -> Any:
    """Return the result, or UpstreamBadResponse if the body was rejected."""
    try:
        return decoded()
    except UpstreamBadResponse:
        return UpstreamBadResponse


async def same_as_whole(body: bytes) -> None:
    for chunk_bytes in (1, 7, 40, 300):
        expected = outcome(lambda: decode_strictly(body, DATASET))
        try:
            decoded: Any = (await in_chunks(body, DATASET, chunk_bytes))[0]
        except UpstreamBadResponse:
            decoded = UpstreamBadResponse
        assert decoded == expected


async def test_other_tasks_run_between_chunks() -> None:
    body = json.dumps(envelope(ROWS, 100), separators=(",", ":")).encode()
    decoded, turns = await in_chunks(body, DATASET, len(body) // 10)
    assert decoded == decode_strictly(body, DATASET)
    assert decoded is not None
    assert len(decoded.rows) == 100
    assert 10 <= turns <= 12


async def test_a_small_body_is_decoded_at_once() -> None:
    body = json.dumps(envelope(ROWS, 100)).encode()
    assert (await in_chunks(body, DATASET, len(body)))[1] == 0


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\n  ", " : ")])
@pytest.mark.parametrize("trick", TRICKS)
async def test_text_like_a_row_boundary_does_not_split_a_row(trick: str, separators: tuple[str, str]) -> None:
    rows = [{**row, "customerName": f"{row['customerName']}{trick}", "extra": [{"a": trick}, {}]} for row in ROWS[:9]]
    await same_as_whole(json.dumps(envelope(rows, 9, trick or None), separators=separators).encode())


@pytest.mark.parametrize(
    "body",
    [
        '{"x":{"Value":[{"licensesSold":1},{"licensesSold":2}]},"TotalCount":2}',
        '{"x":{"Value":[{"licensesSold":1},{"licensesSold":2}]},"value":[]}',
        '{"value":[],"x":{"Value":[{"licensesSold":1},{"licensesSold":2}]}}',
        '{"Value":[{"licensesSold":1},{"licensesSold":2}],"Value":[{"licensesSold":3}]}',
        '{"Value":[{"licensesSold":1},{"licensesSold":2}],"Value":[]}',
        '{"Value" : [],"x":{"Value":[{"licensesSold":1},{"licensesSold":2}]}}',
        '{"Val\\u0075e":[],"x":{"Value":[{"licensesSold":1},{"licensesSold":2}]}}',
        '{"Value" : [{"licensesSold":1}],"x":{"Value":[{"licensesSold":1},{"licensesSold":2}]}}',
        '{"Value":[],"value":[{"licensesSold":1},{"licensesSold":2}]}',
        '{"value":[{"licensesSold":1},{"licensesSold":2}],"Value":[]}',
        '{"Value":[{"licensesSold":1},{"licensesSold":2}],"tail":[1,2]}',
        '{"Value":[{"licensesSold":1},{"licensesSold":"two"},{"licensesSold":3}]}',
        '{"Value":[{"licensesSold":1},{"processedDateTime":"soon"}]}',
        '{"Value":[{"licensesSold":1},{"licensesSold":2}',
        '{"Value":[{"licensesSold":1},{"licensesSold":2},]}',
        '{"Value":[{"licensesSold":1},,{"licensesSold":2}]}',
        '{"Value":[{"licensesSold":1},{"licensesSold":2}]',
        '{"Value":[{"licensesSold":1},{"licensesSold":2}]} trailing',
        '{"Value":[{"licensesSold":1},null,{"licensesSold":2}]}',
        '\ufeff{"Value":[{"licensesSold":1},{"licensesSold":2}],"@nextLink":"more"}',
    ],
)
async def test_unusual_bodies_decode_in_chunks_as_they_do_whole(body: str) -> None:
    await same_as_whole(body.encode())


texts = st.lists(st.sampled_from([*TRICKS, "a", ",", "{", ":"]), max_size=5).map("".join)
inner = st.recursive(
    st.none() | st.integers(-9, 9) | texts,
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(texts, deeper, max_size=3),
    max_leaves=5,
)


@given(
    st.lists(st.fixed_dictionaries({}, optional={"customerName": texts, "licensesSold": st.integers(), "x": inner})),
    st.dictionaries(st.sampled_from(["Value", "value", "TotalCount", "@nextLink", "x"]), inner, max_size=3),
    st.sampled_from(["Value", "value"]),
)
async def test_decoding_in_chunks_never_differs_from_decoding_whole(
    rows: list[Any], others: dict[str, Any], name: str
) -> None:
    document = {**others, name: rows} if len(others) % 2 else {name: rows, **others}
    await same_as_whole(json.dumps(document, separators=(",", ":")).encode())


def test_a_body_without_a_list_is_not_split() -> None:
    assert split_rows(b'{"TotalCount":0}', "Value", b"", 1) is None
    assert split_rows(b'{"Value":[', "Value", b"", 1) is None
