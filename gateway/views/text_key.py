"""Text keys: what texts are compared and searched by."""

from __future__ import annotations

import unicodedata


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
