"""Dictionaries: the distinct texts of a column, with their order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.clocks.instant import instant
from gateway.query import Dataset
from gateway.views.text_key import text_key, text_keys

# One sort holds the GIL: 4,096 texts for about 2 ms (measured).
_TEXTS_A_STEP = 4_096

# A pointer in a tuple, and a text of ASCII without its characters. sum(map(sys.getsizeof, texts)) would hold the GIL
# for some ten milliseconds.
_POINTER_BYTES, _TEXT_BYTES = 8, sys.getsizeof("")


@dataclass(frozen=True, eq=False)
class Dictionary:
    """The distinct values of a column, in the order of their first rows.

    ``sort_key`` returns what a text is ordered by. Ranks are computed at first use and kept.
    """

    values: tuple[str | None, ...]
    sort_key: Callable[[str], str] = text_key

    @cached_property
    def ranks(self) -> NDArray[Any]:
        """The values' positions in the order of their keys, as the smallest unsigned type.

        Texts with equal keys have equal ranks. The rank of None is larger than all others.
        """
        keys = text_keys(self._texts) if self.sort_key is text_key else list(map(self.sort_key, self._texts))
        rank_of = {key: rank for rank, key in enumerate(sorted_in_steps(list(set(keys))))}
        return self._with_null(np.fromiter(map(rank_of.__getitem__, keys), np.int64, len(keys)))

    @property
    def is_ranked(self) -> bool:
        """True if the ranks have been computed."""
        return "ranks" in self.__dict__

    def distinct_ranks(self) -> NDArray[Any]:
        """Return ranks in which texts with equal keys follow each other by code point. They are not kept."""
        ranks = self.ranks if self.null_code is None else np.delete(self.ranks, self.null_code)
        return self._with_null(_by_text(self._texts, ranks.astype(np.int64)))

    @cached_property
    def null_code(self) -> int | None:
        """The code of None, if it occurs."""
        return self.values.index(None) if None in self.values else None

    @property
    def size_bytes(self) -> int:
        """Memory of the values, and of the ranks if they have been computed."""
        return self._values_bytes + (self.ranks.nbytes if self.is_ranked else 0)

    @property
    def _texts(self) -> list[str]:
        return [text for text in self.values if text is not None]

    @cached_property
    def _values_bytes(self) -> int:
        texts = self._texts
        others = [text for text in texts if not text.isascii()]
        ascii_bytes = _TEXT_BYTES * (len(texts) - len(others)) + sum(map(len, texts)) - sum(map(len, others))
        # CPython keeps the UTF-8 form of a text that is not ASCII once the text has been rendered.
        other_bytes = sum(sys.getsizeof(text) + len(text.encode("utf-8", "surrogatepass")) + 1 for text in others)
        return _POINTER_BYTES * len(self.values) + ascii_bytes + other_bytes

    def _with_null(self, ranks: NDArray[np.int64]) -> NDArray[Any]:
        if self.null_code is not None:
            ranks = np.insert(ranks, self.null_code, len(ranks))
        return ranks.astype(code_type(len(self.values)))


def sort_key_of(dataset: Dataset, name: str) -> Callable[[str], str]:
    """Return what the texts of a column are ordered by: dates as instants, others by their text keys."""
    return instant if name == dataset.date else text_key


def code_type(count: int) -> type[np.uint8 | np.uint16 | np.uint32]:
    """Return the smallest unsigned type for ``count`` codes from 0."""
    return np.uint8 if count <= 2**8 else np.uint16 if count <= 2**16 else np.uint32


def sorted_in_steps(texts: Sequence[str]) -> list[str]:
    """Return ``texts`` sorted by code point. Other threads run between the steps, which last some milliseconds."""
    runs = [sorted(texts[start : start + _TEXTS_A_STEP]) for start in range(0, len(texts), _TEXTS_A_STEP)]
    while len(runs) > 1:
        # Sorting two sorted runs merges them (Timsort).
        runs = [sorted(chain(*runs[start : start + 2])) for start in range(0, len(runs), 2)]
    return runs[0] if runs else []


def _by_text(texts: list[str], by_key: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ranks in which texts with equal keys follow each other by code point."""
    if by_key.max(initial=-1) == len(texts) - 1:
        return by_key
    tied = np.flatnonzero(np.bincount(by_key)[by_key] > 1).tolist()
    code_of = {texts[code]: code for code in tied}
    among_tied = np.zeros(len(texts), np.int64)
    among_tied[[code_of[text] for text in sorted_in_steps(list(code_of))]] = np.arange(len(tied))
    ranks = np.empty(len(texts), np.int64)
    ranks[np.lexsort((among_tied, by_key))] = np.arange(len(texts))
    return ranks
