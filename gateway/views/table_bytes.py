"""Tables as bytes, and back: what a table keeps for later use is left out, apart from its digest."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.dataset import Dataset
from gateway.views.dictionary import Dictionary, code_type, sort_key_of
from gateway.views.measure_column import MeasureColumn
from gateway.views.table import Table, TextColumn


class _Text(msgspec.Struct, array_like=True):
    values: tuple[str | None, ...]
    codes: bytes


class _Measure(msgspec.Struct, array_like=True):
    type_name: str
    stored: bytes
    states: bytes | None


class _Content(msgspec.Struct, array_like=True):
    row_count: int
    digest: bytes
    texts: dict[str, _Text]
    measures: dict[str, _Measure]


_DECODER = msgspec.msgpack.Decoder(_Content)


def to_bytes(table: Table) -> bytes:
    """Return ``table`` as bytes for this machine. Raises ValueError for text that is not valid Unicode."""
    texts = {name: _Text(text.dictionary.values, text.codes.tobytes()) for name, text in table.texts.items()}
    measures = {
        name: _Measure(
            measure.stored.dtype.name,
            measure.stored.tobytes(),
            None if measure.states is None else measure.states.tobytes(),
        )
        for name, measure in table.measures.items()
    }
    return msgspec.msgpack.encode(_Content(len(table), table.digest, texts, measures))


def from_bytes(dataset: Dataset, data: bytes) -> Table:
    """Return the table that was encoded as ``data``."""
    content = _DECODER.decode(data)
    texts = {name: _text_column(dataset, name, text) for name, text in content.texts.items()}
    measures = {name: _measure_column(measure) for name, measure in content.measures.items()}
    table = Table(dataset, texts, measures, content.row_count)
    # The place where cached_property keeps it.
    vars(table)["digest"] = content.digest
    return table


def _text_column(dataset: Dataset, name: str, text: _Text) -> TextColumn:
    dictionary = Dictionary(text.values, sort_key_of(dataset, name))
    return TextColumn(dictionary, _array(text.codes, code_type(len(text.values))))


def _measure_column(measure: _Measure) -> MeasureColumn:
    states = None if measure.states is None else _array(measure.states, np.uint8)
    return MeasureColumn(_array(measure.stored, measure.type_name), states)


def _array(data: bytes, kind: Any) -> NDArray[Any]:
    return np.frombuffer(data, kind)
