"""All rows of a view, page after page, for exports."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.caller import Budget, Caller
from gateway.page import CacheState, Page, out_of_range_warnings
from gateway.paging.stream_errors import changed_stream, incomplete_stream
from gateway.query import FALSE, PageQuery
from gateway.scanning.cached_views import CachedViews
from gateway.scanning.view import View
from gateway.snapshots.snapshot import Snapshot
from gateway.snapshots.snapshot_digest import SnapshotDigest
from gateway.views.refinement import Refinement

# Rows drawn at once: as many as a block has by default.
PAGE_ROWS = 10_000

# The most rows of a scan bound its calls.
_MAX_CALLS = 1_000_000


@dataclass(slots=True)
class ViewStream:
    """The rows of a query that ``refinement`` selects, in its order, from row ``start``, as a RowStream has them.

    ``digest`` is of the snapshot of the rows before ``start``. Its snapshot is the view's content, so that any change
    is noticed. Reading all rows may take as long as it needs: only its blocks have a time limit.
    """

    views: CachedViews
    query: PageQuery
    refinement: Refinement
    caller: Callable[[], Caller]
    start: int = 0
    digest: SnapshotDigest | None = None
    accepts_incomplete: bool = False
    rows: int = 0
    cache_states: set[CacheState] = field(default_factory=set)
    # Both are set by the opening.
    _view: View | None = None
    _numbers: Any = None

    async def opening(self) -> list[Page]:
        """Return the first page. Raises GatewayError."""
        if self.query.filter == FALSE:
            if self.start:
                raise changed_stream()
            return [Page(rows=(), more=False)]
        view = self._view = await self._read()
        self.cache_states.add(view.cache)
        numbers = self._numbers = await view.numbers(self.refinement)
        snapshot = Snapshot(len(numbers), (("", view.table.digest.hex()),))
        if self.start > len(numbers) or (self.digest is not None and self.digest.conflicts(snapshot)):
            raise changed_stream(is_continued=True)
        too_large = await view.out_of_range(self.refinement.fields)
        warnings = (*view.warnings, *out_of_range_warnings(too_large))
        return [(await self._page(view, self.start)).having(snapshot=snapshot, warnings=warnings)]

    async def pages(self, opening: list[Page]) -> AsyncGenerator[Page]:
        """Yield the page of ``opening``, emptying it, and the pages after it."""
        page = opening.pop(0)
        while True:
            yield page
            self.rows += len(page.rows)
            if not page.more or self._view is None:
                return
            page = await self._page(self._view, page.end)

    async def _read(self) -> View:
        caller = self.caller()
        patient = replace(caller, deadline=math.inf, budget=Budget(_MAX_CALLS, caller.budget.cost))
        dataset = self.query.dataset
        is_by_rows = not dataset.exceptional.isdisjoint(self.refinement.fields)
        view = await self.views.view(self.query, patient, is_by_rows=is_by_rows)
        if view.is_incomplete and not self.accepts_incomplete:
            raise incomplete_stream()
        return view

    async def _page(self, view: View, start: int) -> Page:
        rows = await view.items(self._numbers[start : start + PAGE_ROWS], self.query.dataset.row)
        more = start + len(rows) < len(self._numbers)
        return Page(rows, start, more=more, fetched_at=view.fetched_at, cache=view.cache)
