"""Text keys: what texts are compared and searched by."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def text_key(text: str) -> str:
    """Return ``text`` in compatibility form (NFKD), without combining marks, casefolded.

    Marks are the characters whose canonical combining class is not 0, so vowel signs that are letters in all but name
    remain. Keys compare by code point. The key of a key is the key itself, and the key of two texts joined is their
    keys joined, so a part of a text has a part of its key.
    """
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()


def text_keys(texts: Sequence[str]) -> list[str]:
    """Return the key of each text. ASCII texts are lowered as one text, which takes a third of the time."""
    joined = "\n".join(texts)
    if joined.isascii() and joined.count("\n") == len(texts) - 1:
        return joined.lower().split("\n")
    return list(map(text_key, texts))
