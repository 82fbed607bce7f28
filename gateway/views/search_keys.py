"""Search keys: the text keys of a column's distinct values, prepared for one search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.views.text_key import text_key

# In Latin-1 a single byte that no ASCII text has.
_SEPARATOR = "\x80"


class SearchKeys:
    """The keys of ``values``. They are not kept: those of 44,000 customers take 5 ms, and would take 9 bytes a row.

    Keys of ASCII texts are one joined text, which is lowered as a whole. That takes half the time.
    """

    def __init__(self, values: Sequence[str | None]) -> None:
        self._count = len(values)
        texts = [text or "" for text in values]
        is_ascii = np.fromiter(map(str.isascii, texts), np.bool_, len(texts))
        self._others = [(number, text_key(texts[number])) for number in np.flatnonzero(~is_ascii).tolist()]
        for number, _ in self._others:
            texts[number] = ""
        self._joined = _SEPARATOR.join(texts).encode("latin-1").lower()

    def containing(self, word: str) -> NDArray[np.bool_]:
        """Return for each value whether its key contains ``word``, which is a key and not empty."""
        found = np.zeros(self._count, np.bool_)
        # Most words occur in few columns.
        if word.isascii() and (part := word.encode()) in self._joined:
            found[self._numbers(part)] = True
        for number, key in self._others:
            if word in key:
                found[number] = True
        return found

    def _numbers(self, part: bytes) -> NDArray[np.int64]:
        """Return the number of the key of each place of ``part`` in the joined keys."""
        joined = np.frombuffer(self._joined, np.uint8)
        places = np.flatnonzero(joined[: len(joined) - len(part) + 1] == part[0])
        for offset, byte in enumerate(part):
            places = places[joined[places + offset] == byte]
        return np.searchsorted(np.flatnonzero(joined == ord(_SEPARATOR)), places)
