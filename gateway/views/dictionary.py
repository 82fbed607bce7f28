"""Dictionaries: the distinct texts of a column, with their order."""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.clocks.instant import instant
from gateway.dataset import Dataset
from gateway.views.pieces import Pieces, Shared, whole
from gateway.views.text_key import TEXTS_A_STEP, text_key, text_keys

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
        return whole(self._ranking.pieces(self._start_ranking))

    @property
    def is_ranked(self) -> bool:
        """True if the ranks have been computed."""
        return "ranks" in self.__dict__

    def copy(self) -> Dictionary:
        """Return a dictionary of the same values for another table, which may be ordered at the same time."""
        copy = Dictionary(self.values, self.sort_key)
        if self.is_ranked:
            vars(copy)["ranks"] = self.ranks
        return copy

    def ranking(self) -> Pieces[None]:
        """Compute the ranks, unless they have been computed, in pieces."""
        if not self.is_ranked:
            # The place where cached_property keeps them.
            vars(self)["ranks"] = yield from self._ranking.pieces(self._start_ranking)

    def distinct_ranking(self) -> Pieces[NDArray[Any]]:
        """Return ranks in which texts with equal keys follow each other by code point. They are not kept."""
        ranks = self.ranks if self.null_code is None else np.delete(self.ranks, self.null_code)
        return _with_null((yield from _by_text(self._texts, ranks.astype(np.int64))), self.null_code)

    @cached_property
    def null_code(self) -> int | None:
        """The code of None, if it occurs."""
        return self.values.index(None) if None in self.values else None

    @property
    def size_bytes(self) -> int:
        """Memory of the values, and of the ranks if they have been computed."""
        return self._values_bytes + (self.ranks.nbytes if self.is_ranked else 0)

    def measuring(self) -> Pieces[None]:
        """Compute the size of the values, in pieces."""
        # The place where cached_property keeps it.
        vars(self)["_values_bytes"] = yield from _measuring(self._texts, len(self.values))

    @cached_property
    def _ranking(self) -> Shared[NDArray[Any]]:
        return Shared()

    @property
    def _start_ranking(self) -> Callable[[], Pieces[NDArray[Any]]]:
        # Without a reference to the dictionary, which would keep it alive if nobody finishes the computation.
        return partial(_ranks, self._texts, self.sort_key, self.null_code)

    @property
    def _texts(self) -> list[str]:
        return [text for text in self.values if text is not None]

    @cached_property
    def _values_bytes(self) -> int:
        return whole(_measuring(self._texts, len(self.values)))


def sort_key_of(dataset: Dataset, name: str) -> Callable[[str], str]:
    """Return what the texts of a column are ordered by: dates as instants, others by their text keys."""
    return instant if name == dataset.date else text_key


def code_type(count: int) -> type[np.uint8 | np.uint16 | np.uint32]:
    """Return the smallest unsigned type for ``count`` codes from 0."""
    return np.uint8 if count <= 2**8 else np.uint16 if count <= 2**16 else np.uint32


def sorting_in_steps(texts: Sequence[str]) -> Pieces[list[str]]:
    """Return ``texts`` sorted by code point. Other threads run between the steps, which last some milliseconds."""
    runs: list[list[str]] = []
    for start in range(0, len(texts), TEXTS_A_STEP):
        runs.append(sorted(texts[start : start + TEXTS_A_STEP]))
        yield
    while len(runs) > 1:
        one, other = runs.pop(0), runs.pop(0)
        runs.append((yield from _merging(one, other)))
    return runs[0] if runs else []


def _merging(one: list[str], other: list[str]) -> Pieces[list[str]]:
    """Return the texts of two sorted lists, sorted."""
    merged: list[str] = []
    start = 0
    for end in range(TEXTS_A_STEP, len(one) + TEXTS_A_STEP, TEXTS_A_STEP):
        stop = bisect_left(other, one[end]) if end < len(one) else len(other)
        # Sorting two sorted runs merges them (Timsort).
        merged += sorted(chain(one[end - TEXTS_A_STEP : end], other[start:stop]))
        start = stop
        yield
    return merged


def _ranks(texts: list[str], sort_key: Callable[[str], str], null_code: int | None) -> Pieces[NDArray[Any]]:
    """Return the ranks of a dictionary of ``texts`` and perhaps None."""
    keys: list[str] = []
    distinct: set[str] = set()
    for start in range(0, len(texts), TEXTS_A_STEP):
        step = texts[start : start + TEXTS_A_STEP]
        keys += text_keys(step) if sort_key is text_key else map(sort_key, step)
        distinct.update(keys[start:])
        yield
    in_order = yield from sorting_in_steps(list(distinct))
    rank_of: dict[str, int] = {}
    for start in range(0, len(in_order), TEXTS_A_STEP):
        rank_of.update(zip(in_order[start : start + TEXTS_A_STEP], count(start)))
        yield
    ranks = np.empty(len(keys), np.int64)
    for start in range(0, len(keys), TEXTS_A_STEP):
        step = keys[start : start + TEXTS_A_STEP]
        ranks[start : start + len(step)] = [rank_of[key] for key in step]
        yield
    return _with_null(ranks, null_code)


def _with_null(ranks: NDArray[np.int64], null_code: int | None) -> NDArray[Any]:
    """Return ``ranks`` of texts as the smallest type, with one for None if it has a code."""
    if null_code is not None:
        ranks = np.insert(ranks, null_code, len(ranks))
    return ranks.astype(code_type(len(ranks)))


def _by_text(texts: list[str], by_key: NDArray[np.int64]) -> Pieces[NDArray[np.int64]]:
    """Return ranks in which texts with equal keys follow each other by code point."""
    if by_key.max(initial=-1) == len(texts) - 1:
        return by_key
    tied = np.flatnonzero(np.bincount(by_key)[by_key] > 1).tolist()
    code_of = {texts[code]: code for code in tied}
    among_tied = np.zeros(len(texts), np.int64)
    yield
    in_order = yield from sorting_in_steps(list(code_of))
    among_tied[[code_of[text] for text in in_order]] = np.arange(len(tied))
    yield
    ranks = np.empty(len(texts), np.int64)
    ranks[np.lexsort((among_tied, by_key))] = np.arange(len(texts))
    return ranks


def _measuring(texts: list[str], value_count: int) -> Pieces[int]:
    """Return the memory of ``texts`` and of a tuple with ``value_count`` pointers."""
    size_bytes = _POINTER_BYTES * value_count
    for start in range(0, len(texts), TEXTS_A_STEP):
        step = texts[start : start + TEXTS_A_STEP]
        others = [text for text in step if not text.isascii()]
        size_bytes += _TEXT_BYTES * (len(step) - len(others)) + sum(map(len, step)) - sum(map(len, others))
        # CPython keeps the UTF-8 form of a text that is not ASCII once the text has been rendered.
        size_bytes += sum(sys.getsizeof(text) + len(text.encode("utf-8", "surrogatepass")) + 1 for text in others)
        yield
    return size_bytes
