"""The target of ``--output``: a plain file, which an export replaces, or a stream, which it only writes to.

Symbolic links are followed and never replaced. In a folder where everyone may write, another user's link, file or pipe
is refused, as Linux does (proc_sys_fs(5), protected_symlinks and protected_regular).
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import click

from gateway.cli.export.private_file import own_user

# path_resolution(7): the most links that Linux follows.
MAX_LINKS = 40

STDOUT_DESCRIPTOR = 1

# /dev/stdout and /dev/fd/1 are links to these.
_DESCRIPTOR = re.compile(r"/(?:proc/(\d+)(?:/task/\d+)?|dev)/fd/(\d+)")

_NO_TARGETS: Mapping[int, str] = {
    stat.S_IFDIR: "a directory",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
}
_STREAMS = frozenset({stat.S_IFIFO, stat.S_IFCHR})

# Windows lacks the last two.
_STREAM_FLAGS = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NOCTTY", 0)

_CHOOSE = "Remove it, or choose another --output."


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A plain file at the end of all links, or the path for a new one."""

    path: Path

    @property
    def name(self) -> str:
        """The file's name, whose ending sets the format."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class OutputStream:
    """A pipe or a character device by its path, or an open descriptor of this process by its number."""

    place: Path | int

    @property
    def name(self) -> str:
        """The path's last part; descriptors have none."""
        return "" if isinstance(self.place, int) else self.place.name

    def open(self) -> FileIO:
        """Open the stream without a buffer, waiting until a named pipe is read. Raises OSError and click.UsageError."""
        if isinstance(self.place, int):
            if self.place == STDOUT_DESCRIPTOR and sys.__stdout__ is None:
                # Another file may have its number now.
                raise click.UsageError("Standard output is closed. Use --output.")
            return FileIO(os.dup(self.place), "wb")
        # Do not create or truncate: it must still be the pipe or device that ``output_at`` examined.
        file = FileIO(os.open(self.place, _STREAM_FLAGS), "wb")
        if stat.S_IFMT(os.fstat(file.fileno()).st_mode) not in _STREAMS:
            file.close()
            raise click.UsageError(f"{self.place} was replaced meanwhile. Try again.")
        return file


STDOUT = OutputStream(STDOUT_DESCRIPTOR)


def output_at(text: str | None) -> OutputFile | OutputStream:
    """Return the target that ``text`` names; None and ``-`` are standard output. Raises click.UsageError."""
    if text in (None, "-"):
        return STDOUT
    if not text or text.endswith((os.sep, os.altsep or os.sep)):
        raise click.UsageError("--output must be the name of a file.")
    try:
        place = _followed(Path(text))
        return OutputStream(place) if isinstance(place, int) else _output(place)
    except OSError as error:
        raise click.UsageError(f"Cannot write {text}: {(error.strerror or 'no reason given').lower()}.") from None


def _output(path: Path) -> OutputFile | OutputStream:
    try:
        kind = stat.S_IFMT(path.lstat().st_mode)
    except FileNotFoundError:
        return OutputFile(path)
    if kind in _NO_TARGETS:
        raise click.UsageError(f"{path} is {_NO_TARGETS[kind]}. Choose a file, a named pipe or a character device.")
    if _may_be_planted(path):
        raise click.UsageError(f"{path} belongs to another user, in a folder where everyone may write. {_CHOOSE}")
    if not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise click.UsageError(f"{path} may not be written. Change its mode, or choose another --output.")
    return OutputStream(path) if kind in _STREAMS else OutputFile(path)


def _may_be_planted(path: Path) -> bool:
    folder = path.parent.stat()
    return bool(folder.st_mode & stat.S_IWOTH) and path.lstat().st_uid not in (own_user(), folder.st_uid)


def _followed(path: Path) -> Path | int:
    """Follow all links of a path: return the last path, or the number of an open descriptor."""
    for _ in range(MAX_LINKS + 1):
        path = Path(os.path.realpath(path.parent), path.name)
        if match := _DESCRIPTOR.fullmatch(str(path)):
            return _own_descriptor(match, path)
        if not path.is_symlink():
            return path
        if _may_be_planted(path):
            raise click.UsageError(f"{path} is another user's link, in a folder where everyone may write. {_CHOOSE}")
        path = path.parent / path.readlink()
    raise click.UsageError(f"{path} is a symbolic link to itself. {_CHOOSE}")


def _own_descriptor(match: re.Match[str], path: Path) -> int:
    if match[1] not in (None, str(os.getpid())):
        raise click.UsageError(f"{path} belongs to another process. Choose another --output.")
    return int(match[2])
