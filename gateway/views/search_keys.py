"""Search keys: the text keys of a column's distinct values, prepared for one search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.views.pieces import Pieces
from gateway.views.text_key import TEXTS_A_STEP, text_key

# In Latin-1 a single byte that no ASCII text has.
_SEPARATOR = "\x80"

# Searched in one piece: a place takes eight bytes, and every byte may be one (our choice: the keys of most columns).
_BYTES_A_STEP = 1_048_576


class SearchKeys:
    """The keys of a column's values: ASCII texts in ``ascii_texts``, empty for the others, whose number and key are in
    ``other_keys``. They are not kept: those of 44,000 customers take 5 ms, and would take 9 bytes a row.

    Keys of ASCII texts are one joined text, which is lowered as a whole. That takes half the time.
    """

    def __init__(self, ascii_texts: Sequence[str], other_keys: Sequence[tuple[int, str]]) -> None:
        self._count = len(ascii_texts)
        self._joined = _SEPARATOR.join(ascii_texts).encode("latin-1").lower()
        self._separators = np.flatnonzero(np.frombuffer(self._joined, np.uint8) == ord(_SEPARATOR))
        self._others = other_keys

    @classmethod
    def preparing(cls, values: Sequence[str | None]) -> Pieces[SearchKeys]:
        """Return the keys of ``values``."""
        texts = [text or "" for text in values]
        is_ascii = np.fromiter(map(str.isascii, texts), np.bool_, len(texts))
        others = np.flatnonzero(~is_ascii).tolist()
        keys: list[tuple[int, str]] = []
        yield
        for start in range(0, len(others), TEXTS_A_STEP):
            for number in others[start : start + TEXTS_A_STEP]:
                keys.append((number, text_key(texts[number])))
                texts[number] = ""
            yield
        return cls(texts, keys)

    def containing(self, word: str) -> Pieces[NDArray[np.bool_]]:
        """Return for each value whether its key contains ``word``, which is a key and not empty."""
        found = np.zeros(self._count, np.bool_)
        # Most words occur in few columns.
        if word.isascii() and (part := word.encode()) in self._joined:
            for start in range(0, len(self._joined), _BYTES_A_STEP):
                found[self._numbers(part, start)] = True
                yield
        for start in range(0, len(self._others), TEXTS_A_STEP):
            for number, key in self._others[start : start + TEXTS_A_STEP]:
                if word in key:
                    found[number] = True
            yield
        return found

    def _numbers(self, part: bytes, start: int) -> NDArray[np.int64]:
        """Return the number of the key of each place of ``part`` that begins in the step from ``start`` on."""
        stop = min(start + _BYTES_A_STEP, len(self._joined) - len(part) + 1)
        joined = np.frombuffer(self._joined, np.uint8)
        places = start + np.flatnonzero(joined[start:stop] == part[0])
        for offset, byte in enumerate(part):
            places = places[joined[places + offset] == byte]
        return np.searchsorted(self._separators, places)
