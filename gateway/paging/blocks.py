"""The rows of one query, loaded in blocks on demand, and the end of the data as far as the blocks show it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from gateway.caller import Caller
from gateway.errors import UpstreamTimeout
from gateway.held_rows import no_room
from gateway.page import INCOMPLETE, Page, PageSource, PageWarning
from gateway.paging.block_sizes import BlockSizes
from gateway.query import PageQuery
from gateway.snapshots.differing_blocks import DifferingBlocks
from gateway.snapshots.snapshot import Snapshot

# A shared call ends at its own deadline with the better error, so the timer of each waiter runs a little longer.
GRACE_SECONDS = 0.25


class SnapshotConflict(Exception):
    """Two blocks come from different snapshots; both must be reloaded."""


# Pages by the offset of their block's first row and the block's size.
Readings = Mapping[tuple[int, int], Page]


class Blocks:
    """The blocks of one query that one result is cut from. Loading raises SnapshotConflict if two of them conflict.

    ``earlier`` holds the blocks of previous tries, which ended in a conflict. If a revalidating query reads both
    conflicting blocks again with equal results, the data did not change: ``differing`` accepts the difference.
    """

    def __init__(
        self,
        source: PageSource,
        query: PageQuery,
        caller: Caller,
        sizes: BlockSizes,
        differing: DifferingBlocks | None = None,
        earlier: Readings = MappingProxyType({}),
    ) -> None:
        self._differing = DifferingBlocks() if differing is None else differing
        self._earlier = earlier
        self._has_conflict = False
        self.readings: dict[tuple[int, int], Page] = {}
        self._source = source
        self._query = query
        self._caller = caller
        self._sizes = sizes
        self._pages: dict[int, Page] = {}
        self.snapshot = Snapshot()
        # Start and size of each block.
        self.requested: list[tuple[int, int]] = []

    @property
    def pages(self) -> list[Page]:
        """The loaded pages, in row order."""
        return [self._pages[skip] for skip in sorted(self._pages)]

    @property
    def known_end(self) -> int | None:
        """The number of rows if a loaded block shows the end; the upstream's total does not count."""
        pages = self.pages
        for previous, page in zip([None, *pages], pages, strict=False):
            # An empty block shows the end only if the block before it reaches that far.
            is_joined = page.skip == 0 or (previous is not None and previous.end == page.skip)
            if page.more is False and (page.rows or is_joined):
                return page.end
        return None

    @property
    def total_count(self) -> int | None:
        """The upstream's total; None if it is missing or the loaded rows contradict it."""
        totals = {page.snapshot.total_count for page in self.pages} - {None}
        total = totals.pop() if len(totals) == 1 else None
        seen_rows = max((page.end for page in self.pages if page.rows), default=0)
        if total is None or seen_rows > total or self.known_end not in (None, total):
            return None
        return total

    async def load(self, start: int, stop: int) -> None:
        """Load the blocks of rows ``[start, stop)``: the first one alone, then those within the total in parallel.

        Blocks beyond the total are loaded one by one until a block shows the end, because a total may be too low.
        A conflict does not stop blocks that load in parallel, so that the next try can compare each of them.
        """
        covering = self._sizes.covering(start, stop) if stop > start else []
        missing = [block for block in covering if not self._holds(*block)]
        if missing and not self._pages:
            await self._load_block(*missing.pop(0))
            self._require_one_snapshot()
        total = self.total_count or 0
        await self._load_in_parallel([(skip, rows) for skip, rows in missing if skip < total])
        self._require_one_snapshot()
        for skip, rows in missing:
            if self._known_to_exist(skip) is False:
                return
            if not self._holds(skip, rows):
                await self._load_block(skip, rows)
                self._require_one_snapshot()

    def release(self) -> None:
        """Drop all rows, also those of earlier tries."""
        self._pages.clear()
        self.readings.clear()
        self._earlier = {}

    async def page_of(self, offset: int) -> Page | None:
        """Return the page of row ``offset``, loading its block if necessary; None if the row does not exist."""
        await self.load(offset, offset + 1)
        return next((page for page in self.pages if page.skip <= offset < page.end), None)

    def conflict_with(self, others: Iterable[Blocks]) -> bool:
        """Return True if these blocks and those of other results cannot come from one snapshot."""
        pairs = [(page, theirs, other) for other in others for theirs in other.pages for page in self.pages]
        # Every pair is compared, so that all differences are accepted together.
        return sum(self._conflict(*pair) for pair in pairs) > 0

    async def exists(self, offset: int) -> bool:
        """Return whether row ``offset`` exists; load its block only if the loaded ones do not decide."""
        exists = self._known_to_exist(offset)
        if exists is None:
            await self.load(offset, offset + 1)
            exists = self._known_to_exist(offset)
        return bool(exists)

    async def is_empty(self) -> bool:
        return not self.total_count and not await self.exists(0)

    def rows(self, start: int, stop: int) -> Iterator[tuple[Page, int, int]]:
        """Yield rows ``[start, stop)`` piecewise: a page, and the start and stop within its rows."""
        for page in self.pages:
            low, high = max(start, page.skip), min(stop, page.end)
            if low < high:
                yield page, low - page.skip, high - page.skip
                start = high

    def warnings(self) -> list[PageWarning]:
        """Return one warning of each code over all loaded pages, with the sum of the counts and the greatest age."""
        by_code = {INCOMPLETE.code: INCOMPLETE} if self._ends_too_soon else {}
        for warning in (warning for page in self.pages for warning in page.warnings):
            other = by_code.get(warning.code)
            by_code[warning.code] = warning if other is None else _joined(other, warning)
        return list(by_code.values())

    @property
    def _ends_too_soon(self) -> bool:
        """True if one block's total promised rows that another block lacks; vanished data may carry no total."""
        total = self.snapshot.total_count
        return total is not None and any(page.more is False and page.end < total for page in self.pages)

    def _holds(self, skip: int, rows: int) -> bool:
        page = self._pages.get(skip)
        return page is not None and (page.more is False or page.end >= skip + rows)

    def _known_to_exist(self, offset: int) -> bool | None:
        pages = self.pages
        if any(page.rows and offset < page.end for page in pages):
            return True
        # A page that shows the end outweighs a page that promises more rows.
        if any(page.more is False and offset >= page.end for page in pages):
            return False
        return True if any(page.more is True and offset == page.end for page in pages) else None

    async def _load_in_parallel(self, missing: list[tuple[int, int]]) -> None:
        if len(missing) == 1:
            await self._load_block(*missing[0])
            return
        tasks = [asyncio.ensure_future(self._load_block(*block)) for block in missing]
        try:
            await asyncio.gather(*tasks)
        finally:
            # The first failure decides the result; the other blocks would go unused.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _load_block(self, skip: int, rows: int) -> None:
        self.requested.append((skip, rows))
        self._caller.budget.reserve()
        page = await self._fetch_with_room(self._query.rows(skip, rows))
        self._caller.budget.settle(page.calls)
        self.readings[skip, rows] = page
        for other in self._pages.values():
            # Every pair is compared, so that all differences of a try are accepted together.
            self._has_conflict |= self._conflict(page, other, self)
        self._pages[skip] = page
        self.snapshot = self.snapshot.merged(page.snapshot)

    async def _fetch_with_room(self, query: PageQuery) -> Page:
        """Return a page that counts as held. Raises ServiceUnavailable if the token's operations hold too much."""
        held = self._caller.held
        if held is None:
            return await self._fetch(query)
        held.before_load()
        page = await self._fetch(query)
        if held.add(page.rows):
            return page
        # Keep no reference to the rows in this frame, which the error's traceback would keep.
        rows = len(page.rows)
        del page
        async with held.turn(rows):
            # Usually it is cached now.
            page = await self._fetch(query)
            if held.add(page.rows):
                return page
            del page
        raise no_room()

    async def _fetch(self, query: PageQuery) -> Page:
        try:
            async with asyncio.timeout_at(self._caller.deadline + GRACE_SECONDS):
                return await self._source.fetch(query, self._caller)
        except TimeoutError:
            raise UpstreamTimeout("The upstream did not answer in time. Retry, or request fewer rows.") from None

    def _require_one_snapshot(self) -> None:
        if self._has_conflict:
            raise SnapshotConflict

    def _conflict(self, page: Page, theirs: Page, other: Blocks) -> bool:
        """Return True if ``page`` and ``theirs``, a page of ``other``, conflict. Accepts a difference seen twice."""
        if not self._query.revalidate and (page.is_outdated(theirs.promise) or theirs.is_outdated(page.promise)):
            return True
        if not self._differing.conflict(self._query, self._caller, page, theirs):
            return False
        if page.skip == theirs.skip or not (self._is_reread(page) and other._is_reread(theirs)):
            return True
        return not self._differing.accept(self._query, self._caller, page, theirs)

    def _is_reread(self, page: Page) -> bool:
        """Return True if a call of this try read ``page``, with the same result as an earlier try."""
        if not self._query.revalidate:
            # The call may be shared: another caller may have started it before the data changed.
            return False
        sizes = [size for size, reading in self.readings.items() if reading is page]
        earlier = [self._earlier[size] for size in sizes if size in self._earlier]
        return any(is_repeated(before, page) for before in earlier)


def is_repeated(before: Page, page: Page) -> bool:
    """Return True if ``page`` and ``before`` are two readings of the same rows, with equal results."""
    is_equal = before.snapshot == page.snapshot and list(before.rows) == list(page.rows)
    return is_equal and (before.rows is not page.rows or not page.rows)


def _joined(one: PageWarning, other: PageWarning) -> PageWarning:
    counts = [warning.count for warning in (one, other) if warning.count is not None]
    ages = [warning.age_seconds for warning in (one, other) if warning.age_seconds is not None]
    return PageWarning(one.code, one.message, sum(counts) if counts else None, max(ages) if ages else None)
