"""Targets of an export: a stream, or a partial file with a resume point, which survive a kill at any moment.

``FILE.partial`` grows page by page. Before the first page and after each one, ``FILE.partial.json`` is replaced by a
resume point: the number of valid bytes and the cursor of the last row. The next run truncates the file to its valid
bytes. So a file with content and without a resume point is no unfinished export, and stays as it is. ``FILE`` itself
appears or changes only at the end. Only the owner can read the other files.
"""

from __future__ import annotations

import hashlib
import os
import select
from collections.abc import Callable
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from gateway.cli.export.file_lock import let_go, lock
from gateway.cli.export.private_file import create_private, make_private, open_private, read_private
from gateway.cli.export.replacement import replace_file

VERSION = 2

# Converts the partial file (the first one) into the finished file (the second one).
Finisher = Callable[[BinaryIO, BinaryIO], None]


def request_digest(*parts: Any) -> str:
    """Return the digest that identifies an export without revealing its ``parts``."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


@dataclass(frozen=True, slots=True)
class Step:
    """Some complete rows as bytes. ``cursor`` identifies the last one; ``total`` is that of all rows, if known."""

    data: bytes
    rows: int
    cursor: str | None
    is_complete: bool = False
    is_incomplete: bool = False
    total: int | None = None


class ResumePoint(msgspec.Struct, frozen=True):
    """Progress of an export: valid rows and bytes, the cursor of the last row, whether that was the last page, and
    whether the upstream had announced more rows.

    ``request_digest`` identifies operation, variables and format, ``source_digest`` the source of the rows, and
    ``tenant_digest`` the token's tenant, if that is readable. A resume point holds no token, filter or name.
    """

    request_digest: str = msgspec.field(name="question")
    source_digest: str = ""
    tenant_digest: str | None = None
    rows: int = 0
    size_bytes: int = 0
    cursor: str | None = None
    is_complete: bool = False
    is_incomplete: bool = False
    version: int = VERSION

    @property
    def has_page(self) -> bool:
        return self.cursor is not None or self.is_complete

    def after(self, step: Step) -> ResumePoint:
        return msgspec.structs.replace(
            self,
            rows=self.rows + step.rows,
            size_bytes=self.size_bytes + len(step.data),
            cursor=step.cursor,
            is_complete=step.is_complete,
            is_incomplete=step.is_incomplete,
        )

    def continued_by(self, start: ResumePoint) -> ResumePoint:
        """Return the resume point for a run that begins with ``start``. Raises ValueError for a different export."""
        if self.request_digest != start.request_digest:
            raise ValueError("operation or format. Repeat the original options")
        if self.source_digest != start.source_digest:
            raise ValueError("upstream or gateway. Repeat the original --url or --upstream, and settings")
        if None not in (self.tenant_digest, start.tenant_digest) and self.tenant_digest != start.tenant_digest:
            raise ValueError("tenant's token. Get a token of that tenant")
        return msgspec.structs.replace(self, tenant_digest=self.tenant_digest or start.tenant_digest)


class PartialFile:
    """The file that an unfinished export writes to; ``resume_point`` describes its valid content."""

    # False: a write to a disk ends by itself, so Ctrl-C need not interrupt it.
    is_blocked = False

    def __init__(self, path: Path, start: ResumePoint, *, resume: bool = False, restart: bool = False) -> None:
        """Start, or continue with ``resume``. Raises click.UsageError if another unfinished export is in the way."""
        self._path = path
        self._partial_path = path.with_name(f"{path.name}.partial")
        self._resume_path = path.with_name(f"{path.name}.partial.json")
        self._file = self._open_locked()
        previous = None if restart else self._previous()
        if previous is not None and not resume:
            raise click.UsageError(
                f"{self._partial_path} is an unfinished export. Continue it with --resume, or discard it with"
                " --restart."
            )
        try:
            self.resume_point = start if previous is None else previous.continued_by(start)
        except ValueError as error:
            raise click.UsageError(f"{self._partial_path} belongs to another {error}, or use --restart.") from None
        make_private(self._file)
        self._write_resume_point()
        self._file.truncate(self.resume_point.size_bytes)
        self._file.seek(self.resume_point.size_bytes)

    def append(self, step: Step) -> None:
        """Write a step to disk, then update the resume point."""
        self._file.write(step.data)
        _sync(self._file)
        self.resume_point = self.resume_point.after(step)
        self._write_resume_point()

    def _write_resume_point(self) -> None:
        new_path = self._resume_path.with_name(f"{self._resume_path.name}.new")
        with create_private(new_path) as file:
            file.write(msgspec.json.encode(self.resume_point))
            _sync(file)
        new_path.replace(self._resume_path)

    def finish(self, finisher: Finisher | None = None) -> None:
        """Move the file to its final path, converted by ``finisher`` if there is one."""
        if finisher is None:
            replace_file(self._file, self._partial_path, self._path)
        else:
            finished_path = self._path.with_name(f"{self._path.name}.partial.new")
            with create_private(finished_path) as finished:
                self._file.seek(0)
                finisher(self._file, finished)
                _sync(finished)
                replace_file(finished, finished_path, self._path)
        let_go(self._file)
        self._partial_path.unlink(missing_ok=True)
        self._resume_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the partial file and keep it for another run, or delete it if it holds no page yet."""
        let_go(self._file)
        if not self.resume_point.has_page:
            self._partial_path.unlink(missing_ok=True)
            self._resume_path.unlink(missing_ok=True)
        self._file.close()

    def _open_locked(self) -> BinaryIO:
        try:
            file = open_private(self._partial_path)
        except OSError as error:
            raise click.UsageError(
                f"Cannot write {self._partial_path}: {(error.strerror or 'no such file').lower()}."
            ) from None
        try:
            lock(file)
            # The file is gone if another export ended after this one had opened it.
            if not os.path.samestat(os.fstat(file.fileno()), self._partial_path.lstat()):
                raise BlockingIOError
        except OSError:
            file.close()
            raise click.UsageError(
                f"Another export is writing {self._partial_path}. Wait for it, or choose another --output."
            ) from None
        return file

    def _previous(self) -> ResumePoint | None:
        """Return the resume point of an unfinished export, or None if no page was written.

        Raises click.UsageError for a file whose content no unfinished export can have left.
        """
        size_bytes = os.fstat(self._file.fileno()).st_size
        point, is_foreign = None, False
        try:
            point = msgspec.json.decode(read_private(self._resume_path), type=ResumePoint)
        except FileNotFoundError:
            pass
        except (OSError, ValueError):
            is_foreign = True
        if point is not None and point.version == VERSION and point.size_bytes <= size_bytes:
            return point if point.has_page else None
        if size_bytes or is_foreign:
            unknown = self._resume_path if is_foreign else self._partial_path
            raise click.UsageError(
                f"{unknown} has content, but no resume point that fits. If it is not needed, discard it with"
                " --restart. Otherwise move it, or choose another --output."
            )
        return None


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


class StreamTarget:
    """An unbuffered stream as the target of an export, which cannot be resumed."""

    def __init__(self, stream: RawIOBase | BinaryIO) -> None:
        self._stream = stream
        self.is_blocked = False
        self.is_empty = True
        self.resume_point = ResumePoint("")

    def append(self, step: Step) -> None:
        self.write(step.data)
        self.resume_point = self.resume_point.after(step)

    def write(self, data: bytes) -> None:
        """Write all of ``data``. ``is_blocked`` is true during the write, which may never end if nobody reads."""
        unwritten = memoryview(data)
        self.is_blocked, self.is_empty = True, False
        try:
            while unwritten:
                written = self._stream.write(unwritten)
                if written is None:
                    # Another program has made this descriptor non-blocking.
                    select.select([], [self._stream], [])
                unwritten = unwritten[written or 0 :]
        finally:
            self.is_blocked = False

    def finish(self, finisher: Finisher | None = None) -> None:
        """Do nothing: every step is already written."""

    def close(self) -> None:
        """Do nothing: the stream is closed where it was opened."""
