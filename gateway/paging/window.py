"""Which rows of a question a connection shows: the pagination algorithm of the Relay cursor connections specification.

A window is a range of row offsets ``[start, stop)``. ``first`` counts from its start, ``last`` from its end; ``after``,
``before`` and ``offset`` bound it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import BadUserInput, SnapshotChanged
from gateway.paging import cursor
from gateway.paging.blocks import Blocks
from gateway.paging.cursor import Cursor

# Rows of a page when the caller gives neither ``first`` nor ``last`` (our choice: a screenful or two).
DEFAULT_PAGE_ROWS = 100

# How often a total that proves wrong may move the window; each time the known end is nearer the truth.
_MAX_MOVES = 3


@dataclass(frozen=True, slots=True)
class PageArguments:
    """The checked paging arguments: exactly one of ``first`` and ``last`` is given."""

    first: int | None
    last: int | None
    after: Cursor | None
    before: Cursor | None
    offset: int

    @property
    def cursors(self) -> list[Cursor]:
        """The cursors that were given."""
        return [given for given in (self.after, self.before) if given is not None]

    @property
    def counts_from_end(self) -> bool:
        """True when the window hangs on where all rows end."""
        return self.last is not None and self.before is None

    @property
    def start(self) -> int:
        """First offset that may be shown."""
        return self.offset if self.after is None else self.after.offset + 1

    def rows_within(self, end: int) -> int:
        """How many rows these arguments show of data that ends at ``end``."""
        stop = end if self.before is None else min(end, self.before.offset)
        wanted = self.first if self.first is not None else self.last or 0
        return max(0, min(wanted, stop - self.start))


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
    """Check the arguments of a connection field. Raises BadUserInput and InvalidCursor."""
    for name, value in (("first", first), ("last", last), ("offset", offset)):
        if value is not None and value < 0:
            raise BadUserInput(f"'{name}' is negative. Give 0 or more.", argument=name)
        if value is not None and name != "offset" and value > max_rows:
            raise BadUserInput(f"'{name}' is more than {max_rows}. Ask for fewer rows and page on.", argument=name)
    if first is not None and last is not None:
        raise BadUserInput("'first' and 'last' exclude each other. Give one of them.", argument="last")
    if offset is not None and (after is not None or before is not None or last is not None):
        raise BadUserInput("'offset' goes with 'first' alone, not with after, before or last.", argument="offset")
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


async def load_window(blocks: Blocks, arguments: PageArguments) -> tuple[int, int]:
    """Load the rows that ``arguments`` ask for and say which they are. Raises what loading raises, and BadUserInput."""
    start = stop = 0
    for _ in range(_MAX_MOVES):
        start, stop = await _range(blocks, arguments)
        await blocks.load(start, stop)
        # Rows behind what was taken for the end show that the total was too low.
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
            "'last' without 'before' needs the number of rows, which the upstream does not tell. Page forward with"
            " 'first', or give 'before'.",
            argument="last",
        )
    absent = min((page.skip for page in blocks.pages if page.more is False and not page.rows), default=end)
    return end if absent >= end else await _sought_end(blocks, absent)


async def _sought_end(blocks: Blocks, end: int) -> int:
    """The end of rows whose total is too high by whole blocks, found by halving; ``end`` is known to be none."""
    start = 0
    while blocks.known_end is None and start < end:
        middle = (start + end) // 2
        if await blocks.exists(middle):
            start = middle + 1
        else:
            end = middle
    return end if blocks.known_end is None else blocks.known_end


async def cursors_exist(blocks: Blocks, arguments: PageArguments) -> bool:
    """Whether no cursor lies past the present end; loads their rows, which tell the snapshot even of an empty page."""
    return all([await blocks.exists(given.offset) for given in arguments.cursors])


async def snapshot_changed(blocks: Blocks) -> SnapshotChanged:
    """The error for a cursor of another snapshot, with the date of the present one where the upstream tells it."""
    if not blocks.stamp.dates:
        await blocks.load(0, 1)
    dates = [when for _, when in blocks.stamp.dates]
    message = "The data was processed anew since this cursor was given. Start again from the first page."
    return SnapshotChanged(message, processedDateTime=max(dates)) if dates else SnapshotChanged(message)
