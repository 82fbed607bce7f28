"""Read blocks of rows by following the upstream's continuation until the block is full or the data ends.

The upstream's link only shows *that* more rows exist; the offset of the next request is the number of rows received.
The link itself is neither requested nor parsed. So the upstream cannot divert a token, and a
malformed link loses no row.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any, Protocol

from gateway.caller import Caller
from gateway.clocks.clock import SYSTEM_CLOCK, Clock
from gateway.dataset import Dataset
from gateway.errors import SnapshotChanged, UpstreamBadResponse
from gateway.page import INCOMPLETE, UNREADABLE_VALUES, Page, PageWarning
from gateway.query import PageQuery
from gateway.row_marks import marks_of
from gateway.snapshots.snapshot import Snapshot, snapshot_of
from gateway.upstream.codec import UpstreamResponse

# The limit of remembered blocks with differing dates but unchanged data; each takes about 300 bytes (our choice).
MAX_STABLE_BLOCKS = 4_096


class _MixedSnapshots(Exception):
    """Two upstream responses of one block have different totals."""


class Upstream(Protocol):
    """The source of a block's rows, such as UpstreamClient."""

    async def call(self, query: PageQuery, caller: Caller, *, deadline: float) -> UpstreamResponse:
        """Return the upstream's response to ``query``. Raises GatewayError."""
        ...


