"""Relay connections over the blocks of a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gateway.caller import Caller
from gateway.errors import SnapshotChanged
from gateway.page import CacheState, Page, PageSource, PageWarning, Renderings
from gateway.paging import cursor
from gateway.paging.agreement import OperationSnapshots
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.blocks import Blocks, SnapshotConflict
from gateway.paging.cursor import ViewMark
from gateway.paging.window import (
    CursorState,
    PageArguments,
    compare_cursor,
    cursors_exist,
    load_window,
    snapshot_changed,
)
from gateway.query import PageQuery
from gateway.snapshots.differing_blocks import DifferingBlocks
from gateway.snapshots.snapshot import Snapshot

# A conflict from try CONFLICT_TRIES on ends the operation, unless the try accepted differing blocks (our choice).
CONFLICT_TRIES, MAX_TRIES = 3, 6


@dataclass(frozen=True, slots=True)
class EdgeValue:
    """The value of an Edge."""

    cursor: str
    node: Any


@dataclass(frozen=True, slots=True)
class PageInfoValue:
    """The value of a PageInfo."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None

    def by_name(self) -> dict[str, bool | str | None]:
        """Return the values by their names in the schema."""
        return {
            "hasNextPage": self.has_next_page,
            "hasPreviousPage": self.has_previous_page,
            "startCursor": self.start_cursor,
            "endCursor": self.end_cursor,
        }


@dataclass(frozen=True, slots=True)
class TotalsValue:
    """The value of a dataset's totals: ``by_name`` as in the schema. ``attributes`` maps these names to attributes."""

    by_name: Mapping[str, int | float | None]
    attributes: Mapping[str, str]

    def __getattr__(self, attribute: str) -> int | float | None:
        """Return a total, for graphql-core."""
        for name, own in self.attributes.items():
            if own == attribute and name in self.by_name:
                return self.by_name[name]
        raise AttributeError(attribute)


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive rows of one block or view: their offset, the content of their cursors, and their renderings."""

    offset: int
    rows: Sequence[Any]
    fingerprint: bytes
    snapshot: Snapshot | ViewMark
    renderings: Renderings | None

    def cursors(self) -> list[str]:
        """Return the cursor of each row."""
        return cursor.encode(self.fingerprint, self.snapshot, range(self.offset, self.offset + len(self.rows)))

    def cursor(self, index: int) -> str:
        """Return the cursor of the row at ``index``, which may be negative."""
        offset = self.offset + index % len(self.rows)
        return cursor.encode(self.fingerprint, self.snapshot, range(offset, offset + 1))[0]


@dataclass(frozen=True, slots=True)
class Origin:
    """The query of one block, the paging arguments, and the store of the block's renderings."""

    query: PageQuery
    arguments: PageArguments
    renderings: Renderings


@dataclass(frozen=True, slots=True)
class ConnectionValue:
    """The value of a Connection; edges and nodes are created on demand.

    ``attributes`` maps the schema's names of the row's fields to the row's attributes. ``origin`` is the single block
    that the connection was cut from, or None if it was cut from several blocks or none.
    """

    pieces: tuple[Piece, ...]
    page_info: PageInfoValue
    total_count: int | None
    attributes: Mapping[str, str]
    origin: Origin | None = None
    totals: TotalsValue | None = None

    @property
    def nodes(self) -> list[Any]:
        """The rows."""
        return [row for piece in self.pieces for row in piece.rows]

    @property
    def edges(self) -> list[EdgeValue]:
        """The rows with their cursors."""
        return [
            EdgeValue(text, row) for piece in self.pieces for text, row in zip(piece.cursors(), piece.rows, strict=True)
        ]


NO_PAGE = PageInfoValue(False, False, None, None)


@dataclass(frozen=True, slots=True)
class ConnectionResult:
    """A connection with the warnings, cache states and load times of its blocks."""

    connection: ConnectionValue
    warnings: list[PageWarning]
    cache_states: list[CacheState]
    fetched_at: list[float]


class _CursorAhead(Exception):
    """A cursor's snapshot is newer than that of cached blocks, which must be reloaded."""


