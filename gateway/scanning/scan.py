"""Scan: all rows of one query, read once in one snapshot, for answers that need every row.

A scan outlives the caller that started it. When nobody waits for it any more, it starts no further block; the calls in
flight finish, and their blocks are cached. So whoever asks again continues where it stopped.

A scan of many rows needs a permit after its first block. While it waits for the permit, it holds no rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from gateway.caller import Caller
from gateway.errors import QueryTooComplex, SnapshotChanged
from gateway.page import INCOMPLETE, STALE_DATA, CacheState, Page, PageSource, PageWarning
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.read_ahead import ReadAhead
from gateway.paging.row_stream import RowStream
from gateway.query import FALSE, PageQuery
from gateway.scanning.first_block import FirstBlock
from gateway.scanning.scan_permits import ScanPermit
from gateway.snapshots.differing_blocks import DifferingBlocks
from gateway.snapshots.snapshot import Snapshot

# If the data is processed during a scan, it starts again, at most this many times (our choice).
MAX_RESTARTS = 2


@dataclass(frozen=True, slots=True)
class ScanRules:
    """The sizes of blocks, the most rows of a scan, the time limit of one block, and what reading ahead may hold."""

    sizes: BlockSizes
    max_rows: int
    block_timeout_seconds: float
    ahead: ReadAhead
    differing: DifferingBlocks


@dataclass(slots=True)
class Progress:
    """The rows that a scan has read so far. ``rows_total`` is None while unknown."""

    rows_read: int = 0
    rows_total: int | None = None

    @property
    def known_rows(self) -> int:
        """The rows that the query has as far as is known."""
        return max(self.rows_read, self.rows_total or 0)


@dataclass(slots=True)
class Reading:
    """Facts about all blocks of a finished scan. ``fetched_at`` is that of the oldest block, by the monotonic clock.

    ``warnings`` lacks the one for stale data: its age grows.
    """

    snapshot: Snapshot = field(default_factory=Snapshot)
    warnings: dict[str, PageWarning] = field(default_factory=dict)
    cache: CacheState = CacheState.HIT
    fetched_at: float = float("inf")
    rows: int = 0
    # Two blocks have different dates or totals, although the data did not change.
    is_mixed: bool = False

    @property
    def is_incomplete(self) -> bool:
        """True if the upstream promised more rows than it returned."""
        return INCOMPLETE.code in self.warnings

    def add(self, page: Page) -> None:
        """Add the facts of one block."""
        self.is_mixed |= self.snapshot.conflicts(page.snapshot)
        self.snapshot = self.snapshot.merged(page.snapshot)
        self.cache = max(self.cache, page.cache)
        self.fetched_at = min(self.fetched_at, page.fetched_at)
        self.rows += len(page.rows)
        for warning in page.warnings:
            if warning.code == STALE_DATA:
                continue
            other = self.warnings.get(warning.code)
            count = None if other is None or warning.count is None else warning.count + (other.count or 0)
            self.warnings[warning.code] = warning if count is None else replace(warning, count=count)


@dataclass(frozen=True, slots=True)
class Consumer:
    """The use of a scan's blocks: ``start`` begins, perhaps again, and ``take`` takes the next block."""

    start: Callable[[], None]
    take: Callable[[Page], Awaitable[None]]


class Scan:
    """One reading of all rows of ``query``. ``is_wanted`` says whether somebody still waits for it."""

    def __init__(
        self,
        source: PageSource,
        query: PageQuery,
        caller: Caller,
        rules: ScanRules,
        is_wanted: Callable[[], bool],
        permit: ScanPermit,
    ) -> None:
        self._source = FirstBlock(source, rules.sizes)
        self._query = query
        self._caller = caller
        self._rules = rules
        self._is_wanted = is_wanted
        self._permit = permit
        self.progress = Progress()

    async def run(self, consumer: Consumer) -> Reading | None:
        """Read all rows; None if nobody wanted them any more. Raises GatewayError."""
        for _ in range(MAX_RESTARTS):
            try:
                return await self._read(consumer)
            except SnapshotChanged:
                continue
        return await self._read(consumer)

    async def _read(self, consumer: Consumer) -> Reading | None:
        reading = Reading()
        self.progress.rows_read = 0
        consumer.start()
        await self._enter()
        stream = self._stream()
        opening = await stream.opening()
        self._require_size(opening, 0)
        async with aclosing(stream.pages(opening)) as pages:
            async for page in pages:
                reading.add(page)
                self._require_size([page], reading.rows)
                await consumer.take(page)
                if not self._is_wanted():
                    # Release the rows while the calls in flight finish.
                    consumer.start()
                    return None
        if stream.is_short:
            reading.warnings[INCOMPLETE.code] = INCOMPLETE
        return reading

    async def _enter(self) -> None:
        """Read the first block, and take the permit unless it shows that the query has few rows."""
        if self._permit.is_held or self._query.filter == FALSE:
            return
        first = await self._source.load(self._query, self._block_caller())
        self._require_size([first], 0)
        if self._source.has_few(first):
            return
        del first
        # Called only if the permit is not free, so that the scan has to wait.
        releasing = asyncio.get_running_loop().call_soon(self._source.release)
        try:
            await self._permit.take()
        finally:
            releasing.cancel()

    def _block_caller(self) -> Caller:
        deadline = asyncio.get_running_loop().time() + self._rules.block_timeout_seconds
        return replace(self._caller, deadline=deadline, held=None)

    def _stream(self) -> RowStream:
        rules = self._rules
        return RowStream(
            self._source,
            self._query,
            rules.sizes,
            self._block_caller,
            accepts_incomplete=True,
            is_thorough=True,
            differing=rules.differing,
            ahead=rules.ahead,
        )

    def _require_size(self, pages: Sequence[Page], rows_read: int) -> None:
        """Note the progress. Raises QueryTooComplex if the query has too many rows."""
        progress = self.progress
        progress.rows_read = rows_read
        for page in pages:
            progress.rows_total = progress.rows_total if page.total_count is None else page.total_count
        if progress.known_rows > self._rules.max_rows:
            count = f"{progress.known_rows}" if progress.rows_total is not None else f"over {self._rules.max_rows}"
            raise QueryTooComplex(
                f"Order, search, having and some totals need all rows of the query. It has {count} rows, and at most"
                f" {self._rules.max_rows} can be read at once: group or filter."
            )
