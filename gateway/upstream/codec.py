"""Decoders of one dataset's bodies: in one typed pass, by pieces, and field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from gateway.dataset import Dataset
from gateway.errors import UpstreamBadResponse
from gateway.upstream.coercion import date_of, exact, is_date, long_of, text_of, total_of

# Microsoft page (Value, @nextLink, TotalCount); the Store and Partner Insights APIs and OData use the other names.
ROWS_NAMES = ("Value", "value")
LINK_NAMES = ("@nextLink", "nextLink", "@odata.nextLink")
TOTAL_NAMES = ("TotalCount", "totalCount", "@odata.count")

BOM = b"\xef\xbb\xbf"

Text = bytes | memoryview


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    """The rows of a successful response, perhaps more than requested, its total if valid, and whether it has a link.

    ``unreadable_values`` counts those of all fields, and ``unreadable_measures`` has the rows of each measure's.
    ``attempts`` counts the HTTP requests needed to get it.
    """

    rows: tuple[Any, ...]
    total_count: int | None
    has_link: bool
    unreadable_values: int = 0
    unreadable_measures: Mapping[str, Sequence[int]] = field(default_factory=dict)
    attempts: int = 1


def without_bom(body: bytes) -> Text:
    """Return ``body`` without its byte order mark, which Partner Center is known to send."""
    return memoryview(body)[len(BOM) :] if body.startswith(BOM) else body


class Codec:
    """Decoders of one dataset's bodies."""

    def __init__(self, dataset: Dataset) -> None:
        self._row = dataset.row
        names = {field.encode_name: field.name for field in msgspec.structs.fields(dataset.row)}
        self._date = attrgetter(names[dataset.date])
        self._service = names[dataset.service]
        readers = dict.fromkeys(names, text_of) | dict.fromkeys(dataset.measures, long_of) | {dataset.date: date_of}
        self._readers = [(name, attribute, readers[name]) for name, attribute in names.items()]
        self._measures = {names[name]: name for name in dataset.measures}
        self._typed = msgspec.json.Decoder(_envelope(dataset.row))
        self._chunk = msgspec.json.Decoder(tuple[dataset.row, ...])  # type: ignore[name-defined]  # made at run time
        # Decimals keep digits that a float would round.
        self._untyped = msgspec.json.Decoder(float_hook=exact)
        self._blank = dataset.row()
        self._others = dataset.other_spellings
        self._names = {name.casefold(): name for name in (*names, *(other for other, _ in self._others))}

    def strict(self, text: Text) -> UpstreamResponse | None:
        """Decode a body in one typed pass; None if it needs lenient decoding."""
        uniform = self._uniform(text)
        if uniform is None:
            return None
        text = uniform
        try:
            envelope: Any = self._typed.decode(text)
        except msgspec.ValidationError:
            return None
        rows = envelope.rows_0 if envelope.rows_0 is not msgspec.UNSET else envelope.rows_1
        if rows is msgspec.UNSET or not self._have_dates(rows) or (self.are_blank(rows) and self._respells(text)):
            return None
        link = any((envelope.link_0, envelope.link_1, envelope.link_2))
        return UpstreamResponse(rows, total_of((envelope.total_0, envelope.total_1, envelope.total_2)), link)

    def marked(self, marker: str) -> bytes:
        """Return a row with ``marker`` as its service, as JSON."""
        return msgspec.json.encode(self._row(**{self._service: marker}))

    def envelope(self, text: bytes, marker: str) -> UpstreamResponse | None:
        """Decode an envelope whose only row is marked by ``marker``; None if it has other rows or is invalid."""
        try:
            decoded = self.strict(without_bom(text))
        except (ValueError, RecursionError):
            return None
        is_marked = decoded is not None and [getattr(row, self._service) for row in decoded.rows] == [marker]
        return decoded if is_marked else None

    def chunk(self, text: bytes) -> tuple[Any, ...] | None:
        """Decode a list of rows; None if it is invalid or needs lenient decoding."""
        uniform = self._uniform(text)
        if uniform is None:
            return None
        try:
            rows: tuple[Any, ...] = self._chunk.decode(uniform)
        except (ValueError, RecursionError):
            return None
        return rows if self._have_dates(rows) else None

    def _uniform(self, text: Text) -> Text | None:
        """Return ``text`` with the fields' own names in place of other spellings; None if it has both of a name.

        A quote inside a JSON text is escaped, so a quoted name before a colon is a key.
        """
        for other, name in self._others:
            own_key, other_key = f'"{name}"'.encode(), f'"{other}"'.encode()
            body = bytes(text)
            if other_key not in body:
                continue
            if own_key in body:
                return None
            text = body.replace(other_key + b":", own_key + b":")
            if other_key in text:
                return None
        return text

    def are_blank(self, rows: tuple[Any, ...]) -> bool:
        """Return True if there are rows and all their fields are null, perhaps because their keys are unknown."""
        # Usually the first row decides.
        return bool(rows) and all(row == self._blank for row in rows)

    def _respells(self, text: Text) -> bool:
        return bool(self._spelling(_objects(self._untyped.decode(text))))

    def _spelling(self, objects: list[dict[str, Any]]) -> dict[str, str]:
        """Map known names to the keys in ``objects``; empty if a key already is a known name, or without any keys.

        Raises UpstreamBadResponse unless each key is a known name in another case.
        """
        keys: set[str] = set().union(*objects)
        if not keys.isdisjoint(self._names.values()):
            return {}
        spelling = {self._names.get(key.casefold(), ""): key for key in keys}
        if "" in spelling or len(spelling) < len(keys):
            raise UpstreamBadResponse("No field of the upstream's rows is known. Contact the operator.")
        return spelling

    def _have_dates(self, rows: tuple[Any, ...]) -> bool:
        return all(map(is_date, set(map(self._date, rows)) - {None}))

    def lenient(self, text: Text) -> UpstreamResponse:
        """Decode a body field by field. Raises UpstreamBadResponse if it has no list of objects."""
        envelope = self._untyped.decode(text)
        objects = _objects(envelope)
        spelling = self._spelling(objects)
        readers = [(spelling.get(name, name), attribute, read) for name, attribute, read in self._readers]
        others = [(spelling.get(other, other), spelling.get(name, name)) for other, name in self._others]
        unreadable_values = 0
        unreadable_measures: dict[str, list[int]] = {}
        rows = []
        for number, fields in enumerate(objects):
            for other, name in others:
                if fields.get(name) is None:
                    fields[name] = fields.get(other)
            values = {
                attribute: read(fields[name]) for name, attribute, read in readers if fields.get(name) is not None
            }
            for attribute in [attribute for attribute, value in values.items() if value is None]:
                unreadable_values += 1
                if attribute in self._measures:
                    unreadable_measures.setdefault(self._measures[attribute], []).append(number)
            rows.append(self._row(**values))
        link = any(envelope.get(name) not in (None, "") for name in LINK_NAMES)
        total = total_of(envelope.get(name) for name in TOTAL_NAMES)
        return UpstreamResponse(tuple(rows), total, link, unreadable_values, unreadable_measures)


codec_of = lru_cache(maxsize=64)(Codec)


def _objects(document: Any) -> list[dict[str, Any]]:
    """Return the rows of an envelope. Raises UpstreamBadResponse if it has no list of objects."""
    envelope = document if isinstance(document, dict) else {}
    lists = (envelope[name] for name in ROWS_NAMES if isinstance(envelope.get(name), list))
    objects: list[dict[str, Any]] | None = next(lists, None)
    if objects is None or not all(isinstance(row, dict) for row in objects):
        raise UpstreamBadResponse("The upstream's response is not a list of rows. Contact the operator.")
    return objects


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
