"""One export, from its first page or its resume point to the finished file."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import msgspec

from gateway.cli.export.exit_codes import DataChanged, ExportEnded, ExportIncomplete, ExportStopped
from gateway.cli.export.formats import FileFormat
from gateway.cli.export.gateway_client import GatewayClient
from gateway.cli.export.paginator import Paginator
from gateway.cli.export.partial_file import Finisher, PartialFile, ResumePoint
from gateway.cli.export.progress import Progress
from gateway.cli.export.row_reader import RowReader

if TYPE_CHECKING:
    from schema.export.document import ExportDocument


class ExportSource(Protocol):
    """Rows to export from a gateway."""

    @property
    def digest(self) -> str:
        """Digest that identifies query and format without revealing them."""
        ...

    @property
    def is_filtered(self) -> bool:
        """True if a filter selects the rows."""
        ...

    async def write(
        self,
        gateway: GatewayClient,
        file_format: FileFormat,
        target: PartialFile | StandardOutput,
        progress: Progress,
    ) -> None:
        """Append all rows to ``target``, starting at its resume point. Raises ExportEnded."""
        ...


@dataclass(frozen=True, slots=True)
class DatasetExport:
    """A dataset's rows from the export endpoint: its path and parameters, and the format to write."""

    path: str
    parameters: Mapping[str, str]
    format_name: str
    page_rows: int

    @property
    def digest(self) -> str:
        """Digest that identifies path, parameters and format without revealing them."""
        return _digest([self.path, self.parameters, self.format_name])

    @property
    def is_filtered(self) -> bool:
        """True if a filter selects the rows."""
        return "filter" in self.parameters

    async def write(
        self,
        gateway: GatewayClient,
        file_format: FileFormat,
        target: PartialFile | StandardOutput,
        progress: Progress,
    ) -> None:
        """Append all rows to ``target``, starting at its resume point. Raises ExportEnded."""
        await RowReader(gateway.get, self.path, self.parameters, self.page_rows, progress).write(target)


@dataclass(frozen=True, slots=True)
class QueryExport:
    """The operation to export, ``page_rows`` rows per page, and the format to write."""

    document: ExportDocument
    variables: Mapping[str, Any]
    format_name: str
    page_rows: int

    @property
    def digest(self) -> str:
        """Digest that identifies operation, variables and format without revealing them."""
        return _digest([self.document.text, self.variables, self.format_name])

    @property
    def is_filtered(self) -> bool:
        """True if a filter may select the rows."""
        return "filter" in self.variables

    def body(self, cursor: str | None) -> dict[str, Any]:
        """Return the GraphQL request for the page after ``cursor``."""
        paging = {"exportFirst": self.page_rows, "exportAfter": cursor}
        return {"query": self.document.text, "variables": {**self.variables, **paging}}

    async def write(
        self,
        gateway: GatewayClient,
        file_format: FileFormat,
        target: PartialFile | StandardOutput,
        progress: Progress,
    ) -> None:
        """Append all rows to ``target``, starting at its resume point. Raises ExportEnded."""
        paginator = Paginator(gateway.post, self.body, self.document.field, progress)
        await write_pages(paginator, file_format, target, progress)


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


class StandardOutput:
    """Standard output as the target of an export, which cannot be resumed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.resume_point = ResumePoint("")

    def append(self, data: bytes, **progress: Any) -> None:
        """Write a page."""
        self._stream.write(data)
        self._stream.flush()
        self.resume_point = self.resume_point.after(len(data), **progress)

    def finish(self, finisher: Finisher | None = None) -> None:
        """Do nothing: every page is already written."""

    def close(self) -> None:
        """Do nothing: standard output stays open."""


async def run(
    connection: AbstractAsyncContextManager[GatewayClient],
    source: ExportSource,
    file_format: FileFormat,
    target: PartialFile | StandardOutput,
) -> None:
    """Export all pages and finish the target. Raises ExportEnded."""
    progress = Progress(
        sys.stderr,
        is_terminal=sys.stderr.isatty(),
        clock=time.monotonic,
        sleep=asyncio.sleep,
        start_rows=target.resume_point.rows,
    )
    try:
        with _interruptible():
            async with connection as gateway:
                await source.write(gateway, file_format, target, progress)
            target.finish(file_format.finisher)
    except ExportEnded as error:
        raise type(error)(error.message + _advice(error, target)) from None
    finally:
        progress.end(target.resume_point.rows)
        target.close()
    if not target.resume_point.rows:
        sys.stderr.write(
            "No row matches the filter: a filter compares whole values.\n"
            if source.is_filtered
            else "There are no rows.\n"
        )
    if target.resume_point.is_incomplete:
        raise ExportIncomplete(
            "The file is written, but the upstream announced more rows than it returned. Export again later."
        )


async def write_pages(
    paginator: Paginator, file_format: FileFormat, target: PartialFile | StandardOutput, progress: Progress
) -> None:
    """Append page after page to ``target``, starting at its resume point."""
    while not target.resume_point.is_complete:
        page = await paginator.after(target.resume_point.cursor)
        head = file_format.head() if not target.resume_point.size_bytes else b""
        page_info = page.page_info
        target.append(
            head + file_format.lines(page.nodes),
            rows=len(page.nodes),
            cursor=page_info.end_cursor,
            is_complete=not page_info.has_next_page,
            is_incomplete=paginator.is_incomplete,
        )
        progress.show(target.resume_point.rows, page.total_count)


def _advice(error: ExportEnded, target: PartialFile | StandardOutput) -> str:
    """Return what the user can do with the rows written so far."""
    if isinstance(target, StandardOutput) or not target.resume_point.rows:
        return ""
    rows = f" {target.resume_point.rows:,} rows are kept."
    if isinstance(error, DataChanged):
        return f"{rows} Use --restart to start again."
    return f"{rows} Use --resume to continue."


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM cancel the current wait, never a write in progress. Raises ExportStopped when they do."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    except asyncio.CancelledError:
        raise ExportStopped("Interrupted.") from None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
