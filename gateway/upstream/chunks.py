"""Split a large body into chunks of rows, so that other tasks can run between the decoding of two chunks.

The positions of the rows are guessed from the surrounding text, and decoding verifies each guess. Every chunk must be a
valid list of rows. The rest of the body, with a marker row in place of its rows, must be a valid envelope around that
row. A chunk that ends inside a string or a nested value is not valid JSON, so a wrong guess is always detected. The
body is then decoded as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator

# The separators that serializers write between the list's name and its start. Other bodies are decoded as a whole.
_OPENINGS = (":[", ": [")
_BETWEEN_ROWS = b"},"


def split_rows(body: bytes, name: str, marker: bytes, chunk_bytes: int) -> tuple[bytes, Iterator[bytes]] | None:
    """Return the body with ``marker`` as the only row of its list ``name``, and the rows as lists of ``chunk_bytes``.

    The chunks are slightly larger than ``chunk_bytes``. Return None if the body has no such list.
    """
    openings = (f'"{name}"{opening}'.encode() for opening in _OPENINGS)
    start = next((index + len(text) for text in openings if (index := body.find(text)) >= 0), None)
    stop = body.rfind(b"]")
    if start is None or stop < start:
        return None
    view = memoryview(body)
    chunks = (b"".join((b"[", view[begin:end], b"]")) for begin, end in _ranges(body, start, stop, chunk_bytes))
    return b"".join((view[:start], marker, view[stop:])), chunks


def _ranges(body: bytes, start: int, stop: int, chunk_bytes: int) -> Iterator[tuple[int, int]]:
    while stop - start > chunk_bytes:
        index = body.find(_BETWEEN_ROWS, start + chunk_bytes, stop)
        if index < 0:
            break
        yield start, index + 1
        start = index + len(_BETWEEN_ROWS)
    yield start, stop
