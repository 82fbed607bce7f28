"""Slices of the received bytes, so that the parser never reads past the end of a request.

A client may pipeline requests: send the next one before it has the response. The parser would parse everything that it
gets, perhaps thousands of requests. Each slice ends with a head or a body, so the server can stop between two requests.
"""

from __future__ import annotations

# llhttp accepts no other end of a head, of trailers or of a chunked body.
_END = b"\r\n\r\n"

# A chunked body must have this average bytes per part (our choice): smaller parts take more time to parse than to
# transfer. Bodies with at most FREE_PARTS parts may have any size.
LEAST_AVERAGE_BYTES = 64
FREE_PARTS = 4_096


class MessageSlices:
    """Position in a stream of requests: between two of them, in a head or in a body."""

    __slots__ = ("_body_bytes", "_left_bytes", "_parts", "_tail", "in_body", "in_head")

    def __init__(self) -> None:
        self.in_head = self.in_body = False
        # Bytes of the body still to arrive; None for a chunked body.
        self._left_bytes: int | None = None
        # The last bytes of the previous slice, because an end may be split between two.
        self._tail = b""
        self._parts = self._body_bytes = 0

    def begin_head(self) -> None:
        """Note that a request has begun."""
        self.in_head = True

    def begin_body(self, body_bytes: int | None) -> None:
        """Note that a head is complete. ``body_bytes`` is the length of the body; None if it is chunked."""
        self.in_head, self.in_body = False, True
        self._left_bytes = body_bytes
        self._parts = self._body_bytes = 0

    def take_body(self, body_bytes: int) -> None:
        """Note that a part of a body has been read."""
        self._parts += 1
        self._body_bytes += body_bytes
        if self._left_bytes is not None:
            self._left_bytes -= body_bytes

    def end_message(self) -> None:
        """Note that a request is complete."""
        self.in_head = self.in_body = False
        self._tail = b""

    @property
    def is_shredded(self) -> bool:
        """True if the chunked body has too many parts that are too small."""
        return (
            self.in_body
            and self._left_bytes is None
            and self._parts > FREE_PARTS
            and self._body_bytes < self._parts * LEAST_AVERAGE_BYTES
        )

    def start(self, data: bytes, position: int) -> int:
        """Return the position after line breaks that precede a head (RFC 9112, section 2.2), else ``position``."""
        if self.in_head or self.in_body or data[position] not in _END:
            return position
        return len(data) - len(data[position:].lstrip(_END))

    def end(self, data: bytes, position: int) -> int:
        """Return the end of the slice of ``data`` from ``position``: the next end of a head or body, or of ``data``."""
        if self.in_body and self._left_bytes is not None:
            return min(len(data), position + self._left_bytes)
        if self._tail:
            for length in (3, 2, 1):
                if self._tail.endswith(_END[:length]) and data.startswith(_END[length:], position):
                    self._tail = b""
                    return position + len(_END) - length
        index = data.find(_END, position)
        if index < 0:
            self._tail = (self._tail + data[max(position, len(data) - 3) :])[-3:]
            return len(data)
        self._tail = b""
        return index + len(_END)
