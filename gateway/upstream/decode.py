"""Upstream bodies to rows.

A good body is decoded in one typed pass. Only when that fails, or finds a value out of bounds, is it read again without
types, row by row and field by field, so that one odd value costs no more than itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from gateway.errors import UpstreamBadResponse
from gateway.query import Dataset
from gateway.upstream.slices import cut
from gateway.upstream.values import Reader, exact, is_date, total_of

# Microsoft page (Value, @nextLink, TotalCount); the Store and Partner Insights APIs and OData name the same otherwise.
ROWS_NAMES = ("Value", "value")
LINK_NAMES = ("@nextLink", "nextLink", "@odata.nextLink")
TOTAL_NAMES = ("TotalCount", "totalCount", "@odata.count")

BOM = b"\xef\xbb\xbf"

# Measured: so many bytes, some 1,400 rows, take half a millisecond.
SLICE_BYTES = 500_000

Text = bytes | memoryview
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A body's rows, its total if it is a count, whether it has a link, and how many values could not be read."""

    rows: tuple[Any, ...]
    total_count: int | None
    has_link: bool
    unreadable_values: int = 0


def without_bom(body: bytes) -> Text:
    """``body`` behind its byte order mark; Partner Center is known to send one."""
    return memoryview(body)[len(BOM) :] if body.startswith(BOM) else body


def decode(body: bytes, dataset: Dataset) -> Decoded:
    """Rows of ``body``. Raises UpstreamBadResponse when it is no JSON, or not of the shape that rows come in."""
    usual = decode_usual(body, dataset)
    return usual if usual is not None else decode_odd(body, dataset)


def decode_usual(body: bytes, dataset: Dataset) -> Decoded | None:
    """The quick half of ``decode``: None when the body needs the other. Raises UpstreamBadResponse."""
    return _guarded(_codec(dataset).typed, body)


async def decode_in_turns(
    body: bytes, dataset: Dataset, turn: Callable[[], Awaitable[None]], slice_bytes: int = SLICE_BYTES
) -> Decoded | None:
    """What ``decode_usual`` gives or raises, with a ``turn`` for others around each slice of a large body."""
    if len(body) > slice_bytes:
        codec, marker = _codec(dataset), secrets.token_hex(8)
        for name in ROWS_NAMES:
            found = cut(body, name, codec.marked(marker), slice_bytes)
            usual = None if found is None else await _in_slices(codec, marker, *found, turn)
            if usual is not None:
                return usual
    return decode_usual(body, dataset)


async def _in_slices(
    codec: Codec, marker: str, envelope: bytes, slices: Iterable[bytes], turn: Callable[[], Awaitable[None]]
) -> Decoded | None:
    usual = codec.envelope(envelope, marker)
    if usual is None:
        return None
    rows: list[tuple[Any, ...]] = []
    for text in slices:
        await turn()
        part = codec.part(text)
        # Nothing behind a cut is a comma at the list's end.
        if part is None or (rows and not part):
            return None
        rows.append(part)
    await turn()
    return replace(usual, rows=tuple(chain.from_iterable(rows)))


def decode_odd(body: bytes, dataset: Dataset) -> Decoded:
    """The thorough half of ``decode``, several times as slow. Raises UpstreamBadResponse."""
    return _guarded(_codec(dataset).untyped, body)


def _guarded(read: Callable[[Text], T], body: bytes) -> T:
    try:
        return read(without_bom(body))
    except (ValueError, RecursionError):
        pass
    # Raised here, so that the error holds no piece of the body.
    raise UpstreamBadResponse("The upstream's reply is not readable JSON. Ask again; if it stays, tell the operator.")


