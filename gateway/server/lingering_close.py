"""Closing a connection without losing the last response.

Closing a socket that has unread input resets the connection, and the client loses what it has not read yet.
So the server first closes its sending side, then reads and discards until the client closes (RFC 9112, section 9.6).

The opposite holds for an unfinished response whose end is the end of the connection: the client must not take an
orderly end for the end of the response. The kernel resets such a connection however it ends, also by a crash or kill.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from typing import Any

# Time for the client to close after it has read the last response: a few round trips. nginx's lingering_timeout is 5.
LINGER_SECONDS = 1.0

# The longest time for the client to read the rest of the last response; then the connection is reset.
LAST_READ_SECONDS = 30.0

# Values of SO_LINGER; see socket(7), and LINGER in Windows' winsock.h. On, with a time of 0: close(2) resets the
# connection, as does the process's end. Off, the default: the kernel sends the rest, then closes.
_LINGER = "HH" if sys.platform == "win32" else "ii"
_RESET = struct.pack(_LINGER, 1, 0)
_SEND_REST = struct.pack(_LINGER, 0, 0)


class LingeringTransport:
    """A transport whose ``close`` first closes the sending side. Later writes are discarded."""

    __slots__ = (
        "_is_closing",
        "_is_whole",
        "_loop",
        "_timer",
        "_transport",
        "get_extra_info",
        "get_write_buffer_size",
        "pause_reading",
        "set_write_buffer_limits",
        "write",
        "writelines",
    )

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False
        # Set while the end of the connection resets it.
        self._is_whole: Callable[[], bool] | None = None
        self.write: Any = transport.write
        self.writelines: Any = transport.writelines
        self.pause_reading = transport.pause_reading
        self.get_extra_info = transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.set_write_buffer_limits = transport.set_write_buffer_limits

    def is_closing(self) -> bool:
        """Return whether the connection is closed, or will be."""
        return self._is_closing or self._transport.is_closing()

    def resume_reading(self) -> None:
        """Continue reading, unless the connection is gone."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def reset_unless(self, is_whole: Callable[[], bool]) -> None:
        """Let any end of the connection reset it, unless ``is_whole`` returns True and the kernel has all data."""
        self._is_whole = is_whole
        self._set_linger(_RESET)

    def close(self) -> None:
        """Close when the client closes; after a second, close as soon as everything is sent.

        Reset the connection instead if its response is unfinished and must not end normally.
        """
        if self.is_closing():
            return
        if self._is_whole is not None:
            if not self._is_whole():
                self.abort()
                return
            # Resume writing only when the kernel has everything.
            self._transport.set_write_buffer_limits(high=0)
            self.drained()
        self._is_closing = True
        self.write = self.writelines = self.pause_reading = _discard
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._timer = self._loop.call_later(LINGER_SECONDS, self._lingered)

    def abort(self) -> None:
        """Reset the connection, and discard what the client has not read."""
        self._is_closing = True
        self.write = self.writelines = _discard
        self.ended()
        # Otherwise the kernel would keep up to 4 MB of the response, and continue trying to send it.
        self._set_linger(_RESET)
        self._transport.abort()

    def drained(self) -> None:
        """Let the connection end normally, if the kernel has all of a whole response."""
        if self._is_whole is not None and self._is_whole() and not self._transport.get_write_buffer_size():
            self._is_whole = None
            self._set_linger(_SEND_REST)

    def ended(self) -> None:
        """Stop lingering, because the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_linger(self, value: bytes) -> None:
        connection = self._transport.get_extra_info("socket")
        if connection is not None and connection.fileno() >= 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, value)

    def _lingered(self) -> None:
        if self._transport.get_write_buffer_size():
            self._timer = self._loop.call_later(LAST_READ_SECONDS, self.abort)
        self._transport.close()


def _discard(data: bytes | Iterable[bytes] = b"") -> None:
    """Replace a method of a closing transport, and do nothing."""
