"""Clock: the time of this process, by two clocks."""

from __future__ import annotations

import time

# Linux's and macOS' monotonic clocks that go on while the machine is suspended. Otherwise rows cached by a laptop would
# still be fresh the next morning. Windows has none, and its time.monotonic goes on anyway.
_CLOCK_ID = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


class Clock:
    """The time in seconds.

    Everything inside the process is measured with ``monotonic``, whose start is arbitrary. ``wall`` counts from 1970,
    may be wrong, and may jump; it is only compared with times from outside.
    """

    __slots__ = ()

    def monotonic(self) -> float:
        return time.monotonic() if _CLOCK_ID is None else time.clock_gettime(_CLOCK_ID)

    def wall(self) -> float:
        return time.time()


SYSTEM_CLOCK = Clock()
