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
    # One bit a row: a search may have a hundred words.
    masks = {word: np.packbits(np.zeros(len(table), np.bool_)) for word in words}
    for dimension in dimensions:
        text = table.texts[dimension]
        keys = yield from SearchKeys.preparing(text.dictionary.values)
        yield
        for word, mask in masks.items():
            has_word = yield from keys.containing(word)
            if has_word.any():
                mask |= np.packbits(has_word[text.codes])
            yield
    found = np.packbits(np.ones(len(table), np.bool_))
    for mask in masks.values():
        found &= mask
    return np.unpackbits(found, count=len(table)).astype(np.bool_)
