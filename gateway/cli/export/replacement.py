"""Replace the target by a finished file. An existing target keeps its names, owner, mode and access control list."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import click

from gateway.cli.export.file_lock import let_go

# acl(5): the access control list of Linux's file systems.
_ACL = "system.posix_acl_access"

# Windows lacks all but the first; O_BINARY exists only there.
_FLAGS = os.O_WRONLY
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def replace_file(source: BinaryIO, source_path: Path, target: Path) -> None:
    """Move ``source`` to ``target`` atomically, or overwrite an existing file that would lose names or attributes.

    On Windows, ``source`` is closed then. Raises OSError, and click.UsageError if ``target`` has become something other
    than a plain file.
    """
    existing = _plain_file(target)
    if existing is None:
        let_go(source)
        source_path.replace(target)
    elif not _protect(source, target, existing) or not _is_moved(source_path, target):
        _overwrite(source, target)
        let_go(source)
        source_path.unlink()


def _is_moved(source_path: Path, target: Path) -> bool:
    try:
        source_path.replace(target)
    except OSError:
        # For example, no other file can get the name of a file that is mounted into a container.
        return False
    return True


def _plain_file(target: Path) -> os.stat_result | None:
    try:
        status = target.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise click.UsageError(f"{target} is no longer a file. Remove it, then use --resume to continue.")
    return status


def _protect(source: BinaryIO, target: Path, existing: os.stat_result) -> bool:
    """Give ``source`` the owner, mode and attributes of ``target``. Return False if a replacement would lose any."""
    descriptor = source.fileno()
    # Systems other than Linux have access control lists that Python cannot copy.
    if existing.st_nlink > 1 or not hasattr(os, "listxattr"):
        return False
    try:
        os.fchown(descriptor, existing.st_uid, existing.st_gid)
        _copy_attributes(descriptor, target)
        # Set the mode last, because a change of the owner resets some of its bits.
        os.fchmod(descriptor, stat.S_IMODE(existing.st_mode))
    except OSError:
        return False
    return True


def _copy_attributes(descriptor: int, target: Path) -> None:
    wanted, own = _attributes(target), _attributes(descriptor)
    # A new file inherits the access control list of its folder.
    if _ACL in own and _ACL not in wanted:
        os.removexattr(descriptor, _ACL)
    for name, value in wanted.items():
        if own.get(name) != value:
            os.setxattr(descriptor, name, value)


def _attributes(file: Path | int) -> dict[str, bytes]:
    try:
        return {name: os.getxattr(file, name) for name in os.listxattr(file)}
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise


def _overwrite(source: BinaryIO, target: Path) -> None:
    descriptor = os.open(target, _FLAGS)
    with os.fdopen(descriptor, "wb") as file:
        size_bytes = os.fstat(source.fileno()).st_size
        _reserve(descriptor, size_bytes)
        source.seek(0)
        shutil.copyfileobj(source, file)
        file.flush()
        os.ftruncate(descriptor, size_bytes)
        os.fsync(descriptor)


def _reserve(descriptor: int, size_bytes: int) -> None:
    """Allocate the space before anything is overwritten. Raises OSError if the disk is full."""
    old_size_bytes = os.fstat(descriptor).st_size
    if not size_bytes or not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except OSError as error:
        # Ignore other errors: some file systems cannot reserve space.
        if error.errno in _NO_ROOM:
            with suppress(OSError):
                os.ftruncate(descriptor, old_size_bytes)
            raise
