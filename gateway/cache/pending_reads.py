"""Reads under way, by token, so that what began before a refusal is not kept after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class PendingRead:
    """One read under way; ``void`` once its token was refused meanwhile."""

    __slots__ = ("void",)

    def __init__(self) -> None:
        self.void = False


class PendingReads:
    """All reads under way."""

    def __init__(self) -> None:
        self._by_token: dict[bytes, set[PendingRead]] = {}

    @contextmanager
    def under_way(self, locator: bytes) -> Iterator[PendingRead]:
        """A read of this token, until the end of the block."""
        read = PendingRead()
        reads = self._by_token.setdefault(locator, set())
        reads.add(read)
        try:
            yield read
        finally:
            reads.discard(read)
            if not reads and self._by_token.get(locator) is reads:
                del self._by_token[locator]

    def void(self, locator: bytes) -> None:
        """Let nothing be kept of what is being read for this token."""
        for read in self._by_token.get(locator, ()):
            read.void = True
