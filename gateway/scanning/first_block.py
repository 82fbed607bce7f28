"""The first block of a scan, which shows whether the query has many rows."""

from __future__ import annotations

from dataclasses import replace

from gateway.caller import Caller
from gateway.page import CacheState, Page, PageSource
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.blocks import Blocks
from gateway.query import PageQuery

# Rows of a query that few others may wait for (our choice): they take about a megabyte, and one call reads them.
FEW_ROWS = 2_000


class FirstBlock:
    """A PageSource that loads the first block of one query early, and keeps it until it is fetched or released."""

    def __init__(self, source: PageSource, sizes: BlockSizes) -> None:
        self._source = source
        self._sizes = sizes
        self._page: Page | None = None
        # The origin of the block, until it is fetched.
        self._cache: CacheState | None = None

    async def load(self, query: PageQuery, caller: Caller) -> Page:
        """Return the first block and keep it. Raises GatewayError."""
        blocks = Blocks(self._source, query, caller, self._sizes)
        await blocks.load(self._sizes.rows - 1, self._sizes.rows)
        (self._page,) = blocks.pages
        self._cache = self._page.cache
        return self._page

    def has_few(self, page: Page) -> bool:
        """Return True if ``page``, the first block, shows that the query has at most FEW_ROWS rows."""
        is_all = page.reaches(self._sizes.rows) and page.more is False
        return is_all and max(page.end, page.total_count or 0) <= FEW_ROWS

    def release(self) -> None:
        """Release the rows. The block is then read again, usually from the cache."""
        self._page = None

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        """Return the page. Raises GatewayError."""
        if query.skip or self._cache is None:
            return await self._source.fetch(query, caller)
        cache, self._cache = self._cache, None
        page, self._page = self._page, None
        if page is not None:
            # Its calls have been counted.
            return page.having(calls=0)
        # It has been read for this scan a moment ago, so it need not be revalidated.
        page = await self._source.fetch(replace(query, revalidate=False), caller)
        is_from_here = cache is CacheState.MISS and page.cache is CacheState.HIT
        return page.having(cache=CacheState.MISS) if is_from_here else page
