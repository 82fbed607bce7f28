"""Blocks of rows, read by following the upstream's continuation until they are full or the data ends.

The upstream's link says *that* there is more; *where* is always the rows received so far. Its text is neither fetched
nor parsed, so no upstream can send a token elsewhere, and no malformed link can lose a row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from gateway.errors import SnapshotChanged, UpstreamBadResponse
from gateway.page import INCOMPLETE, Caller, Page, PageWarning, Stamp, stamp_of
from gateway.query import Dataset, PageQuery
from gateway.upstream.client import Reply


class _Renewed(Exception):
    """Two replies of one block come from different processings of the data."""


class Upstream(Protocol):
    """What a block is read from; UpstreamClient is one."""

    async def call(self, query: PageQuery, caller: Caller, *, deadline: float) -> Reply:
        """One reply to ``query``. Raises GatewayError."""
        ...


class BlockReader:
    """A PageSource over UpstreamClient: one fetch reads one block.

    ``max_calls`` bounds the HTTP requests of one fetch; ``clock`` is in seconds since 1970.
    """

    def __init__(
        self,
        client: Upstream,
        *,
        max_calls: int,
        clock: Callable[[], float],
        operation_timeout_seconds: float,
    ) -> None:
        self._client = client
        self._max_calls = max_calls
        self._clock = clock
        self._operation_timeout_seconds = operation_timeout_seconds

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        """Rows ``[query.skip, query.skip + query.top)``. Raises GatewayError.

        The deadline is the fetch's own, for others than this caller may wait for it. When the data is processed anew
        between two replies, the block is read once more; if that happens again, SnapshotChanged is raised.
        """
        deadline = asyncio.get_running_loop().time() + self._operation_timeout_seconds
        calls = 0
        for _ in range(2):
            block = _Block(query, calls)
            try:
                await self._fill(block, caller, deadline)
            except _Renewed:
                calls = block.calls
            else:
                return block.page(self._clock())
        raise SnapshotChanged("The data is being processed anew just now. Start again.")

    async def _fill(self, block: _Block, caller: Caller, deadline: float) -> None:
        while not block.is_done:
            if block.calls >= self._max_calls:
                raise UpstreamBadResponse(
                    f"The upstream needs more than {self._max_calls} calls for one block of rows. Tell the operator."
                )
            block.take(await self._client.call(block.next_query, caller, deadline=deadline))


class _Block:
    """What is known of a block while it fills."""

    def __init__(self, query: PageQuery, calls: int) -> None:
        self._query = query
        self._rows: list[Any] = []
        self._stamp: Stamp | None = None
        self._is_stamp_merged = False
        # The upstream's total as long as nothing contradicts it; None from then on.
        self._total: int | None = None
        self._is_total_contradicted = False
        self._was_empty = False
        self._unreadable_values = 0
        self._warnings: list[PageWarning] = []
        self._more: bool | None = None
        self.calls = calls
        self.is_done = query.top <= 0

    @property
    def _end(self) -> int:
        return self._query.skip + len(self._rows)

    @property
    def next_query(self) -> PageQuery:
        """The question for the rows that are still missing."""
        return self._query.rows(self._end, self._query.top - len(self._rows))

    def take(self, reply: Reply) -> None:
        """Add a reply's rows, and judge whether the block is done. Raises _Renewed."""
        missing = self._query.top - len(self._rows)
        rows = reply.rows[:missing]
        self.calls += reply.attempts
        self._unreadable_values += reply.unreadable_values
        self._note_total(reply, len(rows))
        self._note_stamp(rows)
        self._rows = [*self._rows, *rows] if self._rows else list(rows)
        if len(self._rows) == self._query.top:
            self._finish(self._more_after(reply, has_overrun=len(reply.rows) > missing))
        elif not rows:
            self._take_empty(reply)
        elif not self._promises_more(reply):
            self._finish(False)
        else:
            self._was_empty = False

    def _note_total(self, reply: Reply, rows: int) -> None:
        """Drop a total that is smaller than the rows seen. Beyond the end of the data there are none to see.

        Raises _Renewed when it is another than before, and both fitted what was seen when they were told.
        """
        total = reply.total_count
        end = self._end + rows
        if total == 0 and end > 0 and not rows:
            # Counted over no rows, as SQL's window functions do: it tells that these rows are none, not that all are.
            total = None
        is_usable = total is not None and (total >= end or not rows)
        if is_usable and self._total is not None and total != self._total:
            raise _Renewed
        seen = end if rows or self._rows else 0
        if (total is not None and total < seen) or (self._total is not None and self._total < seen):
            self._is_total_contradicted = True
        self._total = None if self._is_total_contradicted else (total if total is not None else self._total)

    def _note_stamp(self, rows: tuple[Any, ...]) -> None:
        stamp = _stamp(rows, self._query.dataset, self._total)
        if self._stamp is None:
            self._stamp = stamp
            return
        known = Stamp(None, self._stamp.dates) if self._is_total_contradicted else self._stamp
        if known.conflicts(stamp):
            raise _Renewed
        self._stamp = known.merged(stamp)
        self._is_stamp_merged = True

    def _promises_more(self, reply: Reply) -> bool:
        return reply.has_link or (self._total is not None and self._total > self._end)

    def _more_after(self, reply: Reply, *, has_overrun: bool) -> bool | None:
        """What is known of the row behind a full block: one witness alone is no proof."""
        if has_overrun:
            return True
        if self._total is None:
            return None
        says_total = self._total > self._end
        return says_total if says_total == reply.has_link else None

    def _take_empty(self, reply: Reply) -> None:
        if not self._promises_more(reply):
            self._finish(False)
        elif not self._was_empty:
            self._was_empty = True
        else:
            self._warnings.append(INCOMPLETE)
            self._finish(False)

    def _finish(self, more: bool | None) -> None:
        self._more = more
        self.is_done = True
        is_beyond_end = not self._rows and self._total is not None and self._total <= self._query.skip
        if more is False and self._total != self._end and not is_beyond_end:
            self._total = None

    def page(self, now: float) -> Page:
        """The finished block."""
        if self._unreadable_values:
            message = "Values that the gateway cannot read are null."
            self._warnings.insert(0, PageWarning("UPSTREAM_UNREADABLE_VALUES", message, count=self._unreadable_values))
        rows = tuple(self._rows)
        stamp = self._stamp or Stamp()
        if self._is_stamp_merged:
            # Over the whole block, so that a service with two dates in any one reply stays left out.
            stamp = _stamp(rows, self._query.dataset, None)
        return Page(
            rows=rows,
            skip=self._query.skip,
            more=self._more,
            total_count=self._total,
            stamp=Stamp(self._total, stamp.dates),
            warnings=tuple(self._warnings),
            fetched_at=now,
            calls=self.calls,
        )


def _stamp(rows: tuple[Any, ...], dataset: Dataset, total_count: int | None) -> Stamp:
    names = dataset.attributes
    return stamp_of(rows, service=names[dataset.service], date=names[dataset.date], total_count=total_count)
