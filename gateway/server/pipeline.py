"""Bytes that arrive before their turn: requests that a client sends before it has the previous response."""

from __future__ import annotations

from uvicorn.protocols.http.flow_control import FlowControl

# Reading stops at this many bytes (our choice: the largest head). One read may exceed it, by at most 256 kB.
PIPELINE_BYTES = 65_536


class HeldFlow(FlowControl):
    """Flow control that does not resume reading while it is held."""

    is_held = False

    def hold(self) -> None:
        """Stop reading until ``release``."""
        self.is_held = True
        self.pause_reading()

    def release(self) -> None:
        """Resume reading."""
        self.is_held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        """Resume reading unless it is held."""
        if not self.is_held:
            super().resume_reading()


class Pipeline:
    """Unparsed bytes after a request that is being answered. Too many of them stop reading."""

    __slots__ = ("_data", "_flow", "_position")

    def __init__(self, flow: HeldFlow) -> None:
        self._flow = flow
        self._data = b""
        self._position = 0

    def __len__(self) -> int:
        return len(self._data) - self._position

    @property
    def held_bytes(self) -> int:
        """The memory that the bytes take: all of the last read, also what was parsed of it."""
        return len(self._data)

    def put(self, data: bytes, position: int) -> None:
        """Append ``data`` from ``position`` on."""
        if self:
            self._data = self._data[self._position :] + data[position:]
            self._position = 0
        else:
            # Do not copy: one piece may hold thousands of requests, and the rest is put back after each of them.
            self._data, self._position = data, position
        if len(self) > PIPELINE_BYTES:
            self._flow.hold()

    def take(self) -> tuple[bytes, int]:
        """Remove everything: return the bytes, and the position where they start."""
        data, position = self._data, self._position
        self._data, self._position = b"", 0
        return data, position
