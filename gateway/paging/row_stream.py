"""All rows of one query in one snapshot, block after block."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from gateway.errors import SnapshotChanged, UpstreamBadResponse
from gateway.page import CacheState, Caller, Page, PageSource, Stamp
from gateway.paging.blocks import Blocks, BlockSizes
from gateway.query import FALSE, PageQuery


@dataclass(slots=True)
class RowStream:
    """A reader of all rows of a query, which holds at most two blocks at a time.

    ``caller`` creates a Caller with a fresh deadline and budget for each block, so that a stream may take as long as
    its reader does. ``rows``, ``upstream_calls`` and ``cache_states`` cover the blocks read so far.
    """

    source: PageSource
    query: PageQuery
    sizes: BlockSizes
    caller: Callable[[], Caller]
    rows: int = 0
    upstream_calls: int = 0
    cache_states: set[CacheState] = field(default_factory=set)

    async def opening(self) -> list[Page]:
        """Load the first two blocks, or the only one. Raises GatewayError.

        A cached block and a fresh one may be of different snapshots. If the first two conflict, they are reloaded.
        """
        if self.query.filter == FALSE:
            return [Page(rows=(), more=False)]
        for _ in range(2):
            first = await self._block(0)
            if self._is_last(first):
                return [first]
            second = await self._block(self.sizes.rows)
            if not first.stamp.conflicts(second.stamp):
                return [first, second]
        raise _changed()

    async def pages(self, opening: list[Page]) -> AsyncIterator[Page]:
        """Yield the pages of ``opening``, emptying it, and the pages after them. Raises GatewayError.

        A page's rows are counted when the next page is requested. A conflict between pages raises SnapshotChanged.
        """
        stamp = Stamp()
        page = opening.pop(0)
        while True:
            if stamp.conflicts(page.stamp):
                raise _changed()
            stamp = stamp.merged(page.stamp)
            yield page
            self.rows += len(page.rows)
            if self._is_last(page):
                return
            skip = page.skip + self.sizes.rows
            # Release the page while the next one is loaded.
            del page
            page = opening.pop(0) if opening else await self._block(skip)

    def _is_last(self, page: Page) -> bool:
        return not page.reaches(page.skip + self.sizes.rows) or page.more is False

    async def _block(self, skip: int) -> Page:
        caller = self.caller()
        blocks = Blocks(self.source, self.query, caller, self.sizes)
        try:
            # Requesting the last row loads a block of full size: reading all rows should take the fewest calls.
            await blocks.load(skip + self.sizes.rows - 1, skip + self.sizes.rows)
        finally:
            self.upstream_calls += caller.budget.spent_calls
        (page,) = blocks.pages
        if any(warning.code == "UPSTREAM_INCOMPLETE" for warning in page.warnings):
            # A file cannot carry warnings, so an incomplete one would be taken for complete.
            raise UpstreamBadResponse("The upstream promised more rows than it returned. Retry later.")
        self.cache_states.add(page.cache)
        return page


def _changed() -> SnapshotChanged:
    return SnapshotChanged("The data was processed again during the export. Start the export again.")
