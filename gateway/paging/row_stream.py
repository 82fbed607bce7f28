"""All rows of one question, block after block, of one snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from gateway.errors import SnapshotChanged, UpstreamBadResponse
from gateway.page import CacheState, Caller, Page, PageSource, Stamp
from gateway.paging.blocks import Blocks, BlockSizes
from gateway.query import FALSE, PageQuery


@dataclass(slots=True)
class RowStream:
    """Reads a question to its end and holds two blocks at most.

    ``caller`` gives each block a deadline and a budget of its own: what bounds an operation bounds a block here, so
    that a stream may take as long as its reader. ``rows``, ``upstream_calls`` and ``cache_states`` tell what was read.
    """

    source: PageSource
    query: PageQuery
    sizes: BlockSizes
    caller: Callable[[], Caller]
    rows: int = 0
    upstream_calls: int = 0
    cache_states: set[CacheState] = field(default_factory=set)

    async def opening(self) -> list[Page]:
        """The first two blocks, or the only one. Raises GatewayError.

        Both, because a kept block and a new one may be of different snapshots: then they are read once more.
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
        """``opening``, which is emptied, and what follows it. Raises GatewayError, SnapshotChanged among them.

        A page counts as read when the next one is asked for.
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
            # Not held while the next one is read.
            del page
            page = opening.pop(0) if opening else await self._block(skip)

    def _is_last(self, page: Page) -> bool:
        return not page.reaches(page.skip + self.sizes.rows) or page.more is False

    async def _block(self, skip: int) -> Page:
        caller = self.caller()
        blocks = Blocks(self.source, self.query, caller, self.sizes)
        try:
            # Of the whole size also where a small one might do: whoever wants all rows wants the fewest calls.
            await blocks.load(skip + self.sizes.rows - 1, skip + self.sizes.rows)
        finally:
            self.upstream_calls += caller.budget.spent_calls
        (page,) = blocks.pages
        if any(warning.code == "UPSTREAM_INCOMPLETE" for warning in page.warnings):
            # A file has no place for warnings, and would pass for a whole one.
            raise UpstreamBadResponse("The upstream promised more rows than it gave. Ask again later.")
        self.cache_states.add(page.cache)
        return page


def _changed() -> SnapshotChanged:
    return SnapshotChanged("The data was processed anew meanwhile. Start the export again.")
