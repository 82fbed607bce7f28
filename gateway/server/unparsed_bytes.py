"""A bound on the bytes that all connections together hold unparsed: unfinished heads, and pipelined requests."""

from __future__ import annotations

# Our choice: the unparsed bytes of 200 connections that each hold as much as one connection may.
MAX_BYTES = 67_108_864

# A connection may always hold this much: heads of ordinary clients, and the request that they send ahead.
FREE_BYTES = 16_384


class UnparsedBytes:
    """Counts the unparsed bytes of the connections of a process."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0


class ConnectionBytes:
    """The unparsed bytes of one connection."""

    __slots__ = ("_all", "held_bytes")

    def __init__(self, everything: UnparsedBytes) -> None:
        self._all = everything
        self.held_bytes = 0

    def hold(self, size_bytes: int) -> bool:
        """Set the number of bytes, and return True; return False if all connections together hold too many."""
        counted_bytes = size_bytes if size_bytes > FREE_BYTES else 0
        self._all.held_bytes += counted_bytes - self.held_bytes
        self.held_bytes = counted_bytes
        return not counted_bytes or self._all.held_bytes <= self._all.max_bytes
