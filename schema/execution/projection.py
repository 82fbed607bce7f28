"""Render a connection in one pass: the selected fields of all its rows as JSON.

graphql-core completes each leaf separately, 100,000 of them for a page of 10,000 rows. But rows are flat, and each has
the same selected fields. A :class:`Selection` lists these fields, compiled from the fields that graphql-core collected
(graphql-core handles aliases, fragments and directives). Rendering builds one small struct for each row, with iterators
that run in C. The JSON is byte for byte that of graphql-core's own result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, repeat
from operator import attrgetter
from typing import Any

import msgspec

from gateway.paging.window import PageArguments
from schema.connection import ConnectionValue, Piece

_encode = msgspec.json.Encoder().encode

# The number of cached struct classes, one for each selection; creating one takes about 30 microseconds.
CACHED_CLASSES = 512

# Measured: a step of this many rows, or of this many columns of 10,000 rows, takes about a millisecond.
SLICE_ROWS, STEP_COLUMNS = 2_000, 4

# Gathering a shorter column takes less time than looking it up (our choice).
MIN_CACHED_COLUMN_ROWS = 2_000

# CPython on 64 bits; an integer of up to 60 bits, or a float.
POINTER_BYTES, NUMBER_BYTES = 8, 32


@dataclass(frozen=True, slots=True)
class Field:
    """One member of the response: its response key, the field's name in the schema, and its own selection."""

    key: str
    name: str
    inside: Selection | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected fields of one object type, in response order. Equal selections are equal values."""

    type_name: str
    fields: tuple[Field, ...]


def rendering_steps(selection: Selection, connection: ConnectionValue) -> Iterator[bytes | None]:
    """Yield the JSON of ``connection`` in parts; if its block was rendered this way before, the stored JSON.

    None separates steps of the work that take about a millisecond each, so that other tasks can run between them.
    """
    origin = connection.origin
    if origin is None:
        yield from _steps(selection, connection)
        return
    key = rendering_key(selection, origin.arguments)
    rendering: bytes | None = origin.renderings.get(key)
    if rendering is None:
        parts = []
        for part in _steps(selection, connection):
            if part is None:
                yield None
            else:
                parts.append(part)
        rendering = b"".join(parts)
        origin.renderings.keep(key, rendering, len(rendering) + len(key))
    yield rendering


def rendering_key(selection: Selection, arguments: PageArguments) -> str:
    """Return the key of a rendering within its block: block, selection and arguments determine each byte.

    The key is text because Python caches the hash of a text, but not that of nested values.
    """
    return repr((selection, arguments))


def _steps(selection: Selection, connection: ConnectionValue) -> Iterator[bytes | None]:
    before = b"{"
    for field in selection.fields:
        yield before + _encode(field.key) + b":"
        yield from _member(field, selection, connection)
        before = b","
    yield b"}" if selection.fields else b"{}"


def _member(field: Field, selection: Selection, connection: ConnectionValue) -> Iterator[bytes | None]:
    if field.inside is None:
        yield _encode(selection.type_name if field.name == "__typename" else connection.total_count)
    elif field.name == "pageInfo":
        yield _members(field.inside, connection.page_info.by_name())
    elif field.name == "totals":
        yield b"null" if connection.totals is None else _members(field.inside, connection.totals.by_name)
    else:
        columns = _node_columns if field.name == "nodes" else _edge_columns
        before = b"["
        for piece in connection.pieces:
            yield before
            yield from _piece(field.inside, piece, columns, connection)
            before = b","
        yield b"]" if connection.pieces else b"[]"


def _members(selection: Selection, values: Mapping[str, Any]) -> bytes:
    members = {
        field.key: selection.type_name if field.name == "__typename" else values[field.name]
        for field in selection.fields
    }
    return _encode(members)


Columns = Callable[[Selection, Piece, Mapping[str, str]], Iterator[Iterable[Any]]]


def _piece(selection: Selection, piece: Piece, columns: Columns, connection: ConnectionValue) -> Iterator[bytes | None]:
    """Yield the items of one piece without brackets. For a page of several blocks, store them with each block."""
    renderings = piece.renderings if connection.origin is None else None
    key = (selection, piece.offset, len(piece.rows))
    stored: list[bytes] | None = None if renderings is None else renderings.get(key)
    if stored is not None:
        yield from stored
        return
    parts = []
    for part in _slices(selection, piece, columns, connection.attributes):
        yield part
        if part is not None:
            parts.append(part)
    if renderings is not None:
        renderings.keep(key, parts, sum(map(len, parts)))


def _slices(
    selection: Selection, piece: Piece, columns: Columns, attributes: Mapping[str, str]
) -> Iterator[bytes | None]:
    """Yield the items of ``piece`` in slices of SLICE_ROWS."""
    items: Iterator[Any]
    if _is_whole_row(selection, piece):
        items = iter(piece.rows)
    else:
        yield from _gather_columns(selection, piece, attributes)
        items = iter(_structs(selection, columns(selection, piece, attributes), len(piece.rows)))
    before = b""
    while batch := list(islice(items, SLICE_ROWS)):
        if before:
            yield None
        yield before + _encode(batch)[1:-1]
        before = b","


def _gather_columns(selection: Selection, piece: Piece, attributes: Mapping[str, str]) -> Iterator[None]:
    """Store the columns that ``selection`` needs, a few in each step."""
    names = {attributes[name] for name in _names(selection) if name in attributes}
    for number, name in enumerate(names, start=1):
        _column(name, piece)
        if number % STEP_COLUMNS == 0 and len(piece.rows) >= MIN_CACHED_COLUMN_ROWS:
            yield None


def _names(selection: Selection) -> Iterator[str]:
    for field in selection.fields:
        yield from (field.name,) if field.inside is None else _names(field.inside)


def _is_whole_row(selection: Selection, piece: Piece) -> bool:
    """Return True if all stored fields are selected in the row's order under their own names.

    Then the rows are encoded unchanged.
    """
    names = type(piece.rows[0]).__struct_encode_fields__ if piece.rows else ()
    return [(field.key, field.name) for field in selection.fields] == [(name, name) for name in names]


def _structs(selection: Selection, columns: Iterator[Iterable[Any]], rows: int) -> Iterable[Any]:
    # Directives may remove all fields of a selection.
    keys = tuple(field.key for field in selection.fields)
    return map(_struct(keys), *columns) if keys else repeat({}, rows)


def _node_columns(selection: Selection, piece: Piece, attributes: Mapping[str, str]) -> Iterator[Iterable[Any]]:
    for field in selection.fields:
        if field.name == "__typename":
            yield repeat(selection.type_name, len(piece.rows))
        else:
            yield _column(attributes[field.name], piece)


def _column(attribute: str, piece: Piece) -> Iterable[Any]:
    """Return one attribute of all rows. The rows own stored values; the column holds a pointer to each."""
    is_stored = attribute in type(piece.rows[0]).__struct_fields__ if piece.rows else True
    bytes_each = 0 if is_stored else NUMBER_BYTES
    return _stored(attribute, piece, lambda: map(attrgetter(attribute), piece.rows), bytes_each=bytes_each)


def _cursors(piece: Piece) -> Iterable[Any]:
    # "@cursor" cannot be an attribute's name. All cursors of a piece have the same length.
    return _stored("@cursor", piece, piece.cursors, bytes_each=sys.getsizeof(piece.cursor(0)))


def _stored(name: str, piece: Piece, make: Callable[[], Iterable[Any]], *, bytes_each: int = 0) -> Iterable[Any]:
    """Return the column that ``make`` creates. Store long columns: the next selection is likely to use them, too."""
    if piece.renderings is None or len(piece.rows) < MIN_CACHED_COLUMN_ROWS:
        return make()
    key = (name, piece.offset, len(piece.rows))
    column: list[Any] | None = piece.renderings.get(key)
    if column is None:
        column = list(make())
        piece.renderings.keep(key, column, (POINTER_BYTES + bytes_each) * len(column))
    return column


def _edge_columns(selection: Selection, piece: Piece, attributes: Mapping[str, str]) -> Iterator[Iterable[Any]]:
    for field in selection.fields:
        if field.inside is not None and _is_whole_row(field.inside, piece):
            yield piece.rows
        elif field.inside is not None:
            yield _structs(field.inside, _node_columns(field.inside, piece, attributes), len(piece.rows))
        else:
            yield repeat(selection.type_name, len(piece.rows)) if field.name == "__typename" else _cursors(piece)


@lru_cache(maxsize=CACHED_CLASSES)
def _struct(keys: tuple[str, ...]) -> type[msgspec.Struct]:
    names = [f"field_{number}" for number in range(len(keys))]
    return msgspec.defstruct(
        "Item", [(name, Any) for name in names], rename=dict(zip(names, keys, strict=True)), frozen=True, gc=False
    )
