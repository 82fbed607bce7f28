"""The unfinished file of an export and the mark beside it, which together survive any end of the process.

``FILE.partial`` grows page by page, and after each page ``FILE.partial.json`` is replaced by a mark that says how many
bytes of it are good and which cursor follows. What a kill leaves behind the mark is cut off by the next run. ``FILE``
itself appears at the end, whole.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

VERSION = 1

# Makes the finished file of a part, elsewhere than in its place.
Finisher = Callable[[Path, Path], None]


class Mark(msgspec.Struct, frozen=True):
    """How far an export is: rows and bytes that are good, the cursor of the last row, whether that was the end, and
    whether the upstream had promised more.

    ``question`` is a digest of what was asked and how it is written. No token, filter or name is in a mark.
    """

    question: str
    rows: int = 0
    size_bytes: int = 0
    cursor: str | None = None
    is_complete: bool = False
    is_incomplete: bool = False
    version: int = VERSION

    def after(
        self, size_bytes: int, *, rows: int, cursor: str | None, is_complete: bool, is_incomplete: bool = False
    ) -> Mark:
        """The mark behind one more page."""
        return Mark(self.question, self.rows + rows, self.size_bytes + size_bytes, cursor, is_complete, is_incomplete)


class PartFile:
    """The unfinished file; ``mark`` tells what is in it."""

    def __init__(self, path: Path, question: str, *, resume: bool = False, restart: bool = False) -> None:
        """Begin, or go on with ``resume``. Raises click.UsageError when an unfinished export is in the way."""
        self._path = path
        self._part = path.with_name(f"{path.name}.partial")
        self._mark_path = path.with_name(f"{path.name}.partial.json")
        self._file = self._locked()
        found = None if restart else self._found()
        if found is not None and not resume:
            raise click.UsageError(f"{self._part} is an unfinished export. Go on with --resume, or --restart it.")
        if found is not None and found.question != question:
            raise click.UsageError(
                f"{self._part} belongs to another question or format. Ask the same as before, or --restart."
            )
        self.mark = found or Mark(question)
        self._file.truncate(self.mark.size_bytes)
        self._file.seek(self.mark.size_bytes)

    def append(self, data: bytes, **progress: Any) -> None:
        """Add a page, and mark it as good once it is on the disk; ``progress`` as for :meth:`Mark.after`."""
        self._file.write(data)
        self._file.flush()
        os.fsync(self._file.fileno())
        self.mark = self.mark.after(len(data), **progress)
        beside = self._mark_path.with_name(f"{self._mark_path.name}.new")
        with beside.open("wb") as file:
            file.write(msgspec.json.encode(self.mark))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._mark_path)

    def finish(self, finisher: Finisher | None = None) -> None:
        """Put the file in its place at once, made of the part by ``finisher`` where there is one."""
        made = self._part
        if finisher is not None:
            made = self._path.with_name(f"{self._path.name}.partial.new")
            finisher(self._part, made)
            with made.open("rb") as file:
                os.fsync(file.fileno())
        made.replace(self._path)
        self._part.unlink(missing_ok=True)
        self._mark_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the part as it is for another run; none is left of what has no page yet."""
        if self.mark.cursor is None and not self.mark.is_complete:
            self._part.unlink(missing_ok=True)
        self._file.close()

    def _locked(self) -> BinaryIO:
        try:
            file = open(self._part, "ab+")  # noqa: SIM115  # it stays open for the lock's sake
        except OSError as error:
            raise click.UsageError(
                f"Cannot write {self._part}: {(error.strerror or 'no such file').lower()}."
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise click.UsageError(f"Another export is writing {self._part}.") from None
        return file

    def _found(self) -> Mark | None:
        """The mark of an unfinished export, None where there is none that can be gone on with."""
        try:
            mark = msgspec.json.decode(self._mark_path.read_bytes(), type=Mark)
        except (OSError, ValueError):
            return None
        is_whole = os.fstat(self._file.fileno()).st_size >= mark.size_bytes
        return mark if mark.version == VERSION and is_whole else None
