"""All rows of one query in one snapshot, block after block, from the first row or from a later one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from operator import attrgetter

from gateway.caller import Ahead, Caller
from gateway.errors import Forbidden, Unauthenticated
from gateway.page import INCOMPLETE, CacheState, Page, PageSource, Promise
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.blocks import Blocks, is_repeated
from gateway.paging.read_ahead import BlocksAhead, ReadAhead
from gateway.paging.stream_errors import changed_stream, incomplete_stream
from gateway.query import FALSE, PageQuery
from gateway.snapshots.differing_blocks import DifferingBlocks
from gateway.snapshots.snapshot import Snapshot
from gateway.snapshots.snapshot_digest import SnapshotDigest


@dataclass(slots=True)
class RowStream:
    """A reader of the rows of a query, which holds at most two blocks at a time, and those loaded ahead.

    It begins with row ``start``. If that is not the first row, ``digest`` is of the snapshot of the rows before it.
    ``accepts_incomplete`` allows blocks with missing rows in the opening, whose warnings a response can still report.
    With ``is_thorough`` they are allowed everywhere: ``is_short`` then says whether the end is missing. If such a
    stream is closed early, its calls in flight finish, so that their blocks are cached.
    ``caller`` creates a Caller with a fresh deadline and budget for each block, so that a stream may take as long as
    its reader does. ``rows`` and ``cache_states`` cover the blocks read so far.
    """

    source: PageSource
    query: PageQuery
    sizes: BlockSizes
    caller: Callable[[], Caller]
    start: int = 0
    digest: SnapshotDigest | None = None
    accepts_incomplete: bool = False
    is_thorough: bool = False
    differing: DifferingBlocks = field(default_factory=DifferingBlocks)
    ahead: ReadAhead = field(default_factory=lambda: ReadAhead(0))
    rows: int = 0
    cache_states: set[CacheState] = field(default_factory=set)
    is_short: bool = False
    # The announced number of rows; None until a page has it.
    _total: int | None = None
    # The row that the page before the present one announced.
    _promise: Promise | None = None
    # The error by which the upstream refused the token, perhaps for a block loaded ahead.
    _refusal: Unauthenticated | Forbidden | None = None

    async def opening(self) -> list[Page]:
        """Load the first block, and the second if it may be needed. Raises GatewayError.

        It is needed if one of them may have been cached, or if missing rows are accepted: only a response's head can
        report these.
        The first one begins with row ``start``. A cached block and a fresh one may come from different snapshots. If
        the blocks conflict, they are read again, at most twice. A conflict is accepted if both blocks are then
        unchanged, because the data did not change.
        """
        if self.query.filter == FALSE:
            if self.start:
                raise changed_stream()
            return [Page(rows=(), more=False)]
        query, tried = self.query, dict[int, Page]()
        for tries_left in (2, 1, 0):
            earlier, tried = tried, {}
            first = await self._opening_block(query, self.start - self.start % self.sizes.rows, tried)
            if await self._continues(query, first, tried):
                pages = [first]
                if not self._is_last(first) and self._needs_second(first, query):
                    pages.append(await self._opening_block(query, self._next_block(first.skip), tried))
                if all(self._agree(query, pair, earlier) for pair in combinations(tried.values(), 2)):
                    rows = first.rows[self.start - first.skip :] if self.start > first.skip else first.rows
                    return self._complete([first.having(rows=rows, skip=self.start), *pages[1:]], tried.values())
            elif all(page.cache is CacheState.MISS for page in tried.values()):
                raise changed_stream(is_continued=True)
            if self.digest is not None or tries_left == 1:
                # A cached block may be older than the snapshot, and a shared call may have begun before it.
                query = replace(query, revalidate=True)
        raise changed_stream(is_continued=self.digest is not None)

    async def pages(self, opening: list[Page]) -> AsyncGenerator[Page]:
        """Yield the pages of ``opening``, emptying it, and the pages after them. Raises GatewayError.

        A page's rows are counted when the next page is requested. A conflict between pages raises SnapshotChanged.
        """
        marks: dict[Snapshot, Page] = {}
        page = opening.pop(0)
        ahead = self.ahead.traversal(self._block_ahead, self.caller().token.locator)
        try:
            while True:
                await self._require_one_snapshot(page, marks)
                ahead.extend(self._rows_ahead(opening[-1] if opening else page))
                yield page
                self.rows += len(page.rows)
                if self._is_last(page):
                    self._require_end(page)
                    return
                skip, self._promise = self._next_block(page.skip), page.promise
                # Release the page while the next one is loaded.
                del page
                page = opening.pop(0) if opening else await self._next_page(skip, ahead)
        finally:
            if self.is_thorough:
                await ahead.finish()
            await ahead.aclose()

    async def _next_page(self, skip: int, ahead: BlocksAhead) -> Page:
        page = await ahead.take(skip)
        if page is None:
            page = await self._block(self.query, skip, accepts_incomplete=self.is_thorough)
        if not page.is_outdated(self._promise):
            return page
        query = replace(self.query, revalidate=True)
        return await self._block(query, skip, accepts_incomplete=self.is_thorough)

    def _complete(self, pages: list[Page], tried: Iterable[Page]) -> list[Page]:
        """Return the opening, with a warning if it ends before the announced number of rows and may do so."""
        self._note_totals([*tried, *pages])
        if self.accepts_incomplete and self._is_last(pages[-1]) and self._ends_too_soon(pages[-1]):
            pages[-1] = pages[-1].having(warnings=(*pages[-1].warnings, INCOMPLETE))
        elif self._is_last(pages[-1]):
            self._require_end(pages[-1])
        return pages

    def _note_totals(self, pages: Iterable[Page]) -> None:
        for page in pages:
            if self._total is None:
                self._total = page.snapshot.total_count

    def _ends_too_soon(self, page: Page) -> bool:
        """Return True if the upstream announced rows after ``page``, the last one."""
        return self._total is not None and page.end < self._total and not page.is_incomplete

    def _require_end(self, page: Page) -> None:
        self._note_totals([page])
        if self._ends_too_soon(page):
            if not self.is_thorough:
                raise incomplete_stream()
            self.is_short = True

    def _needs_second(self, first: Page, query: PageQuery) -> bool:
        is_head_last = self.accepts_incomplete and not self.is_thorough
        return first.cache is not CacheState.MISS or query.revalidate or is_head_last

    def _rows_ahead(self, page: Page) -> range:
        """Return the first rows of the blocks after ``page`` up to the known total; none if ``page`` was cached.

        After a cached block the next one is probably cached, too. A thorough stream may continue an earlier one.
        """
        total, may_be_cached = page.snapshot.total_count, page.cache is not CacheState.MISS and not self.is_thorough
        if total is None or may_be_cached or self._is_last(page):
            return range(0)
        return range(self._next_block(page.skip), total, self.sizes.rows)

    async def _block_ahead(self, skip: int, ahead: Ahead) -> Page:
        return await self._block(self.query, skip, accepts_incomplete=self.is_thorough, ahead=ahead)

    async def _require_one_snapshot(self, page: Page, marks: dict[Snapshot, Page]) -> None:
        """Compare ``page`` with ``marks``: a mark of the last page of each snapshot so far. Raises SnapshotChanged."""
        if self.digest is not None and self.digest.conflicts(page.snapshot):
            start = next((mark for mark in marks.values() if mark.skip == 0), None)
            if start is None:
                start = self._mark(await self._block(self.query, 0, accepts_incomplete=True))
            if self.digest.conflicts(start.snapshot):
                raise changed_stream(is_continued=True)
            marks.setdefault(start.snapshot, start)
        mark = self._mark(page)
        conflicting = [other for other in marks.values() if self._conflict(other, mark)]
        if conflicting:
            await self._require_repetition(max(conflicting, key=attrgetter("skip")), page)
        marks[mark.snapshot] = mark

    async def _require_repetition(self, mark: Page, page: Page) -> None:
        """Read two conflicting blocks again. Raises SnapshotChanged if one of them has changed."""
        query = replace(self.query, revalidate=True)
        if self._mark(await self._block(query, mark.skip, accepts_incomplete=True)) != mark:
            raise changed_stream()
        again = await self._block(query, page.skip, accepts_incomplete=True)
        if not is_repeated(page, again):
            raise changed_stream()
        if not self.differing.accept(self.query, self.caller(), mark, page):
            raise changed_stream()

    def _mark(self, page: Page) -> Page:
        """Return a small page for later comparisons: the place, the snapshot and the last row of ``page``."""
        skip = page.skip - page.skip % self.sizes.rows
        return Page((page.end, *page.rows[-1:]), skip, snapshot=page.snapshot)

    def _conflict(self, one: Page, other: Page) -> bool:
        return self.differing.conflict(self.query, self.caller(), one, other)

    def _agree(self, query: PageQuery, pair: tuple[Page, Page], earlier: Mapping[int, Page]) -> bool:
        one, other = pair
        if not query.revalidate and (one.is_outdated(other.promise) or other.is_outdated(one.promise)):
            return False
        if not self._conflict(one, other):
            return True
        if not query.revalidate or not all(
            page.skip in earlier and is_repeated(earlier[page.skip], page) for page in pair
        ):
            return False
        return self.differing.accept(self.query, self.caller(), one, other)

    async def _continues(self, query: PageQuery, first: Page, tried: dict[int, Page]) -> bool:
        """Return whether the block of row ``start`` shows that all rows before it exist, in the same snapshot."""
        if self.digest is None:
            return True
        known = first
        if self.start and not first.rows:
            # Only the block before shows whether the data ends exactly here.
            known = await self._opening_block(query, max(0, first.skip - self.sizes.rows), tried)
        if known.end < self.start:
            return False
        if self.digest.conflicts(known.snapshot) or not self.digest.can_compare(known.snapshot):
            # Dates may differ from block to block; the digest has those of the first block.
            known = tried.get(0) or await self._opening_block(query, 0, tried)
        return not self.digest.conflicts(known.snapshot)

    async def _opening_block(self, query: PageQuery, skip: int, tried: dict[int, Page]) -> Page:
        tried[skip] = page = await self._block(query, skip, accepts_incomplete=self.accepts_incomplete)
        return page

    def _next_block(self, row: int) -> int:
        return row - row % self.sizes.rows + self.sizes.rows

    def _is_last(self, page: Page) -> bool:
        return not page.reaches(self._next_block(page.skip)) or page.more is False

    async def _block(
        self, query: PageQuery, skip: int, *, accepts_incomplete: bool, ahead: Ahead | None = None
    ) -> Page:
        if self._refusal is not None:
            # The token is not sent again.
            raise self._refusal
        caller = replace(self.caller(), ahead=ahead)
        blocks = Blocks(self.source, query, caller, self.sizes)
        try:
            # Requesting the last row loads a block of full size: reading all rows should take the fewest calls.
            await blocks.load(skip + self.sizes.rows - 1, skip + self.sizes.rows)
        except (Unauthenticated, Forbidden) as refusal:
            self._refusal = refusal
            raise
        (page,) = blocks.pages
        if page.is_incomplete and not accepts_incomplete:
            raise incomplete_stream()
        self.cache_states.add(page.cache)
        return page
