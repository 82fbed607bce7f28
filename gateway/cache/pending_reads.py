"""Pending reads by token. If the upstream refuses a token, reads that began earlier must not be cached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class PendingRead:
    """A pending read; ``void`` once its token was refused."""

    __slots__ = ("void",)

    def __init__(self) -> None:
        self.void = False


class PendingReads:
    """All pending reads."""

    def __init__(self) -> None:
        self._by_token: dict[bytes, set[PendingRead]] = {}

    @contextmanager
    def under_way(self, locator: bytes) -> Iterator[PendingRead]:
        """Register a read of this token until the context ends."""
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
        """Mark all pending reads of this token as void, so that their results are not cached."""
        for read in self._by_token.get(locator, ()):
            read.void = True