class BlockReader:
    """A PageSource that reads one block per fetch through UpstreamClient.

    ``max_calls`` bounds the HTTP requests of one fetch.
    """

    def __init__(
        self,
        client: Upstream,
        *,
        max_calls: int,
        operation_timeout_seconds: float,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._client = client
        self._max_calls = max_calls
        self._clock = clock
        self._operation_timeout_seconds = operation_timeout_seconds
        # Content hashes of the blocks with differing dates that were read twice with equal results.
        self._stable: OrderedDict[tuple[Any, ...], int] = OrderedDict()

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        """Return rows ``[query.skip, query.skip + query.top)``. Raises GatewayError.

        The fetch has its own deadline, because callers other than this one may wait for it. If the responses have
        different snapshots, the block is read again. If its content has not changed, its dates are accepted. Raises
        SnapshotChanged if the data changes a second time.
        """
        deadline = asyncio.get_running_loop().time() + self._operation_timeout_seconds
        calls = 0
        earlier = None
        for _ in range(2):
            block = _BlockBuilder(query, calls)
            try:
                await self._fill(block, caller, deadline)
            except _MixedSnapshots:
                pass
            else:
                if not block.has_conflict or self._is_stable(block, earlier, query, caller):
                    return block.page(self._clock.monotonic())
                earlier = block
            calls = block.calls
        raise SnapshotChanged(
            "The upstream is processing its data again at this moment. Start again from the first page."
        )

    def _is_stable(self, block: _BlockBuilder, earlier: _BlockBuilder | None, query: PageQuery, caller: Caller) -> bool:
        """Return True if a block with differing dates was read with the same content before."""
        key = (caller.token.locator, caller.locale, query.digest, query.skip, query.top)
        if earlier is None or earlier.content != block.content:
            return self._stable.get(key) == hash(block.content)
        self._stable[key] = hash(block.content)
        self._stable.move_to_end(key)
        if len(self._stable) > MAX_STABLE_BLOCKS:
            self._stable.popitem(last=False)
        return True

    async def _fill(self, block: _BlockBuilder, caller: Caller, deadline: float) -> None:
        while not block.is_done:
            if block.calls >= self._max_calls:
                raise UpstreamBadResponse(
                    f"The upstream needs more than {self._max_calls} calls for one block of rows. Contact the operator."
                )
            block.take(await self._client.call(block.next_query, caller, deadline=deadline))


class _BlockBuilder:
    """A block while its rows arrive."""

    def __init__(self, query: PageQuery, calls: int) -> None:
        self._query = query
        self._rows: list[Any] = []
        self._snapshot: Snapshot | None = None
        self._is_snapshot_merged = False
        # The upstream's total; None once the rows contradict it.
        self._total: int | None = None
        self._is_total_contradicted = False
        self._was_empty = False
        self._unreadable_values = 0
        self._unreadable_measures: dict[str, list[int]] = {}
        self._warnings: list[PageWarning] = []
        self._more: bool | None = None
        self._has_link = False
        # Two responses have different dates of one service.
        self.has_conflict = False
        self.calls = calls
        self.is_done = query.top <= 0

    @property
    def _end(self) -> int:
        return self._query.skip + len(self._rows)

    @property
    def content(self) -> tuple[Any, ...]:
        """Total and rows, for comparison with another reading."""
        return self._total, *self._rows

    @property
    def next_query(self) -> PageQuery:
        return self._query.rows(self._end, self._query.top - len(self._rows))

    def take(self, response: UpstreamResponse) -> None:
        """Add the rows of a response, and decide whether the block is complete. Raises _MixedSnapshots."""
        missing = self._query.top - len(self._rows)
        rows = response.rows[:missing]
        self.calls += response.attempts
        self._unreadable_values += response.unreadable_values
        for measure, numbers in response.unreadable_measures.items():
            kept = [len(self._rows) + number for number in numbers if number < missing]
            self._unreadable_measures[measure] = [*self._unreadable_measures.get(measure, ()), *kept]
        self._note_total(response, len(rows))
        self._note_snapshot(rows)
        self._has_link = response.has_link
        self._rows = [*self._rows, *rows] if self._rows else list(rows)
        if len(self._rows) == self._query.top:
            self._finish(self._more_after(response, has_overrun=len(response.rows) > missing))
        elif not rows:
            self._take_empty(response)
        elif not self._promises_more(response):
            self._finish(False)
        else:
            self._was_empty = False

    def _note_total(self, response: UpstreamResponse, rows: int) -> None:
        """Discard a total smaller than the number of rows seen. An empty block proves nothing about the rows before it.

        Raises _MixedSnapshots if the total differs from the previous one and both agreed with the rows seen so far.
        """
        total = response.total_count
        end = self._end + rows
        if total == 0 and end > 0 and not rows:
            # A count over an empty page, as SQL window functions return: this page is empty, but the data need not be.
            total = None
        is_usable = total is not None and (total >= end or not rows)
        if is_usable and self._total is not None and total != self._total:
            raise _MixedSnapshots
        seen = end if rows or self._rows else 0
        if (total is not None and total < seen) or (self._total is not None and self._total < seen):
            self._is_total_contradicted = True
        self._total = None if self._is_total_contradicted else (total if total is not None else self._total)

    def _note_snapshot(self, rows: tuple[Any, ...]) -> None:
        snapshot = _snapshot_of(rows, self._query.dataset, self._total)
        if self._snapshot is None:
            self._snapshot = snapshot
            return
        known = Snapshot(None, self._snapshot.dates) if self._is_total_contradicted else self._snapshot
        self.has_conflict |= known.conflicts(snapshot)
        self._snapshot = known.merged(snapshot)
        self._is_snapshot_merged = True

    def _promises_more(self, response: UpstreamResponse) -> bool:
        return response.has_link or (self._total is not None and self._total > self._end)

    def _more_after(self, response: UpstreamResponse, *, has_overrun: bool) -> bool | None:
        """Return whether a row follows a full block; None unless the total and the link agree."""
        if has_overrun:
            return True
        if self._total is None:
            return None
        total_promises_more = self._total > self._end
        return total_promises_more if total_promises_more == response.has_link else None

    def _take_empty(self, response: UpstreamResponse) -> None:
        if not self._promises_more(response):
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
        if self._unreadable_values:
            message = "Values that the gateway cannot read are null."
            self._warnings.insert(0, PageWarning(UNREADABLE_VALUES, message, count=self._unreadable_values))
        rows = tuple(self._rows)
        snapshot = self._snapshot or Snapshot()
        if self._is_snapshot_merged:
            # Computed over the whole block, so that a service with two dates in one response stays excluded.
            snapshot = _snapshot_of(rows, self._query.dataset, None)
        return Page(
            rows=rows,
            skip=self._query.skip,
            more=self._more,
            total_count=self._total,
            has_link=self._has_link,
            snapshot=Snapshot(self._total, snapshot.dates),
            warnings=tuple(self._warnings),
            unreadable={measure: marks_of(rows) for measure, rows in self._unreadable_measures.items()},
            fetched_at=now,
            calls=self.calls,
        )


def _snapshot_of(rows: tuple[Any, ...], dataset: Dataset, total_count: int | None) -> Snapshot:
    names = dataset.attributes
    return snapshot_of(rows, service=names[dataset.service], date=names[dataset.date], total_count=total_count)
