"""What says which of the blocks in Redis still count.

Every block is sealed together with two marks, random bytes that were current when it was kept: its token's and its
question's. Blocks in Redis cannot be listed, for nothing there tells whose they are; but as soon as a mark is replaced,
all that carries the old one is a miss, in whatever process. So a token's mark is the tombstone that a refusal leaves,
and a question's mark changes when its data was processed anew. A mark that was evicted takes its blocks with it.
"""

from __future__ import annotations

import os
from typing import TypeVar

import msgspec

from gateway.page import Page, Stamp

MARK_BYTES = 16


def new_mark() -> bytes:
    """A mark unlike any other."""
    return os.urandom(MARK_BYTES)


class QuestionMark(msgspec.Struct, array_like=True, frozen=True):
    """A question's mark with what all blocks under it say together, and when the newest of them was read."""

    mark: bytes
    stamp: Stamp
    fetched_at: float

    def after(self, page: Page) -> QuestionMark | None:
        """What holds once ``page`` is kept: a new mark if it contradicts the others; None if they are newer than it."""
        if not self.stamp.conflicts(page.stamp):
            return QuestionMark(self.mark, self.stamp.merged(page.stamp), max(self.fetched_at, page.fetched_at))
        return first_mark(page) if page.fetched_at >= self.fetched_at else None


def first_mark(page: Page) -> QuestionMark:
    """The mark of a question of which only ``page`` counts."""
    return QuestionMark(new_mark(), page.stamp, page.fetched_at)


class SealedPage(msgspec.Struct, array_like=True, frozen=True):
    """What is sealed of a block: its marks, when it is to be forgotten (seconds since 1970), and the packed page."""

    token_mark: bytes
    question_mark: bytes
    expires_at: float
    packed: bytes


T = TypeVar("T")

_QUESTION_MARKS = msgspec.msgpack.Decoder(QuestionMark)
_SEALED_PAGES = msgspec.msgpack.Decoder(SealedPage)


def encoded(value: QuestionMark | SealedPage) -> bytes:
    """As bytes, to be sealed."""
    return msgspec.msgpack.encode(value)


def question_mark(plain: bytes | None) -> QuestionMark | None:
    """What was encoded; None for anything else."""
    return _decoded(_QUESTION_MARKS, plain)


def sealed_page(plain: bytes | None) -> SealedPage | None:
    """What was encoded; None for anything else."""
    return _decoded(_SEALED_PAGES, plain)


def _decoded(decoder: msgspec.msgpack.Decoder[T], plain: bytes | None) -> T | None:
    if plain is None:
        return None
    try:
        return decoder.decode(plain)
    except (msgspec.MsgspecError, ValueError):
        return None
