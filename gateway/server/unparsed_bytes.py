"""A bound on the memory that all connections together hold for requests that are not parsed yet.

These are unfinished heads, and requests that clients send ahead of their turn.
"""

from __future__ import annotations

from collections.abc import Callable

# Our choice: what 200 connections hold that each have as much as one connection may.
MAX_BYTES = 67_108_864

# A connection may always hold this much: the head of an ordinary client, or a request that it sends ahead.
FREE_BYTES = 4_096

# Measured: the objects of a parsed header line take this much, however short the line is.
HEADER_LINE_BYTES = 200


class UnparsedBytes:
    """The unparsed bytes of a process. If there are too many, the connections that have held some the longest give up.

    So slow or stalled clients do not prevent others from sending large heads.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        # In the order in which they began to hold bytes.
        self._holders: dict[ConnectionBytes, None] = {}

    def update(self, connection: ConnectionBytes, more_bytes: int) -> None:
        """Count ``more_bytes`` of a connection (fewer, if negative)."""
        self.held_bytes += more_bytes
        if connection.held_bytes:
            self._holders.setdefault(connection)
        else:
            self._holders.pop(connection, None)
        while self.held_bytes > self.max_bytes:
            oldest = next(iter(self._holders))
            oldest.hold(0)
            oldest.give_up()


class ConnectionBytes:
    """The unparsed bytes of one connection. ``give_up`` is called when they must be discarded."""

    __slots__ = ("_all", "give_up", "held_bytes")

    def __init__(self, everything: UnparsedBytes, give_up: Callable[[], None]) -> None:
        self._all = everything
        self.give_up = give_up
        self.held_bytes = 0

    def hold(self, size_bytes: int) -> None:
        """Set the number of bytes."""
        counted_bytes = size_bytes if size_bytes > FREE_BYTES else 0
        more_bytes = counted_bytes - self.held_bytes
        if more_bytes:
            self.held_bytes = counted_bytes
            self._all.update(self, more_bytes)

    def end(self) -> None:
        """Hold nothing any more: the connection is closed. Its protocol has no reference from here."""
        self.hold(0)
        self.give_up = _nothing


def _nothing() -> None:
    """Discard nothing."""
