"""Search the dimensions of a table for words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.views.pieces import Pieces
from gateway.views.search_keys import SearchKeys
from gateway.views.table import Table


def containing(table: Table, words: Iterable[str], dimensions: Sequence[str]) -> Pieces[NDArray[np.bool_]]:
    """Return for each row whether every one of ``words`` is part of the text key of one of ``dimensions``.

    The words are those of search_words.words_of; they may be in different dimensions. Without words, every row matches.
    """
    masks = {word: np.zeros(len(table), np.bool_) for word in words}
    for dimension in dimensions:
        text = table.texts[dimension]
        keys = SearchKeys(text.dictionary.values)
        yield
        for word, mask in masks.items():
            has_word = keys.containing(word)
            if has_word.any():
                mask |= has_word[text.codes]
            yield
    found = np.ones(len(table), np.bool_)
    for mask in masks.values():
        found &= mask
    return found
