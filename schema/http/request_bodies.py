"""A bound on the request bodies that have arrived in part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import ServiceUnavailable

# Our choice: 64 of the largest bodies. A body is read in well under a second, except by very slow clients.
MAX_BYTES = 67_108_864

RETRY_SECONDS = 1


class RequestBodies:
    """Counts the bytes of all bodies of a process that are being read."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0

    @contextmanager
    def body(self) -> Iterator[RequestBody]:
        """Count one body until the context ends."""
        body = RequestBody(self)
        try:
            yield body
        finally:
            self.held_bytes -= body.held_bytes


class RequestBody:
    """The bytes of one body."""

    __slots__ = ("_all", "held_bytes")

    def __init__(self, bodies: RequestBodies) -> None:
        self._all = bodies
        self.held_bytes = 0

    def add(self, size_bytes: int) -> None:
        """Count another part. Raises ServiceUnavailable if all bodies together are too large."""
        self.held_bytes += size_bytes
        self._all.held_bytes += size_bytes
        if self._all.held_bytes > self._all.max_bytes:
            raise ServiceUnavailable(
                "Too many large requests are being received. Retry soon.", retry_after_seconds=RETRY_SECONDS
            )
