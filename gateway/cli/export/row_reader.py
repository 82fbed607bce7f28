"""The rows of a gateway's export endpoint; a broken response is continued behind its last complete row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import msgspec

from gateway.cli.export.exit_codes import ExportFailed
from gateway.cli.export.partial_file import ResumePoint
from gateway.cli.export.retries import BROKEN, UNREACHABLE, ErrorPayload, ExportRetries, ProgressListener
from gateway.page import INCOMPLETE


class Get(Protocol):
    """Sends one GET request. Raises httpx.TransportError."""

    def __call__(self, path: str, parameters: Mapping[str, str]) -> AbstractAsyncContextManager[httpx.Response]:
        """Open the response, whose body is read while it arrives."""
        ...


class Target(Protocol):
    """Receives complete rows."""

    resume_point: ResumePoint

    def append(self, data: bytes, **progress: Any) -> None:
        """Write rows and update the resume point."""
        ...


class RowProgress(ProgressListener, Protocol):
    """Shows the number of rows as well."""

    def show(self, rows: int, total: int | None) -> None:
        """Show the number of rows written so far."""
        ...


class _ErrorsPayload(msgspec.Struct):
    errors: list[ErrorPayload] = []


@dataclass(slots=True)
class RowReader:
    """Writes the rows of one export to a target, at most ``step_rows`` at a time."""

    get: Get
    path: str
    parameters: Mapping[str, str]
    step_rows: int
    progress: RowProgress

    async def write(self, target: Target) -> None:
        """Write all rows behind the target's resume point. Raises ExportEnded."""
        retries = ExportRetries(self.progress)
        while not target.resume_point.is_complete:
            rows = target.resume_point.rows
            error = await self._attempt(target)
            if target.resume_point.rows > rows:
                retries = ExportRetries(self.progress)
            if error is not None:
                await retries.wait(error)

    async def _attempt(self, target: Target) -> ErrorPayload | None:
        point = target.resume_point
        parameters = {**self.parameters, "incomplete": "1"}
        if point.cursor is not None:
            parameters |= {"offset": str(point.rows), "snapshot": point.cursor}
        try:
            async with self.get(self.path, parameters) as response:
                if response.status_code != 200:
                    return _error(response.status_code, await response.aread())
                return await self._write_response(response, target)
        except (httpx.TransportError, httpx.DecodingError):
            return UNREACHABLE

    async def _write_response(self, response: httpx.Response, target: Target) -> ErrorPayload | None:
        snapshot = response.headers.get("x-snapshot")
        if snapshot is None:
            raise ExportFailed("The response did not come from a gateway of this version. Check --url.")
        total = response.headers.get("x-total-count", "")
        is_csv = self.path.endswith(".csv")
        splitter = RowSplitter(self.step_rows, is_csv=is_csv, has_header=is_csv and target.resume_point.cursor is None)
        warnings = [code for code in response.headers.get("x-warnings", "").split(", ") if code]
        for code in warnings:
            self.progress.note(f"The gateway warns: {code}.")

        def write(data: bytes, rows: int, *, is_complete: bool = False) -> None:
            is_incomplete = INCOMPLETE.code in warnings
            target.append(data, rows=rows, cursor=snapshot, is_complete=is_complete, is_incomplete=is_incomplete)
            self.progress.show(target.resume_point.rows, int(total) if total.isdecimal() else None)

        try:
            async for data in response.aiter_bytes():
                for step, rows in splitter.steps(data):
                    write(step, rows)
        except (httpx.TransportError, httpx.DecodingError):
            rest, rows = splitter.rest()
            if rows:
                write(rest, rows)
            return BROKEN
        write(*splitter.rest(), is_complete=True)
        return None


class RowSplitter:
    """Cuts a stream of rows into steps of complete rows. A CSV cell in quotes may contain line ends."""

    def __init__(self, step_rows: int, *, is_csv: bool, has_header: bool) -> None:
        self._step_rows = step_rows
        self._end = b"\r\n" if is_csv else b"\n"
        self._is_csv = is_csv
        # The header is no row.
        self._rows = -1 if has_header else 0
        self._lines: list[bytes] = []
        self._complete_lines = 0
        self._is_quoted = False
        self._tail = b""

    def steps(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield bytes and number of rows of each full step."""
        *lines, self._tail = (self._tail + data).split(self._end)
        for line in lines:
            self._lines.append(line)
            if self._is_csv and line.count(b'"') % 2:
                self._is_quoted = not self._is_quoted
            if self._is_quoted:
                continue
            self._rows += 1
            self._complete_lines = len(self._lines)
            if self._rows == self._step_rows:
                yield self.rest()

    def rest(self) -> tuple[bytes, int]:
        """Return bytes and number of the complete rows that are left."""
        lines = self._lines[: self._complete_lines]
        del self._lines[: self._complete_lines]
        rows, self._rows, self._complete_lines = max(0, self._rows), 0, 0
        return b"".join(line + self._end for line in lines), rows


def _error(status: int, body: bytes) -> ErrorPayload:
    try:
        (error, *_) = msgspec.json.decode(body, type=_ErrorsPayload).errors
    except ValueError:
        raise ExportFailed(f"The response with status {status} did not come from a gateway. Check --url.") from None
    return error
