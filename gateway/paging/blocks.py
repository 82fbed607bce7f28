"""The rows of one question, loaded block by block as they are needed, and what is known of where they end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.errors import UpstreamTimeout
from gateway.page import INCOMPLETE, Caller, Page, PageSource, PageWarning, Stamp
from gateway.query import PageQuery

# A shared call ends by itself at its own deadline with the better error; the waiter's own timer runs a little longer.
GRACE_SECONDS = 0.25


class Torn(Exception):
    """Two blocks come from different processings of the data; they must be read once more."""


@dataclass(frozen=True, slots=True)
class BlockSizes:
    """Rows ``[0, first_rows)`` are one block where that is enough; otherwise blocks of ``rows`` rows."""

    first_rows: int
    rows: int

    def covering(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Start and size of each block that rows ``[start, stop)`` lie in; ``stop`` is above ``start``."""
        if stop <= self.first_rows:
            return [(0, self.first_rows)]
        first = start - start % self.rows
        return [(skip, self.rows) for skip in range(first, stop, self.rows)]


class Blocks:
    """Blocks of one question that one answer is cut from. Raises Torn when they contradict one another."""

    def __init__(self, source: PageSource, query: PageQuery, caller: Caller, sizes: BlockSizes) -> None:
        self._source = source
        self._query = query
        self._caller = caller
        self._sizes = sizes
        self._pages: dict[int, Page] = {}
        self.stamp = Stamp()
        # Start and size of each block that was asked for.
        self.asked: list[tuple[int, int]] = []

    @property
    def pages(self) -> list[Page]:
        """What was loaded, in the order of rows."""
        return [self._pages[skip] for skip in sorted(self._pages)]

    @property
    def known_end(self) -> int | None:
        """How many rows there are, where that was seen; not what the upstream's total says."""
        pages = self.pages
        for previous, page in zip([None, *pages], pages, strict=False):
            # An empty block tells the end only where the block before it reaches that far.
            is_joined = page.skip == 0 or (previous is not None and previous.end == page.skip)
            if page.more is False and (page.rows or is_joined):
                return page.end
        return None

    @property
    def total_count(self) -> int | None:
        """The upstream's total, unless it is unusable or what was seen contradicts it."""
        total = self.stamp.total_count
        seen_rows = max((page.end for page in self.pages if page.rows), default=0)
        if total is None or seen_rows > total or self.known_end not in (None, total):
            return None
        return total

    async def load(self, start: int, stop: int) -> None:
        """Load the blocks of rows ``[start, stop)``: the first alone, those that the total promises side by side.

        What lies behind them is read one by one, until a block says that the data has ended: a total may be too low.
        """
        covering = self._sizes.covering(start, stop) if stop > start else []
        wanted = [block for block in covering if not self._holds(*block)]
        if wanted and not self._pages:
            await self._load_block(*wanted.pop(0))
        total = self.total_count or 0
        await self._load_side_by_side([(skip, rows) for skip, rows in wanted if skip < total])
        for skip, rows in wanted:
            if self._known_to_exist(skip) is False:
                return
            if not self._holds(skip, rows):
                await self._load_block(skip, rows)

    async def exists(self, offset: int) -> bool:
        """Whether row ``offset`` exists; loads its block only when nothing loaded tells."""
        known = self._known_to_exist(offset)
        if known is None:
            await self.load(offset, offset + 1)
            known = self._known_to_exist(offset)
        return bool(known)

    async def is_empty(self) -> bool:
        """True when the question has no row at all."""
        return not self.total_count and not await self.exists(0)

    def rows(self, start: int, stop: int) -> Iterator[tuple[Page, int, int]]:
        """Pieces of rows ``[start, stop)``: a page, and the range within its rows."""
        for page in self.pages:
            low, high = max(start, page.skip), min(stop, page.end)
            if low < high:
                yield page, low - page.skip, high - page.skip
                start = high

    def warnings(self) -> list[PageWarning]:
        """The warnings of all that was loaded, one of each code, with counts added up and the greatest age."""
        found = {INCOMPLETE.code: INCOMPLETE} if self._ends_too_soon else {}
        for warning in (warning for page in self.pages for warning in page.warnings):
            other = found.get(warning.code)
            found[warning.code] = warning if other is None else _joined(other, warning)
        return list(found.values())

    @property
    def _ends_too_soon(self) -> bool:
        """True when one block promised rows that another one does not have: data that vanished may tell no total."""
        total = self.stamp.total_count
        return total is not None and any(page.more is False and page.end < total for page in self.pages)

    def _holds(self, skip: int, rows: int) -> bool:
        page = self._pages.get(skip)
        return page is not None and (page.more is False or page.end >= skip + rows)

    def _known_to_exist(self, offset: int) -> bool | None:
        pages = self.pages
        if any(page.rows and offset < page.end for page in pages):
            return True
        # Who saw the end knows better than who was promised more.
        if any(page.more is False and offset >= page.end for page in pages):
            return False
        return True if any(page.more is True and offset == page.end for page in pages) else None

    async def _load_side_by_side(self, wanted: list[tuple[int, int]]) -> None:
        if len(wanted) == 1:
            await self._load_block(*wanted[0])
            return
        tasks = [asyncio.ensure_future(self._load_block(*block)) for block in wanted]
        try:
            await asyncio.gather(*tasks)
        finally:
            # The first failure decides the answer; what the others would fetch is of no use to it.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _load_block(self, skip: int, rows: int) -> None:
        self.asked.append((skip, rows))
        self._caller.budget.reserve()
        try:
            async with asyncio.timeout_at(self._caller.deadline + GRACE_SECONDS):
                page = await self._source.fetch(self._query.rows(skip, rows), self._caller)
        except TimeoutError:
            raise UpstreamTimeout("The upstream did not answer in time. Try again, or ask for fewer rows.") from None
        self._caller.budget.settle(page.calls)
        if any(page.stamp.conflicts(other.stamp) for other in self._pages.values()):
            raise Torn
        self._pages[skip] = page
        self.stamp = self.stamp.merged(page.stamp)


def _joined(one: PageWarning, other: PageWarning) -> PageWarning:
    counts = [warning.count for warning in (one, other) if warning.count is not None]
    ages = [warning.age_seconds for warning in (one, other) if warning.age_seconds is not None]
    return PageWarning(one.code, one.message, sum(counts) if counts else None, max(ages) if ages else None)
