"""The rows of a query that a connection shows: pagination after the Relay cursor connections specification.

A window is a range of row offsets ``[start, stop)``. ``first`` counts from its start, ``last`` from its end; ``after``,
``before`` and ``offset`` limit it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from gateway.clocks.instant import instant
from gateway.errors import BadUserInput, SnapshotChanged
from gateway.page import CacheState
from gateway.paging import cursor
from gateway.paging.blocks import Blocks
from gateway.paging.cursor import Cursor, CursorSnapshot
from gateway.snapshots.snapshot import Snapshot

# Rows of a page without ``first`` and ``last`` (our choice: a screenful or two).
DEFAULT_PAGE_ROWS = 100

# A wrong total may move the window this many times; each time, the loaded blocks show more of the true end.
_MAX_MOVES = 3


class CursorState(Enum):
    """The snapshot of a cursor: that of the blocks, a newer one than that of cached blocks, or any other."""

    SAME = auto()
    AHEAD = auto()
    CHANGED = auto()


@dataclass(frozen=True, slots=True)
class PageArguments:
    """Validated paging arguments: exactly one of ``first`` and ``last`` is set."""

    first: int | None
    last: int | None
    after: Cursor | None
    before: Cursor | None
    offset: int

    @property
    def cursors(self) -> list[Cursor]:
        """``after`` and ``before``, as far as they are set."""
        return [bound for bound in (self.after, self.before) if bound is not None]

    @property
    def counts_from_end(self) -> bool:
        """True if the window depends on the number of rows."""
        return self.last is not None and self.before is None

    @property
    def start(self) -> int:
        """The first offset that may be shown."""
        return self.offset if self.after is None else self.after.offset + 1

    def rows_within(self, end: int) -> int:
        """Return the number of rows that these arguments select from data that ends at ``end``."""
        stop = end if self.before is None else min(end, self.before.offset)
        rows = self.first if self.first is not None else self.last or 0
        return max(0, min(rows, stop - self.start))


def page_arguments(
    *,
    first: int | None,
    last: int | None,
    after: str | None,
    before: str | None,
    offset: int | None,
    fingerprint: bytes,
    max_rows: int,
) -> PageArguments:
    """Validate the arguments of a connection field. Raises BadUserInput and InvalidCursor."""
    for name, value in (("first", first), ("last", last), ("offset", offset)):
        if value is not None and value < 0:
            raise BadUserInput(f"'{name}' is negative. Give 0 or more.", argument=name)
        if value is not None and name != "offset" and value > max_rows:
            raise BadUserInput(f"'{name}' is more than {max_rows}. Request fewer rows per page.", argument=name)
    if first is not None and last is not None:
        raise BadUserInput("'first' and 'last' exclude each other. Give one of them.", argument="last")
    if offset is not None and (after is not None or before is not None or last is not None):
        raise BadUserInput(
            "'offset' goes with 'first' alone. Leave out 'after', 'before' and 'last'.", argument="offset"
        )
    if first is None and last is None:
        backward = before is not None and after is None
        first, last = (None, min(DEFAULT_PAGE_ROWS, max_rows)) if backward else (min(DEFAULT_PAGE_ROWS, max_rows), None)
    return PageArguments(
        first=first,
        last=last,
        after=None if after is None else cursor.decode(after, fingerprint, argument="after"),
        before=None if before is None else cursor.decode(before, fingerprint, argument="before"),
        offset=offset or 0,
    )


def window_of(arguments: PageArguments, rows: int) -> tuple[int, int]:
    """Return the range that ``arguments`` select from ``rows`` rows, all of which are known."""
    start = min(arguments.start, rows)
    stop = max(start, rows if arguments.before is None else min(rows, arguments.before.offset))
    if arguments.last is not None:
        return max(start, stop - arguments.last), stop
    return start, min(stop, start + (arguments.first or 0))


async def load_window(blocks: Blocks, arguments: PageArguments) -> tuple[int, int]:
    """Load the rows that ``arguments`` select and return their range. Raises GatewayError and SnapshotConflict."""
    start = stop = 0
    for _ in range(_MAX_MOVES):
        start, stop = await _range(blocks, arguments)
        await blocks.load(start, stop)
        # A row at the supposed end shows that the total was too low.
        is_end_wrong = arguments.counts_from_end and await blocks.exists(stop)
        if not is_end_wrong and (start, stop) == await _range(blocks, arguments):
            break
    return start, stop


async def _range(blocks: Blocks, arguments: PageArguments) -> tuple[int, int]:
    start = arguments.start
    if arguments.last is None:
        stop = start + (arguments.first or 0)
        if arguments.before is not None:
            stop = min(stop, arguments.before.offset)
        return start, max(start, stop)
    stop = arguments.before.offset if arguments.before is not None else await _end(blocks, start)
    return max(start, stop - arguments.last), max(start, stop)


async def _end(blocks: Blocks, start: int) -> int:
    if not blocks.pages:
        await blocks.load(start, start + 1)
    end = blocks.known_end if blocks.known_end is not None else blocks.total_count
    if end is None:
        raise BadUserInput(
            "'last' without 'before' needs the number of rows, which the upstream does not report. Page forward with"
            " 'first', or give 'before'.",
            argument="last",
        )
    empty_from = min((page.skip for page in blocks.pages if page.more is False and not page.rows), default=end)
    return end if empty_from >= end else await _find_end(blocks, empty_from)


async def _find_end(blocks: Blocks, end: int) -> int:
    """Find the last row by binary search when the total is too high by whole blocks; row ``end`` does not exist."""
    start = 0
    while blocks.known_end is None and start < end:
        middle = (start + end) // 2
        if await blocks.exists(middle):
            start = middle + 1
        else:
            end = middle
    return end if blocks.known_end is None else blocks.known_end


async def cursors_exist(blocks: Blocks, arguments: PageArguments) -> bool:
    """Return whether the row of each cursor exists. Loads these rows, so that an empty page has a snapshot, too."""
    return all([await blocks.exists(bound.offset) for bound in arguments.cursors])


async def compare_cursor(blocks: Blocks, bound: Cursor) -> CursorState:
    """Compare the snapshot of a cursor with that of the blocks. Raises GatewayError and SnapshotConflict."""
    if not isinstance(bound.mark, CursorSnapshot):
        return CursorState.CHANGED
    pages, present = blocks.pages, CursorSnapshot.of(blocks.snapshot)
    if not bound.mark.conflicts(present):
        return CursorState.SAME
    if None in (totals := {bound.mark.total_count, present.total_count}) or len(totals) == 1:
        # Dates may differ from block to block, so only the block with the cursor's row decides.
        own = await blocks.page_of(bound.offset)
        if own is not None:
            pages, present = [own], CursorSnapshot.of(own.snapshot)
    if not bound.mark.conflicts(present):
        return CursorState.SAME
    is_cached = any(page.cache is not CacheState.MISS for page in pages)
    return CursorState.AHEAD if is_cached and bound.mark.is_newer(present) else CursorState.CHANGED


async def snapshot_changed(blocks: Blocks) -> SnapshotChanged:
    """Return the error for a cursor of another snapshot, with the present snapshot's date if the upstream sends it."""
    if not blocks.snapshot.dates:
        await blocks.load(0, 1)
    return changed_since_cursor(blocks.snapshot)


def changed_since_cursor(present: Snapshot) -> SnapshotChanged:
    """Return the error for a cursor of another snapshot than ``present``, with its latest date if it has one."""
    dates = [when for _, when in present.dates]
    message = (
        "The data was processed again after this cursor was issued, or the token belongs to another account. Start"
        " again from the first page."
    )
    return SnapshotChanged(message, processedDateTime=max(dates, key=instant)) if dates else SnapshotChanged(message)