class Codec:
    """Decoders of one dataset's bodies."""

    def __init__(self, dataset: Dataset) -> None:
        self._row = dataset.row
        names = {field.encode_name: field.name for field in msgspec.structs.fields(dataset.row)}
        self._date = attrgetter(names[dataset.date])
        self._service = names[dataset.service]
        kinds = dict.fromkeys(dataset.measures, "long") | {dataset.date: "date"}
        self._reader = Reader({name: (names[name], kinds.get(name, "text")) for name in names})
        self._typed = msgspec.json.Decoder(_envelope(dataset.row))
        self._slice = msgspec.json.Decoder(tuple[dataset.row, ...])  # type: ignore[name-defined]  # made at run time
        # Decimals keep what a float would round.
        self._untyped = msgspec.json.Decoder(float_hook=exact)

    def typed(self, text: Text) -> Decoded | None:
        """The quick way; None where the slow one is needed."""
        try:
            found: Any = self._typed.decode(text)
        except msgspec.ValidationError:
            return None
        rows = found.rows_0 if found.rows_0 is not msgspec.UNSET else found.rows_1
        if rows is msgspec.UNSET or not self._have_dates(rows):
            return None
        link = any((found.link_0, found.link_1, found.link_2))
        return Decoded(rows, total_of((found.total_0, found.total_1, found.total_2)), link)

    def marked(self, marker: str) -> bytes:
        """A row that is known by ``marker``, as JSON."""
        return msgspec.json.encode(self._row(**{self._service: marker}))

    def envelope(self, text: bytes, marker: str) -> Decoded | None:
        """An envelope whose list of rows is the one that ``marker`` is in; None unless it is just that."""
        try:
            usual = self.typed(without_bom(text))
        except (ValueError, RecursionError):
            return None
        is_marked = usual is not None and [getattr(row, self._service) for row in usual.rows] == [marker]
        return usual if is_marked else None

    def part(self, text: bytes) -> tuple[Any, ...] | None:
        """Rows of a list by itself; None where it is none, or where the slow way is needed."""
        try:
            rows: tuple[Any, ...] = self._slice.decode(text)
        except (ValueError, RecursionError):
            return None
        return rows if self._have_dates(rows) else None

    def _have_dates(self, rows: tuple[Any, ...]) -> bool:
        return all(map(is_date, set(map(self._date, rows)) - {None}))

    def untyped(self, text: Text) -> Decoded:
        """The slow way. Raises UpstreamBadResponse when there is no list of objects."""
        document = self._untyped.decode(text)
        envelope = document if isinstance(document, dict) else {}
        found = next((envelope[name] for name in ROWS_NAMES if isinstance(envelope.get(name), list)), None)
        if found is None or not all(isinstance(row, dict) for row in found):
            raise UpstreamBadResponse("The upstream's reply is not a list of rows. Tell the operator.")
        unreadable_values = 0
        rows = []
        for fields in found:
            values, faults = self._reader.read(fields)
            unreadable_values += faults
            rows.append(self._row(**values))
        link = any(is_link(envelope.get(name)) for name in LINK_NAMES)
        total = total_of(envelope.get(name) for name in TOTAL_NAMES)
        return Decoded(tuple(rows), total, link, unreadable_values)


def is_link(value: Any) -> bool:
    """True when a link is present: anything but null and the empty string."""
    return value is not None and value != ""


@lru_cache(maxsize=64)
def _codec(dataset: Dataset) -> Codec:
    return Codec(dataset)


def _envelope(row: type[msgspec.Struct]) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any, Any]] = []
    rename: dict[str, str] = {}
    kinds: tuple[tuple[str, tuple[str, ...], Any, Any], ...] = (
        ("rows", ROWS_NAMES, tuple[row, ...] | msgspec.UnsetType, msgspec.UNSET),  # type: ignore[valid-type] # made here
        ("link", LINK_NAMES, str | None, None),
        ("total", TOTAL_NAMES, int | float | str | None, None),
    )
    for kind, names, annotation, default in kinds:
        for number, name in enumerate(names):
            fields.append((f"{kind}_{number}", annotation, default))
            rename[f"{kind}_{number}"] = name
    return msgspec.defstruct("Envelope", fields, rename=rename)
