"""Tables: all rows of one query, column by column."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.dataset import Dataset
from gateway.views.dictionary import Dictionary
from gateway.views.measure_column import MeasureColumn
from gateway.views.pieces import Pieces, Shared, whole
from gateway.views.tie_order import RankedCodes, tie_ordering


@dataclass(frozen=True, slots=True, eq=False)
class TextColumn:
    """A row's text is ``dictionary.values[codes[row]]``; codes have the smallest unsigned type."""

    dictionary: Dictionary
    codes: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Table:
    """Rows by column: ``texts`` has dimensions and date, ``measures`` the stored measures, by upstream field name.

    Immutable apart from what it keeps for later use: ranks, the order that breaks ties, the digest.
    """

    dataset: Dataset
    texts: Mapping[str, TextColumn]
    measures: Mapping[str, MeasureColumn]
    row_count: int

    def __len__(self) -> int:
        return self.row_count

    @property
    def size_bytes(self) -> int:
        """Memory of the arrays and texts, counted in full. It grows when the table is first ordered."""
        size = sum(column.codes.nbytes + column.dictionary.size_bytes for column in self.texts.values())
        size += sum(column.size_bytes for column in self.measures.values())
        return size + (self.tie_order.nbytes if "tie_order" in self.__dict__ else 0)

    @cached_property
    def digest(self) -> bytes:
        """Eight-byte digest of all values in row order. Nulls of all states count as equal, because they look equal."""
        return whole(self._digesting())

    def measuring(self) -> Pieces[None]:
        """Compute the digest, and the size of the texts."""
        # The place where cached_property keeps it.
        vars(self)["digest"] = yield from self._digesting()
        yield from self.measuring_texts()

    def measuring_texts(self) -> Pieces[None]:
        """Compute the size of the texts, which takes too long for the event loop."""
        for text in self.texts.values():
            yield from text.dictionary.measuring()

    def ranking(self, fields: Iterable[str]) -> Pieces[None]:
        """Compute what orders by ``fields`` need and the table keeps."""
        for text in [self.texts[field] for field in fields if field in self.texts]:
            yield from text.dictionary.ranking()
        if "tie_order" not in self.__dict__:
            vars(self)["tie_order"] = yield from self._tie_ordering.pieces(self._start_tie_ordering)

    @cached_property
    def tie_order(self) -> NDArray[np.uint32]:
        """All rows, ordered by all fields: texts by key, then by code point, then measures; nulls last.

        Rows that are equal in all fields keep their order.
        """
        return whole(self._tie_ordering.pieces(self._start_tie_ordering))

    @cached_property
    def _tie_ordering(self) -> Shared[NDArray[np.uint32]]:
        return Shared()

    @property
    def _start_tie_ordering(self) -> Callable[[], Pieces[NDArray[np.uint32]]]:
        # Without a reference to the table, which would keep it alive if nobody finishes the computation.
        return partial(_tie_order, list(self.texts.values()), list(self.measures.values()), len(self))

    def _digesting(self) -> Pieces[bytes]:
        content = hashlib.blake2b(len(self).to_bytes(8, "little"), digest_size=8)
        for text in self.texts.values():
            content.update(_encoded(text.dictionary.values))
            content.update(_bytes(text.codes))
            yield
        for measure in self.measures.values():
            content.update(_bytes(measure.values))
            content.update(_bytes(measure.is_known()))
            yield
        return content.digest()


def _tie_order(
    texts: Sequence[TextColumn], measures: Sequence[MeasureColumn], row_count: int
) -> Pieces[NDArray[np.uint32]]:
    """Return the order that breaks ties."""
    ranked: list[RankedCodes] = []
    deciding = yield from _deciding(texts)
    for text in deciding:
        yield from text.dictionary.ranking()
        ranks = yield from text.dictionary.distinct_ranking()
        ranked.append((ranks, text.codes))
        yield
    return (yield from tie_ordering(ranked, measures, row_count))


def _deciding(texts: Iterable[TextColumn]) -> Pieces[list[TextColumn]]:
    """Return the columns that may break a tie of the columns before them.

    The others need not be ranked: a customer's name does not, if each tenant has one name.
    """
    deciding: list[TextColumn] = []
    for text in texts:
        for earlier in deciding:
            is_determined = _determines(earlier, text)
            yield
            if is_determined:
                break
        else:
            deciding.append(text)
    return deciding


def _determines(one: TextColumn, other: TextColumn) -> bool:
    """Return whether rows with equal texts in ``one`` have equal texts in ``other``."""
    count = len(one.dictionary.values)
    if count < len(other.dictionary.values):
        return False
    code_of = np.zeros(count, other.codes.dtype)
    code_of[one.codes] = other.codes
    return bool((code_of[one.codes] == other.codes).all())


def _encoded(values: Sequence[str | None]) -> bytes:
    """Return ``values`` as bytes, which differ if any value differs."""
    lengths = [-1 if value is None else len(value) for value in values]
    # Encoded as one text, which takes a fifth of the time.
    text = "".join([value for value in values if value]).encode("utf-8", "surrogatepass")
    return b"".join([len(values).to_bytes(8, "little"), _bytes(np.array(lengths, np.int64)), text])


def _bytes(array: NDArray[Any]) -> bytes:
    """Return ``array`` as bytes that are the same on all machines."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
