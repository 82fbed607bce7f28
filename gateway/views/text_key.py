"""Text keys: what texts are compared and searched by."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

# Texts that are sorted, or whose keys are computed, in one piece. Measured: sorting so many holds the GIL for 2 ms, and
# their keys take about 10 ms if they are not ASCII.
TEXTS_A_STEP = 4_096

# To normalize so many marks in a row takes less than a tenth of a millisecond (measured).
_FEW_CHARACTERS = 200


def text_key(text: str) -> str:
    """Return ``text`` in compatibility form (NFKD), without combining marks, casefolded.

    Marks are the characters whose canonical combining class is not 0, so vowel signs that are letters in all but name
    remain. Keys compare by code point. The key of a key is the key itself, and the key of two texts joined is their
    keys joined, so a part of a text has a part of its key.
    """
    if text.isascii():
        return text.lower()
    if len(text) > _FEW_CHARACTERS:
        # Their marks vanish anyway, and to normalize many marks in a row takes the square of their number.
        text = _without_marks(text)
    return _without_marks(unicodedata.normalize("NFKD", text)).casefold()


def _without_marks(text: str) -> str:
    return "".join(character for character in text if not unicodedata.combining(character))


def text_keys(texts: Sequence[str]) -> list[str]:
    """Return the key of each text. ASCII texts are lowered as one text, which takes a third of the time."""
    joined = "\n".join(texts)
    if joined.isascii() and joined.count("\n") == len(texts) - 1:
        return joined.lower().split("\n")
    return list(map(text_key, texts))
