"""Dictionaries: the distinct texts of a column, with their order and their search keys."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.views.text_key import text_key

# One sort holds the GIL: 4,096 texts for about 2 ms (measured).
_TEXTS_A_STEP = 4_096

# A pointer in a tuple.
_POINTER_BYTES = 8


class Ranks(NamedTuple):
    """Positions of a dictionary's values in order; the rank of None is larger than all others.

    In ``key``, texts with equal keys have equal ranks. ``text`` orders them by code point, so no two are equal.
    """

    key: NDArray[Any]
    text: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Dictionary:
    """The distinct values of a column, in the order of their first rows.

    ``sort_key`` returns what a text is ordered by. Ranks and search keys are computed at first use and kept.
    """

    values: tuple[str | None, ...]
    sort_key: Callable[[str], str] = text_key

    @cached_property
    def ranks(self) -> Ranks:
        """The values' positions in order, as arrays of the smallest unsigned type."""
        texts = [text for text in self.values if text is not None]
        keys = [self.sort_key(text) for text in texts]
        rank_of = {key: rank for rank, key in enumerate(sorted_in_steps(list(set(keys))))}
        by_key = np.fromiter(map(rank_of.__getitem__, keys), np.int64, len(keys))
        return Ranks(self._with_null(by_key), self._with_null(_by_text(texts, by_key, len(rank_of))))

    @cached_property
    def keys(self) -> SearchKeys:
        """The values' text keys, for search."""
        encoded = [b"" if text is None else text_key(text).encode("utf-8", "surrogatepass") for text in self.values]
        return SearchKeys(b"".join(encoded), np.cumsum([0, *map(len, encoded)], dtype=np.int64))

    @cached_property
    def null_code(self) -> int | None:
        """The code of None, if it occurs."""
        return self.values.index(None) if None in self.values else None

    @property
    def size_bytes(self) -> int:
        """Memory of values, ranks and search keys, as far as they have been computed."""
        computed = self.__dict__
        size = self._values_bytes
        if "ranks" in computed:
            size += self.ranks.key.nbytes + self.ranks.text.nbytes
        return size + (self.keys.size_bytes if "keys" in computed else 0)

    @cached_property
    def _values_bytes(self) -> int:
        return sum(map(_text_bytes, self.values)) + _POINTER_BYTES * len(self.values)

    def _with_null(self, ranks: NDArray[np.int64]) -> NDArray[Any]:
        if self.null_code is not None:
            ranks = np.insert(ranks, self.null_code, len(ranks))
        return ranks.astype(code_type(len(self.values)))


@dataclass(frozen=True, slots=True, eq=False)
class SearchKeys:
    """Text keys as one UTF-8 text: key ``i`` is ``joined[starts[i] : starts[i + 1]]``; None has the empty key."""

    joined: bytes
    starts: NDArray[np.int64]

    def containing(self, word: str) -> NDArray[np.bool_]:
        """Return for each value whether its key contains ``word``, which is a key and not empty."""
        found = np.zeros(len(self.starts) - 1, np.bool_)
        part = word.encode("utf-8", "surrogatepass")
        # Most words occur in few columns.
        if part in self.joined:
            places = self._places(part)
            keys = np.searchsorted(self.starts, places, side="right") - 1
            # A place may reach into the next key.
            found[keys[places + len(part) <= self.starts[keys + 1]]] = True
        return found

    def _places(self, part: bytes) -> NDArray[np.int64]:
        """Return the places of ``part`` in the joined keys."""
        joined = np.frombuffer(self.joined, np.uint8)
        places = np.flatnonzero(joined[: len(joined) - len(part) + 1] == part[0])
        for offset, byte in enumerate(part):
            places = places[joined[places + offset] == byte]
        return places

    @property
    def size_bytes(self) -> int:
        """Memory of the keys."""
        return len(self.joined) + self.starts.nbytes


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


def _by_text(texts: list[str], by_key: NDArray[np.int64], key_count: int) -> NDArray[np.int64]:
    """Return ranks in which texts with equal keys follow each other by code point."""
    if key_count == len(texts):
        return by_key
    tied = np.flatnonzero(np.bincount(by_key)[by_key] > 1).tolist()
    code_of = {texts[code]: code for code in tied}
    among_tied = np.zeros(len(texts), np.int64)
    among_tied[[code_of[text] for text in sorted_in_steps(list(code_of))]] = np.arange(len(tied))
    ranks = np.empty(len(texts), np.int64)
    ranks[np.lexsort((among_tied, by_key))] = np.arange(len(texts))
    return ranks


def _text_bytes(text: str | None) -> int:
    if text is None:
        return 0
    # CPython keeps the UTF-8 form of a text that is not ASCII once the text has been rendered.
    return sys.getsizeof(text) + (0 if text.isascii() else len(text.encode("utf-8", "surrogatepass")) + 1)
