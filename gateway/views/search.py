"""Search the dimensions of a table for words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.views.table import Table
from gateway.views.text_key import text_key


def words_of(text: str) -> tuple[str, ...]:
    """Return the text keys of the words of ``text``, which white space separates: sorted, each once.

    Characters whose key is white space separate words, too. A text of white space and combining marks has no words.
    """
    return tuple(sorted(set(text_key(text).split())))


def containing(table: Table, words: Iterable[str], dimensions: Sequence[str]) -> NDArray[np.bool_]:
    """Return for each row whether every word of :func:`words_of` is part of the text key of one of ``dimensions``.

    Different words may be in different dimensions. Without words, every row matches.
    """
    mask = np.ones(len(table), np.bool_)
    for word in words:
        found = np.zeros(len(table), np.bool_)
        for dimension in dimensions:
            text = table.texts[dimension]
            has_word = text.dictionary.keys.containing(word)
            if has_word.any():
                found |= has_word[text.codes]
        mask &= found
    return mask
