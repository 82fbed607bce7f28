"""Answers a connection in one pass: the selected fields of all its rows straight to JSON.

graphql-core completes every leaf by itself, 100,000 of them for a page of 10,000 rows. But rows are flat and alike, so
what a selection asks of one it asks of all. A :class:`Selection` is that question, compiled from the fields that
graphql-core collected (aliases, fragments and directives are its work). Rendering builds, with C-speed iterators, one
small struct for each row, whose encoding is what graphql-core's result would be encoded to, byte for byte.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from operator import attrgetter
from typing import Any

import msgspec

from gateway.paging.window import PageArguments
from schema.connection import ConnectionValue, Piece

_encode = msgspec.json.Encoder().encode

Text = bytes | memoryview

# Struct classes kept for selections that were seen; making one takes about 30 microseconds.
KEPT_CLASSES = 512

# Columns of fewer rows are gathered faster than they are found (our choice).
KEPT_COLUMN_ROWS = 2_000

# CPython on 64 bits.
POINTER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Field:
    """One member of the answer: its response key, the field's name in the schema, and what is selected of it."""

    key: str
    name: str
    inside: Selection | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """What is selected of one object type, in response order. Equal selections are equal values."""

    type_name: str
    fields: tuple[Field, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The response keys."""
        return tuple(field.key for field in self.fields)


def render(selection: Selection, connection: ConnectionValue) -> bytes:
    """The JSON of ``connection``, from what its block keeps if it was rendered before."""
    origin = connection.origin
    if origin is None:
        return b"".join(_parts(selection, connection))
    key = rendering_key(selection, origin.arguments)
    kept: bytes | None = origin.renderings.get(key)
    if kept is None:
        kept = b"".join(_parts(selection, connection))
        origin.renderings.keep(key, kept, len(kept) + len(key))
    return kept


def rendering_key(selection: Selection, arguments: PageArguments) -> str:
    """What tells apart the renderings that one block keeps: with the block, these two decide every byte.

    It is text because Python remembers the hash of a text, and not that of nested values.
    """
    return repr((selection, arguments))


def _parts(selection: Selection, connection: ConnectionValue) -> Iterator[Text]:
    """The JSON in pieces, so that megabytes are joined once."""
    before = b"{"
    for field in selection.fields:
        yield before + _encode(field.key) + b":"
        yield from _member(field, selection, connection)
        before = b","
    yield b"}" if selection.fields else b"{}"


def _member(field: Field, selection: Selection, connection: ConnectionValue) -> Iterator[Text]:
    if field.inside is None:
        yield _encode(selection.type_name if field.name == "__typename" else connection.total_count)
    elif field.name == "pageInfo":
        yield _page_info(field.inside, connection)
    else:
        columns = _node_columns if field.name == "nodes" else _edge_columns
        before = b"["
        for piece in connection.pieces:
            yield before
            yield _piece(field.inside, piece, columns, connection)
            before = b","
        yield b"]" if connection.pieces else b"[]"


def _page_info(selection: Selection, connection: ConnectionValue) -> bytes:
    values = connection.page_info.by_name()
    found = {
        field.key: selection.type_name if field.name == "__typename" else values[field.name]
        for field in selection.fields
    }
    return _encode(found)


Columns = Callable[[Selection, Piece, Mapping[str, str]], Iterator[Iterable[Any]]]


def _piece(selection: Selection, piece: Piece, columns: Columns, connection: ConnectionValue) -> Text:
    """The items of one piece without the brackets. A page of several blocks keeps them with each block."""
    keeper = piece.renderings if connection.origin is None else None
    key = (selection, piece.offset, len(piece.rows))
    kept: bytes | None = None if keeper is None else keeper.get(key)
    if kept is not None:
        return kept
    if _is_whole_row(selection, connection.attributes):
        items: Sequence[Any] = piece.rows
    else:
        items = list(_structs(selection, columns(selection, piece, connection.attributes), len(piece.rows)))
    rendering = memoryview(_encode(items))[1:-1]
    if keeper is not None:
        keeper.keep(key, bytes(rendering), len(rendering))
    return rendering


def _is_whole_row(selection: Selection, attributes: Mapping[str, str]) -> bool:
    """True for every field in the row's own order under its own name: rows are encoded as they are."""
    return [(field.key, field.name) for field in selection.fields] == [(name, name) for name in attributes]


def _structs(selection: Selection, columns: Iterator[Iterable[Any]], rows: int) -> Iterable[Any]:
    # Directives may leave nothing of a selection.
    return map(_struct(selection.keys), *columns) if selection.fields else repeat({}, rows)


def _node_columns(selection: Selection, piece: Piece, attributes: Mapping[str, str]) -> Iterator[Iterable[Any]]:
    for field in selection.fields:
        if field.name == "__typename":
            yield repeat(selection.type_name, len(piece.rows))
        else:
            yield _column(attributes[field.name], piece)


def _column(attribute: str, piece: Piece) -> Iterable[Any]:
    """One attribute of all rows. The values belong to the rows; what is kept holds a pointer to each."""
    return _kept(attribute, piece, lambda: map(attrgetter(attribute), piece.rows))


def _cursors(piece: Piece) -> Iterable[Any]:
    # No attribute has such a name, and a piece's cursors are of one length.
    return _kept("@cursor", piece, piece.cursors, bytes_each=sys.getsizeof(piece.cursor(0)))


def _kept(name: str, piece: Piece, make: Callable[[], Iterable[Any]], *, bytes_each: int = 0) -> Iterable[Any]:
    """What ``make`` gives for all rows. Of many rows it is kept: the next selection is likely to hold it, too."""
    if piece.renderings is None or len(piece.rows) < KEPT_COLUMN_ROWS:
        return make()
    key = (name, piece.offset, len(piece.rows))
    kept: list[Any] | None = piece.renderings.get(key)
    if kept is None:
        kept = list(make())
        piece.renderings.keep(key, kept, (POINTER_BYTES + bytes_each) * len(kept))
    return kept


def _edge_columns(selection: Selection, piece: Piece, attributes: Mapping[str, str]) -> Iterator[Iterable[Any]]:
    for field in selection.fields:
        if field.inside is not None and _is_whole_row(field.inside, attributes):
            yield piece.rows
        elif field.inside is not None:
            yield _structs(field.inside, _node_columns(field.inside, piece, attributes), len(piece.rows))
        else:
            yield repeat(selection.type_name, len(piece.rows)) if field.name == "__typename" else _cursors(piece)


@lru_cache(maxsize=KEPT_CLASSES)
def _struct(keys: tuple[str, ...]) -> type[msgspec.Struct]:
    names = [f"field_{number}" for number in range(len(keys))]
    return msgspec.defstruct(
        "Item", [(name, Any) for name in names], rename=dict(zip(names, keys, strict=True)), frozen=True, gc=False
    )
