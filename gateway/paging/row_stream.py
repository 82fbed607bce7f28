"""All rows of one query in one snapshot, block after block, from the first row or from a later one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from gateway.errors import SnapshotChanged, UpstreamBadResponse
from gateway.page import CacheState, Caller, Page, PageSource, Snapshot
from gateway.paging.blocks import Blocks, BlockSizes
from gateway.paging.snapshot_digest import SnapshotDigest
from gateway.query import FALSE, PageQuery


@dataclass(slots=True)
class RowStream:
    """A reader of the rows of a query, which holds at most two blocks at a time.

    It begins with row ``start``. If that is not the first row, ``digest`` is of the snapshot of the rows before it.
    ``accepts_incomplete`` allows blocks with missing rows in the opening, whose warnings a response can still report.
    ``caller`` creates a Caller with a fresh deadline and budget for each block, so that a stream may take as long as
    its reader does. ``rows``, ``upstream_calls`` and ``cache_states`` cover the blocks read so far.
    """

    source: PageSource
    query: PageQuery
    sizes: BlockSizes
    caller: Callable[[], Caller]
    start: int = 0
    digest: SnapshotDigest | None = None
    accepts_incomplete: bool = False
    rows: int = 0
    upstream_calls: int = 0
    cache_states: set[CacheState] = field(default_factory=set)

    async def opening(self) -> list[Page]:
        """Load the first two blocks, or the only one; the first begins with row ``start``. Raises GatewayError.

        A cached block and a fresh one may be of different snapshots. If the first two conflict, they are reloaded.
        """
        if self.query.filter == FALSE:
            if self.start:
                raise _changed()
            return [Page(rows=(), more=False)]
        query = self.query
        for _ in range(2):
            pages = await self._first_blocks(query)
            if not self._conflict(pages) and await self._continues(pages[0]):
                first = pages[0]
                rows = first.rows[self.start - first.skip :] if self.start > first.skip else first.rows
                return [first.having(rows=rows, skip=self.start), *pages[1:]]
            if self.digest is not None:
                if all(page.cache is CacheState.MISS for page in pages):
                    break
                # A cached block may be older than the snapshot.
                query = replace(query, revalidate=True)
        raise _changed()

    async def pages(self, opening: list[Page]) -> AsyncIterator[Page]:
        """Yield the pages of ``opening``, emptying it, and the pages after them. Raises GatewayError.

        A page's rows are counted when the next page is requested. A conflict between pages raises SnapshotChanged.
        """
        snapshot = Snapshot()
        page = opening.pop(0)
        while True:
            if snapshot.conflicts(page.snapshot) or self._conflict([page]):
                raise _changed()
            snapshot = snapshot.merged(page.snapshot)
            yield page
            self.rows += len(page.rows)
            if self._is_last(page):
                return
            skip = self._next_block(page.skip)
            # Release the page while the next one is loaded.
            del page
            page = opening.pop(0) if opening else await self._block(self.query, skip, accepts_incomplete=False)

    def _conflict(self, pages: list[Page]) -> bool:
        snapshots = [page.snapshot for page in pages]
        if self.digest is not None and any(map(self.digest.conflicts, snapshots)):
            return True
        return snapshots[0].conflicts(snapshots[-1])

    async def _continues(self, first: Page) -> bool:
        """Return whether the block of row ``start`` shows that all rows before it exist, in the same snapshot."""
        if self.digest is None:
            return True
        known = first
        if self.start and not first.rows:
            # Only the block before shows whether the data ends exactly here.
            known = await self._opening_block(self.query, max(0, first.skip - self.sizes.rows))
        if known.end < self.start:
            return False
        if not self.digest.can_compare(known.snapshot):
            known = await self._opening_block(self.query, 0)
        return not self.digest.conflicts(known.snapshot)

    async def _first_blocks(self, query: PageQuery) -> list[Page]:
        skip = self.start - self.start % self.sizes.rows
        first = await self._opening_block(query, skip)
        if self._is_last(first):
            return [first]
        return [first, await self._opening_block(query, self._next_block(skip))]

    async def _opening_block(self, query: PageQuery, skip: int) -> Page:
        return await self._block(query, skip, accepts_incomplete=self.accepts_incomplete)

    def _next_block(self, row: int) -> int:
        return row - row % self.sizes.rows + self.sizes.rows

    def _is_last(self, page: Page) -> bool:
        return not page.reaches(self._next_block(page.skip)) or page.more is False

    async def _block(self, query: PageQuery, skip: int, *, accepts_incomplete: bool) -> Page:
        caller = self.caller()
        blocks = Blocks(self.source, query, caller, self.sizes)
        try:
            # Requesting the last row loads a block of full size: reading all rows should take the fewest calls.
            await blocks.load(skip + self.sizes.rows - 1, skip + self.sizes.rows)
        finally:
            self.upstream_calls += caller.budget.spent_calls
        (page,) = blocks.pages
        if page.is_incomplete and not accepts_incomplete:
            # A file cannot carry warnings, so an incomplete one would be taken for complete.
            raise UpstreamBadResponse("The upstream promised more rows than it returned. Retry later.")
        self.cache_states.add(page.cache)
        return page


def _changed() -> SnapshotChanged:
    return SnapshotChanged("The data was processed again during the export. Start the export again.")
