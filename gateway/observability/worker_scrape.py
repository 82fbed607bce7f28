"""Scraping several workers behind one port: any worker's ``/metrics`` covers all workers.

Each worker serves its metrics on a Unix socket in a folder that only its user may enter. The worker that is scraped
fetches the metrics of the others. Every sample is labelled with its worker's number, so Prometheus sees the same series
whichever worker it reaches, and a restarted worker resets only its own series. (The client library's multiprocess mode
supports neither custom collectors nor process metrics, and takes a lock per number.)
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

# A response of 100,000 rows, the most that an operation may return, blocks its process for a tenth of this
# (docs/operations.md, Sizing). A scrape may take ten times as long (Prometheus' scrape_timeout).
RESPONSE_SECONDS = 1.0

# About 30,000 samples (our choice; 200 operation names make a few thousand).
MAX_RESPONSE_BYTES = 4 * 1024 * 1024

# OpenMetrics' last line: a response without it is incomplete.
_END = b"# EOF\n"

log = structlog.get_logger("gateway")


@dataclass(frozen=True, slots=True)
class Workers:
    """Number of workers, and the folder with their sockets; None if it could not be created."""

    count: int
    folder: Path | None


@contextmanager
def meeting(count: int) -> Iterator[Workers]:
    """Create the folder for ``count`` workers, and delete it when the block ends."""
    try:
        temporary = tempfile.TemporaryDirectory(prefix="gateway-", ignore_cleanup_errors=True)
    except OSError as error:
        log.warning("workers cannot meet: /metrics shows one of them", reason=str(error))
        yield Workers(count, None)
        return
    with temporary as folder:
        yield Workers(count, Path(folder))


class Worker:
    """One of ``workers``: serves ``metrics`` to the others, and the metrics of all workers to Prometheus."""

    def __init__(self, workers: Workers, metrics: Metrics) -> None:
        self._workers = workers
        self._metrics = metrics
        self._claim: IO[bytes] | None = None
        self._server: asyncio.Server | None = None
        self._number: int | None = None
        metrics.watch_workers(workers.count)

    async def start(self) -> None:
        """Claim the lowest free number, and listen."""
        folder = self._workers.folder
        if folder is None:
            return
        try:
            self._number, self._claim = _claimed(folder)
            # Replaces the socket that an earlier worker with this number left behind.
            self._server = await asyncio.start_unix_server(self._serve, _socket(folder, self._number))
        except (OSError, ImportError) as error:
            log.warning("worker cannot meet the others: its /metrics shows it alone", reason=str(error))

    async def aclose(self) -> None:
        """Stop listening, and release the number."""
        if self._server:
            self._server.close()
        if self._claim:
            self._claim.close()

    async def scrape(self) -> Response:
        """Return the metrics of all workers that respond in time, in Prometheus' text format."""
        texts = [asyncio.to_thread(self._metrics.exposition, self._number)]
        if self._workers.folder is not None:
            others = set(self._workers.folder.glob("*.sock")) - {_socket(self._workers.folder, self._number)}
            texts += map(_fetch, sorted(others))
        merged = await asyncio.to_thread(_merged, await asyncio.gather(*texts))
        return Response(merged, media_type=CONTENT_TYPE_LATEST)

    async def _serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(await asyncio.to_thread(self._metrics.exposition, self._number) + _END)
            await writer.drain()
        except OSError:
            pass  # the scraping worker has disconnected
        finally:
            writer.close()


def _socket(folder: Path, number: int | None) -> Path:
    return folder / f"{number}.sock"


def _claimed(folder: Path) -> tuple[int, IO[bytes]]:
    """Claim a number; return it with its lock file, whose lock lasts as long as this process."""
    # Imported lazily, because Windows has no fcntl.
    import fcntl

    number = 0
    while True:
        file = (folder / f"{number}.lock").open("wb")
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return number, file
        file.close()
        number += 1


async def _fetch(path: Path) -> bytes:
    """Return the metrics of the worker at ``path``, or b"" if it is gone or does not respond in time."""
    try:
        async with asyncio.timeout(RESPONSE_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path, limit=MAX_RESPONSE_BYTES)
            try:
                text = await reader.readuntil(_END)
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):  # a TimeoutError is an OSError
        return b""
    return text.removesuffix(_END)


def _merged(texts: Iterable[bytes]) -> bytes:
    """Merge expositions: the format requires one header per family, followed by all its samples."""
    families: dict[bytes, list[bytes]] = {}
    for text in texts:
        for family in text.split(b"# HELP ")[1:]:
            help_line, _, rest = family.partition(b"\n")
            type_line, _, samples = rest.partition(b"\n")
            families.setdefault(b"# HELP %b\n%b\n" % (help_line, type_line), []).append(samples)
    return b"".join(head + b"".join(samples) for head, samples in families.items())
