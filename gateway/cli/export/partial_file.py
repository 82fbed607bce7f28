"""Where an export writes: standard output, or a partial file with a resume point, which survive a kill at any moment.

``FILE.partial`` grows page by page. After each page, ``FILE.partial.json`` is replaced by a resume point: the number of
valid bytes and the cursor of the last row. The next run truncates whatever a kill left after the valid bytes. ``FILE``
itself appears only at the end, complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

VERSION = 1

# Converts the partial file (first path) into the finished file (second path).
Finisher = Callable[[Path, Path], None]


def request_digest(*parts: Any) -> str:
    """Return the digest that identifies an export without revealing its ``parts``."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


@dataclass(frozen=True, slots=True)
class Step:
    """Some complete rows as bytes. ``cursor`` identifies the last of them; ``total`` is that of all rows, if known."""

    data: bytes
    rows: int
    cursor: str | None
    is_complete: bool = False
    is_incomplete: bool = False
    total: int | None = None


class ResumePoint(msgspec.Struct, frozen=True):
    """Progress of an export: valid rows and bytes, the cursor of the last row, whether that was the last page, and
    whether the upstream had announced more rows.

    ``request_digest`` identifies operation, variables and format. A resume point holds no token, filter or name.
    """

    request_digest: str = msgspec.field(name="question")
    rows: int = 0
    size_bytes: int = 0
    cursor: str | None = None
    is_complete: bool = False
    is_incomplete: bool = False
    version: int = VERSION

    def after(self, step: Step) -> ResumePoint:
        rows, size_bytes = self.rows + step.rows, self.size_bytes + len(step.data)
        return ResumePoint(self.request_digest, rows, size_bytes, step.cursor, step.is_complete, step.is_incomplete)


class PartialFile:
    """The file that an unfinished export writes to; ``resume_point`` describes its valid content."""

    def __init__(self, path: Path, request_digest: str, *, resume: bool = False, restart: bool = False) -> None:
        """Start, or continue with ``resume``. Raises click.UsageError if another unfinished export is in the way."""
        self._path = path
        self._partial_path = path.with_name(f"{path.name}.partial")
        self._resume_path = path.with_name(f"{path.name}.partial.json")
        self._file = self._open_locked()
        previous = None if restart else self._read_resume_point()
        if previous is not None and not resume:
            raise click.UsageError(
                f"{self._partial_path} is an unfinished export. Continue it with --resume, or discard it with"
                " --restart."
            )
        if previous is not None and previous.request_digest != request_digest:
            raise click.UsageError(
                f"{self._partial_path} belongs to another operation or format. Repeat the original options, or use"
                " --restart."
            )
        self.resume_point = previous or ResumePoint(request_digest)
        self._file.truncate(self.resume_point.size_bytes)
        self._file.seek(self.resume_point.size_bytes)

    def append(self, step: Step) -> None:
        """Write a step to disk, then update the resume point."""
        self._file.write(step.data)
        self._file.flush()
        os.fsync(self._file.fileno())
        self.resume_point = self.resume_point.after(step)
        new_path = self._resume_path.with_name(f"{self._resume_path.name}.new")
        with new_path.open("wb") as file:
            file.write(msgspec.json.encode(self.resume_point))
            file.flush()
            os.fsync(file.fileno())
        new_path.replace(self._resume_path)

    def finish(self, finisher: Finisher | None = None) -> None:
        """Move the file to its final path atomically, converted by ``finisher`` if there is one."""
        finished = self._partial_path
        if finisher is not None:
            finished = self._path.with_name(f"{self._path.name}.partial.new")
            finisher(self._partial_path, finished)
            with finished.open("rb") as file:
                os.fsync(file.fileno())
        finished.replace(self._path)
        self._partial_path.unlink(missing_ok=True)
        self._resume_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the partial file and keep it for another run, or delete it if it holds no page yet."""
        if self.resume_point.cursor is None and not self.resume_point.is_complete:
            self._partial_path.unlink(missing_ok=True)
        self._file.close()

    def _open_locked(self) -> BinaryIO:
        try:
            file = open(self._partial_path, "ab+")  # noqa: SIM115  # stays open, because closing would unlock it
        except OSError as error:
            raise click.UsageError(
                f"Cannot write {self._partial_path}: {(error.strerror or 'no such file').lower()}."
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise click.UsageError(
                f"Another export is writing {self._partial_path}. Wait for it, or choose another --output."
            ) from None
        return file

    def _read_resume_point(self) -> ResumePoint | None:
        """Return the resume point of an unfinished export, or None if there is none that can be continued."""
        try:
            resume_point = msgspec.json.decode(self._resume_path.read_bytes(), type=ResumePoint)
        except (OSError, ValueError):
            return None
        has_all_bytes = os.fstat(self._file.fileno()).st_size >= resume_point.size_bytes
        return resume_point if resume_point.version == VERSION and has_all_bytes else None


class StandardOutput:
    """Standard output as the target of an export, which cannot be resumed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.resume_point = ResumePoint("")

    def append(self, step: Step) -> None:
        self._stream.write(step.data)
        self._stream.flush()
        self.resume_point = self.resume_point.after(step)

    def finish(self, finisher: Finisher | None = None) -> None:
        """Do nothing: every step is already written."""

    def close(self) -> None:
        """Do nothing: standard output stays open."""
