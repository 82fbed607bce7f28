"""Locks on open files, which end with the process at the latest."""

from __future__ import annotations

import sys
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt
    import os

    # Windows forbids other processes to read or write locked bytes. The C runtime's lock takes offsets below 2 GiB; no
    # byte needs to exist there.
    _LOCKED_BYTE = 2**31 - 2

    def lock(file: BinaryIO) -> None:
        """Lock a file that was just opened, until it is closed. Raises OSError if another process has locked it."""
        os.lseek(file.fileno(), _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(file.fileno(), 0, os.SEEK_SET)

    def let_go(file: BinaryIO) -> None:
        """Close ``file``, because Windows moves and deletes no open file."""
        file.close()

else:
    import fcntl

    def lock(file: BinaryIO) -> None:
        """Lock ``file`` until it is closed. Raises OSError if another process has locked it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def let_go(file: BinaryIO) -> None:
        """Do nothing: an open file can be moved and deleted, and its lock holds meanwhile."""


__all__ = ["let_go", "lock"]
