"""One export, from its first page or its resume point to the finished file."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager
from typing import Any

from gateway.cli.export.dataset_export import DatasetExport
from gateway.cli.export.exit_codes import DataChanged, ExportEnded, ExportIncomplete, ExportStopped
from gateway.cli.export.gateway_client import GatewayClient
from gateway.cli.export.partial_file import Finisher, PartialFile, StreamTarget
from gateway.cli.export.progress import Progress
from gateway.cli.export.query_export import QueryExport
from gateway.cli.export.retries import ExportRetries, StepFailed

Target = PartialFile | StreamTarget

# Messages for files without rows, by whether a filter and a processed date select them.
NO_ROWS = {
    (False, False): "There are no rows.",
    (True, False): "No row matches the filter: a filter compares whole values.",
    (False, True): "No rows were processed on this date, as on most days.",
    (True, True): "No row of this date matches the filter. Most days have no rows, and a filter compares whole values.",
}


async def run(
    connection: AbstractAsyncContextManager[GatewayClient],
    source: DatasetExport | QueryExport,
    target: Target,
    finisher: Finisher | None = None,
) -> None:
    """Export all rows and finish the target. Raises ExportEnded."""
    progress = Progress(
        sys.stderr,
        is_terminal=sys.stderr.isatty(),
        clock=time.monotonic,
        sleep=asyncio.sleep,
        start_rows=target.resume_point.rows,
    )
    try:
        with _interruptible(target):
            async with connection as gateway:
                await write_rows(source, gateway, target, progress)
            target.finish(finisher)
    except ExportEnded as error:
        raise type(error)(error.message + _advice(error, target)) from None
    finally:
        progress.end(target.resume_point.rows)
        target.close()
    if not target.resume_point.rows:
        sys.stderr.write(f"{NO_ROWS[source.is_filtered, source.is_dated]}\n")
    if target.resume_point.is_incomplete:
        raise ExportIncomplete(
            "The file is written, but the upstream announced more rows than it returned. Export again later."
        )


async def write_rows(
    source: DatasetExport | QueryExport, gateway: GatewayClient, target: Target, progress: Progress
) -> None:
    """Append all rows of ``source`` after the target's resume point, retrying failed steps. Raises ExportEnded."""
    retries = ExportRetries(progress, is_first=True)
    while not target.resume_point.is_complete:
        rows = target.resume_point.rows
        if source.reads_all_rows:
            progress.read_all_rows()
        try:
            async with aclosing(source.steps(gateway, target.resume_point, progress)) as steps:
                async for step in steps:
                    target.append(step)
                    progress.show(target.resume_point.rows, step.total)
        except StepFailed as failure:
            if target.resume_point.rows > rows:
                retries = ExportRetries(progress)
            await retries.wait(failure.error)


def _advice(error: ExportEnded, target: Target) -> str:
    """Return what the user can do with the rows written so far, and how to go on."""
    if isinstance(target, StreamTarget) or not target.resume_point.rows:
        if not isinstance(error, ExportStopped):
            return ""
        is_cut = isinstance(target, StreamTarget) and not target.is_empty
        rows = "The output is incomplete and cannot be continued." if is_cut else "No rows are kept."
        return f" {rows} Run the command again to start from the first row."
    rows = f" {target.resume_point.rows:,} rows are kept."
    if isinstance(error, DataChanged):
        return f"{rows} Use --restart to start again."
    return f"{rows} Use --resume to continue."


@contextmanager
def _interruptible(target: Target) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM cancel the current wait, or a write blocked by its reader, but never a write to a disk.

    Raises ExportStopped when they do.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    # A handler of the event loop would run only after a blocked write.
    def interrupt(*_: Any) -> None:
        if target.is_blocked:
            raise ExportStopped("Interrupted.")
        loop.call_soon_threadsafe(task.cancel)

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except asyncio.CancelledError:
        raise ExportStopped("Interrupted.") from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