async def read_connection(
    source: PageSource,
    query: PageQuery,
    caller: Caller,
    arguments: PageArguments,
    sizes: BlockSizes,
    snapshots: OperationSnapshots | None = None,
) -> ConnectionResult:
    """Read the rows of ``query`` that ``arguments`` select. Raises GatewayError.

    Conflicting blocks are reloaded, even if another field of the operation (``snapshots``) read one of them. If a
    cursor's snapshot is newer than that of cached blocks, these are reloaded from the upstream. Any other conflict with
    a cursor raises SnapshotChanged.
    """
    tried: list[Blocks] = []
    try:
        return await _read_agreed(source, query, caller, arguments, sizes, snapshots or OperationSnapshots(), tried)
    except BaseException:
        # The error's traceback refers to them, and would keep their rows until garbage collection.
        for blocks in tried:
            blocks.release()
        raise


async def _read_agreed(
    source: PageSource,
    query: PageQuery,
    caller: Caller,
    arguments: PageArguments,
    sizes: BlockSizes,
    snapshots: OperationSnapshots,
    tried: list[Blocks],
) -> ConnectionResult:
    """Read the rows as often as the blocks conflict. ``tried`` gets the blocks of each try."""
    agreement = snapshots.agreement(query)
    with agreement.reading() as number:
        for tries in range(1, MAX_TRIES + 1):
            if tries >= CONFLICT_TRIES:
                # The conflicting blocks may come from shared calls that began before the data changed.
                query = replace(query, revalidate=True)
            blocks = Blocks(source, query, caller, sizes, snapshots.differing, _readings(tried))
            tried.append(blocks)
            is_last = partial(_is_last, tries, snapshots.differing, snapshots.differing.acceptances)
            result = None
            try:
                result = await _read(blocks, query, arguments)
            except _CursorAhead:
                query = replace(query, revalidate=True)
            except SnapshotConflict:
                pass
            is_agreed = await agreement.reached(number, blocks if result else None, is_last_try=is_last)
            if result and is_agreed:
                return result
            if is_last():
                break
    raise SnapshotChanged("The data is being processed again at this moment. Start again from the first page.")


def _readings(tried: Iterable[Blocks]) -> dict[tuple[int, int], Page]:
    """Return the latest page of each block."""
    return {place: page for blocks in tried for place, page in blocks.readings.items()}


def _is_last(tries: int, differing: DifferingBlocks, acceptances: int) -> bool:
    # If any field accepted a difference during this try, the next try may need a block that was not read before.
    return tries >= MAX_TRIES or (tries >= CONFLICT_TRIES and differing.acceptances == acceptances)


async def _read(blocks: Blocks, query: PageQuery, arguments: PageArguments) -> ConnectionResult:
    """Return the result of one try. Raises GatewayError, SnapshotConflict and _CursorAhead."""
    window = await load_window(blocks, arguments)
    all_exist = await cursors_exist(blocks, arguments)
    states = {await compare_cursor(blocks, bound) for bound in arguments.cursors}
    if CursorState.AHEAD in states and not query.revalidate:
        raise _CursorAhead
    if not all_exist or states - {CursorState.SAME}:
        raise await snapshot_changed(blocks)
    return await _result(blocks, query, arguments, *window)


async def _result(
    blocks: Blocks, query: PageQuery, arguments: PageArguments, start: int, stop: int
) -> ConnectionResult:
    pieces = tuple(
        Piece(page.skip + low, page.rows[low:high], query.fingerprint, page.snapshot, page.renderings)
        for page, low, high in blocks.rows(start, stop)
    )
    stop = pieces[-1].offset + len(pieces[-1].rows) if pieces else start
    has_next_page = await blocks.exists(stop)
    has_previous_page = start > 0 and (bool(pieces) or not await blocks.is_empty())
    ends = (pieces[0].cursor(0), pieces[-1].cursor(-1)) if pieces else (None, None)
    page_info = PageInfoValue(has_next_page, has_previous_page, *ends)
    origin = _origin(blocks, query, arguments)
    connection = ConnectionValue(pieces, page_info, blocks.total_count, query.dataset.members, origin)
    pages = blocks.pages
    cache_states, fetched_at = [page.cache for page in pages], [page.fetched_at for page in pages]
    return ConnectionResult(connection, blocks.warnings(), cache_states, fetched_at)


def _origin(blocks: Blocks, query: PageQuery, arguments: PageArguments) -> Origin | None:
    if len(blocks.requested) != 1 or blocks.pages[0].renderings is None:
        return None
    return Origin(query.rows(*blocks.requested[0]), arguments, blocks.pages[0].renderings)
