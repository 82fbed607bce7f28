"""Files that only their owner can read, and that are never opened through a link.

Windows has neither owners nor modes in this sense: there, a file has the permissions of its folder.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

import click

_PRIVATE_MODE = 0o600
# Windows lacks some of these flags, and O_BINARY exists only there.
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# It has no effect on plain files, but opening a planted pipe would block without it.
_NOT_BLOCKING = getattr(os, "O_NONBLOCK", 0)


def create_private(path: Path) -> BinaryIO:
    """Create ``path`` with access only for its owner, replacing a file of an earlier run. Raises OSError."""
    path.unlink(missing_ok=True)
    return _created(path)


def open_private(path: Path) -> BinaryIO:
    """Open what may be the file of an earlier run, unchanged, or create it with access only for its owner.

    Raises OSError and click.UsageError.
    """
    try:
        return _created(path)
    except FileExistsError:
        pass
    try:
        descriptor = os.open(path, _FLAGS | _NOT_BLOCKING)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise foreign(path) from None
        raise
    status = os.fstat(descriptor)
    if not _is_from_earlier_run(status):
        os.close(descriptor)
        raise foreign(path)
    return os.fdopen(descriptor, "r+b")


def make_private(file: BinaryIO) -> None:
    """Let only the owner read an open file."""
    if os.fstat(file.fileno()).st_mode & 0o077 and hasattr(os, "geteuid"):
        os.fchmod(file.fileno(), _PRIVATE_MODE)


def read_private(path: Path) -> bytes:
    """Return the content of an earlier run's file. Raises OSError and click.UsageError."""
    if not _is_from_earlier_run(path.lstat()):
        raise foreign(path)
    return path.read_bytes()


def foreign(path: Path) -> click.UsageError:
    """Return the error for a file that no earlier run of this user can have left."""
    return click.UsageError(f"{path} is a link or belongs to another user. Remove it, or choose another --output.")


def own_user() -> int:
    """Return the number of this process's user, as it is in the status of the user's files: always 0 on Windows."""
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _created(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, _PRIVATE_MODE), "w+b")


def _is_from_earlier_run(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid == own_user()
