"""Several workers behind one port: whichever is scraped tells of all of them.

Each shows its metrics on a Unix socket in a folder that only its user may enter, and whoever is scraped asks the
others. Every sample has its worker's number, so that Prometheus sees one series for each, whatever worker it meets, and
a worker that begins again begins its own series again. (The client library's own way, files that all processes map,
knows neither collectors of one's own nor the process's figures, and takes a lock for each number.)
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

from gateway.observability.metrics import Metrics

# An answer of 100,000 rows, the most that an operation may show, holds its process up for a tenth of this
# (docs/operations.md, Sizing); a scrape has ten times as long (Prometheus' scrape_timeout).
ANSWER_SECONDS = 1.0

# Some 30,000 samples (our choice; 200 operations' names make a few thousand).
MAX_ANSWER_BYTES = 4 * 1024 * 1024

# OpenMetrics' last line: without it an answer was cut off.
_END = b"# EOF\n"

log = structlog.get_logger("gateway")


@dataclass(frozen=True, slots=True)
class Workers:
    """How many processes serve together, and the folder in which they meet; None where none can be made."""

    count: int
    folder: Path | None


@contextmanager
def meeting(count: int) -> Iterator[Workers]:
    """A place for ``count`` workers, until the end of the block. Only a process that is killed leaves it behind."""
    try:
        made = tempfile.TemporaryDirectory(prefix="gateway-", ignore_cleanup_errors=True)
    except OSError as error:
        log.warning("workers cannot meet: /metrics shows one of them", reason=str(error))
        yield Workers(count, None)
        return
    with made as folder:
        yield Workers(count, Path(folder))


class Worker:
    """One of ``workers``: shows ``metrics`` to the others, and theirs to whoever scrapes it."""

    def __init__(self, workers: Workers, metrics: Metrics) -> None:
        self._workers = workers
        self._metrics = metrics
        self._claim: IO[bytes] | None = None
        self._server: asyncio.Server | None = None
        self._number: int | None = None
        metrics.watch_workers(workers.count)

    async def start(self) -> None:
        """Take the lowest number that nobody has, and listen."""
        folder = self._workers.folder
        if folder is None:
            return
        try:
            self._number, self._claim = _claimed(folder)
            # What a worker with the same number has left is replaced.
            self._server = await asyncio.start_unix_server(self._show, _socket(folder, self._number))
        except (OSError, ImportError) as error:
            log.warning("worker cannot meet the others: its /metrics shows it alone", reason=str(error))

    async def aclose(self) -> None:
        """Hide, and let another have the number."""
        if self._server:
            self._server.close()
        if self._claim:
            self._claim.close()

    async def scrape(self) -> Response:
        """The metrics of all workers that answer in time, in Prometheus' text format."""
        texts = [asyncio.to_thread(self._metrics.exposition, self._number)]
        if self._workers.folder is not None:
            others = set(self._workers.folder.glob("*.sock")) - {_socket(self._workers.folder, self._number)}
            texts += map(_asked, sorted(others))
        merged = await asyncio.to_thread(_merged, await asyncio.gather(*texts))
        return Response(merged, media_type=CONTENT_TYPE_LATEST)

    async def _show(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(await asyncio.to_thread(self._metrics.exposition, self._number) + _END)
            await writer.drain()
        except OSError:
            pass  # whoever asked has gone
        finally:
            writer.close()


def _socket(folder: Path, number: int | None) -> Path:
    return folder / f"{number}.sock"


def _claimed(folder: Path) -> tuple[int, IO[bytes]]:
    """A number, and the file that is locked while it is taken: by one process, and no longer than that lives."""
    # Not on Windows.
    import fcntl

    number = 0
    while True:
        file = (folder / f"{number}.lock").open("wb")
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return number, file
        file.close()
        number += 1


async def _asked(path: Path) -> bytes:
    """What the worker behind ``path`` shows; nothing if there is none, or it does not answer in time."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path, limit=MAX_ANSWER_BYTES)
            try:
                text = await reader.readuntil(_END)
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):  # a TimeoutError is an OSError
        return b""
    return text.removesuffix(_END)


def _merged(texts: Iterable[bytes]) -> bytes:
    """One exposition of several: the format wants a family's samples together, below its one head."""
    families: dict[bytes, list[bytes]] = {}
    for text in texts:
        for family in text.split(b"# HELP ")[1:]:
            described, _, rest = family.partition(b"\n")
            kind, _, samples = rest.partition(b"\n")
            families.setdefault(b"# HELP %b\n%b\n" % (described, kind), []).append(samples)
    return b"".join(head + b"".join(samples) for head, samples in families.items())
