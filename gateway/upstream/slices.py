"""A large body cut into pieces that can be decoded one after the other, so that nobody waits for the whole.

Where the rows lie is guessed from their surroundings, and a guess is never believed: each piece must be a list of rows
by itself, and what is left of the body, with a marker for its rows, must be an envelope whose list is that marker. Text
that ends inside a string or an inner value is no JSON once it is closed as a list, so a wrong cut cannot pass; the body
is then decoded as one.
"""

from __future__ import annotations

from collections.abc import Iterator

# Between the list's name and its start, as serialisers write it; anything else is decoded as one.
_OPENINGS = (":[", ": [")
_BETWEEN_ROWS = b"},"


def cut(body: bytes, name: str, marker: bytes, slice_bytes: int) -> tuple[bytes, Iterator[bytes]] | None:
    """The body with ``marker`` for all that its list ``name`` holds, and that as lists of about ``slice_bytes``.

    None without such a list.
    """
    openings = (f'"{name}"{opening}'.encode() for opening in _OPENINGS)
    start = next((found + len(text) for text in openings if (found := body.find(text)) >= 0), None)
    stop = body.rfind(b"]")
    if start is None or stop < start:
        return None
    view = memoryview(body)
    pieces = (b"".join((b"[", view[begin:end], b"]")) for begin, end in _ranges(body, start, stop, slice_bytes))
    return b"".join((view[:start], marker, view[stop:])), pieces


def _ranges(body: bytes, start: int, stop: int, slice_bytes: int) -> Iterator[tuple[int, int]]:
    while stop - start > slice_bytes:
        found = body.find(_BETWEEN_ROWS, start + slice_bytes, stop)
        if found < 0:
            break
        yield start, found + 1
        start = found + len(_BETWEEN_ROWS)
    yield start, stop
