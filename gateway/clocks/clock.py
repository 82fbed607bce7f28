"""Clock: the monotonic and the wall clock of this process."""

from __future__ import annotations

import time

# The monotonic clocks of Linux and macOS that keep running while the machine is suspended. With any other clock, rows
# cached by a laptop would still be fresh the next morning. On Windows, time.monotonic keeps running.
_CLOCK_ID = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


class Clock:
    """The time in seconds.

    Durations inside the process are measured with ``monotonic``, whose start is arbitrary. ``wall`` counts from 1970,
    may be wrong and may jump, so it is compared only with times from other processes and the upstream.
    """

    __slots__ = ()

    def monotonic(self) -> float:
        return time.monotonic() if _CLOCK_ID is None else time.clock_gettime(_CLOCK_ID)

    def wall(self) -> float:
        return time.time()


SYSTEM_CLOCK = Clock()
