"""One export from its first page, or the one behind the mark, to the file in its place."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from gateway.cli.export.formats import Format
from gateway.cli.export.outcomes import DataChanged, ExportEnded, Incomplete, Stopped
from gateway.cli.export.pages import Pages, Post
from gateway.cli.export.part import Finisher, Mark, PartFile
from gateway.cli.export.progress import Progress

if TYPE_CHECKING:
    from schema.export.document import ExportDocument


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, a page of ``page_rows`` rows at a time, and how it is written."""

    document: ExportDocument
    variables: Mapping[str, Any]
    written_as: str
    page_rows: int

    @property
    def digest(self) -> str:
        """Tells one question and format from another, without telling either."""
        said = msgspec.json.encode([self.document.text, self.variables, self.written_as], order="deterministic")
        return hashlib.sha256(said).hexdigest()

    def body(self, cursor: str | None) -> dict[str, Any]:
        """The GraphQL request for the page behind ``cursor``."""
        paging = {"exportFirst": self.page_rows, "exportAfter": cursor}
        return {"query": self.document.text, "variables": {**self.variables, **paging}}


class Standard:
    """Standard output as a target: it cannot be gone on with."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.mark = Mark("")

    def append(self, data: bytes, **progress: Any) -> None:
        """Write a page."""
        self._stream.write(data)
        self._stream.flush()
        self.mark = self.mark.after(len(data), **progress)

    def finish(self, finisher: Finisher | None = None) -> None:
        """Everything is written."""

    def close(self) -> None:
        """Nothing is held."""


async def run(
    opened: AbstractAsyncContextManager[Post], question: Question, form: Format, target: PartFile | Standard
) -> None:
    """Walk to the end and put the file in its place. Raises ExportEnded."""
    progress = Progress(
        sys.stderr,
        is_terminal=sys.stderr.isatty(),
        clock=time.monotonic,
        sleep=asyncio.sleep,
        start_rows=target.mark.rows,
    )
    try:
        with _stoppable():
            async with opened as post:
                await walk(Pages(post, question.body, question.document.field, progress), form, target, progress)
            target.finish(form.finisher)
    except ExportEnded as error:
        raise type(error)(error.message + _advice(error, target)) from None
    finally:
        progress.end(target.mark.rows)
        target.close()
    if not target.mark.rows:
        is_filtered = "filter" in question.variables
        sys.stderr.write("No row fits: a filter compares whole values.\n" if is_filtered else "There are no rows.\n")
    if target.mark.is_incomplete:
        raise Incomplete("The file is written, but the upstream promised more rows than it gave.")


async def walk(pages: Pages, form: Format, target: PartFile | Standard, progress: Progress) -> None:
    """Append page after page, from the one behind the target's mark on."""
    while not target.mark.is_complete:
        page = await pages.after(target.mark.cursor)
        head = form.head() if not target.mark.size_bytes else b""
        info = page.page_info
        target.append(
            head + form.lines(page.nodes),
            rows=len(page.nodes),
            cursor=info.end_cursor,
            is_complete=not info.has_next_page,
            is_incomplete=pages.is_incomplete,
        )
        progress.show(target.mark.rows, page.total_count)


def _advice(error: ExportEnded, target: PartFile | Standard) -> str:
    """What may be done with the rows that are there."""
    if isinstance(target, Standard) or not target.mark.rows:
        return ""
    kept = f" {target.mark.rows:,} rows are kept."
    return (
        f"{kept} --restart begins anew." if isinstance(error, DataChanged) else f"{kept} --resume goes on from there."
    )


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end what is waited for. Raises Stopped then; what is written at once, is written."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    except asyncio.CancelledError:
        raise Stopped("Interrupted.") from None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
