"""How much of what was sent a client has not read."""

from __future__ import annotations

import array
import sys
from typing import Any

if sys.platform == "linux":
    import fcntl
    import termios

    def unread_bytes(transport: Any) -> int:
        """Return the bytes that the client's system has not acknowledged, those in the kernel included (tcp(7)).

        The kernel takes up to 4 MB at once, so a slow client would otherwise look like one that does not read.
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
        """Return the bytes that the kernel has not taken."""
        return int(transport.get_write_buffer_size())
