"""Disconnecting clients that do not read their responses, which stay in memory meanwhile."""

from __future__ import annotations

import array
import asyncio
import sys
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The time between two checks of whether the client reads, because an unread response stays in memory. A client that
# stops right after a check is disconnected two intervals later: within the 60 seconds of nginx's send_timeout.
STALL_SECONDS = 30.0

if sys.platform == "linux":
    import fcntl
    import termios

    def unread_bytes(transport: Any) -> int:
        """Return the bytes that the client's system has not acknowledged, including those in the kernel (tcp(7)).

        The kernel buffers up to 4 MB. Without it, a slow client would look like one that does not read.
        """
        waiting_bytes = int(transport.get_write_buffer_size())
        connection = transport.get_extra_info("socket")
        if connection is None or connection.fileno() < 0:
            return waiting_bytes
        queued_bytes = array.array("i", [0])
        # SIOCOUTQ has the number of TIOCOUTQ.
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, queued_bytes)
        return waiting_bytes + queued_bytes[0]

else:

    def unread_bytes(transport: Any) -> int:
        """Return the bytes that the kernel has not accepted."""
        return int(transport.get_write_buffer_size())


class ReaderWatchingProtocol(HttpToolsProtocol):
    """HTTP protocol that resets a connection whose client has read nothing between two checks.

    It checks while the write buffer is full, and while part of a complete response waits for the kernel.
    """

    stall_seconds = STALL_SECONDS
    transport: Any

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._stall_timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._cancel_stall_timer()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Start the stall timer if part of the response waits."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size() and not self.transport.is_closing():
            self._await_reading()

    def pause_writing(self) -> None:
        """Start the stall timer: the client reads more slowly than the response is written."""
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        """Cancel the stall timer: the client has read most of the response."""
        super().resume_writing()
        self._cancel_stall_timer()

    def _await_reading(self) -> None:
        self._cancel_stall_timer()
        self._stall_timer = self.loop.call_later(self.stall_seconds, self._reading_is_due, self.unread_bytes)

    @property
    def unread_bytes(self) -> int:
        """Bytes of responses that the client has not read."""
        return unread_bytes(self.transport)

    def _reading_is_due(self, unread_bytes: int) -> None:
        left_bytes = self.unread_bytes
        if left_bytes >= unread_bytes:
            self.transport.abort()
        elif left_bytes:
            self._await_reading()

    def _cancel_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
