"""The words of a search text. This module needs no numpy."""

from __future__ import annotations

from gateway.views.text_key import text_key


def words_of(text: str) -> tuple[str, ...]:
    """Return the text keys of the words of ``text``, which white space separates: sorted, each once.

    Characters whose key is white space separate words, too. A text of white space and combining marks has no words.
    """
    return tuple(sorted(set(text_key(text).split())))
