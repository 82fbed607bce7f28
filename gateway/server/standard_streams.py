"""Standard streams that the caller has closed, as in ``gateway 2>&-`` and in some service managers."""

from __future__ import annotations

import os
import sys


def open_standard_streams() -> None:
    """Open the null device in place of every closed standard stream.

    Otherwise the next sockets and files would get the numbers 0 to 2. Then libuv aborts when it closes one of them, and
    log messages are written to a connection.
    """
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:  # the lowest free number is always the next
        os.set_inheritable(number, True)
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
    # Python has set the closed streams to None. Never close the new files, so that their numbers stay in use.
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False, encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
