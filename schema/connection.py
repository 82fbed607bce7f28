"""Relay connections over the blocks of a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import strawberry

from gateway.errors import SnapshotChanged
from gateway.page import CacheState, Caller, PageSource, PageWarning, Renderings, Stamp
from gateway.paging import cursor
from gateway.paging.blocks import Blocks, BlockSizes, SnapshotConflict
from gateway.paging.cursor import Snapshot
from gateway.paging.window import PageArguments, cursors_exist, load_window, snapshot_changed
from gateway.query import PageQuery
from schema.scalars import Long

Node = TypeVar("Node")


@strawberry.type(description="Where a page lies among all rows. Exact in both directions.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="True when a row follows this page. Example: `true`.")
    has_previous_page: bool = strawberry.field(description="True when a row precedes this page. Example: `false`.")
    start_cursor: str | None = strawberry.field(
        description="Cursor of the first row, for `before`; null on an empty page."
    )
    end_cursor: str | None = strawberry.field(description="Cursor of the last row, for `after`; null on an empty page.")


@strawberry.type(description="A row with its cursor.")
class Edge(Generic[Node]):
    cursor: str = strawberry.field(
        description="Opaque text that names this row in this question and snapshot; give it to `after` or `before`."
    )
    node: Node = strawberry.field(description="The row.")


@strawberry.type(description="A page of rows, after the Relay cursor connections specification.")
class Connection(Generic[Node]):
    edges: list[Edge[Node]] = strawberry.field(description="The rows of this page, each with its cursor.")
    nodes: list[Node] = strawberry.field(description="The rows of this page without cursors: shorter and quicker.")
    page_info: PageInfo = strawberry.field(description="Where this page lies, and the cursors to page on with.")
    total_count: Long | None = strawberry.field(
        description="All rows of the question, or groups when grouped; null if unknown. Example: `2`."
    )


@dataclass(frozen=True, slots=True)
class EdgeValue:
    """What resolves an Edge."""

    cursor: str
    node: Any


@dataclass(frozen=True, slots=True)
class PageInfoValue:
    """What resolves a PageInfo."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None

    def by_name(self) -> dict[str, bool | str | None]:
        """The values under their names in the schema."""
        return {
            "hasNextPage": self.has_next_page,
            "hasPreviousPage": self.has_previous_page,
            "startCursor": self.start_cursor,
            "endCursor": self.end_cursor,
        }


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring rows of one block: their offset, what their cursors tell, and what their page keeps rendered."""

    offset: int
    rows: Sequence[Any]
    fingerprint: bytes
    stamp: Stamp
    renderings: Renderings | None

    def cursors(self) -> list[str]:
        """The cursor of each row."""
        return cursor.encode(self.fingerprint, self.stamp, range(self.offset, self.offset + len(self.rows)))

    def cursor(self, index: int) -> str:
        """The cursor of the row at ``index``, which may be negative."""
        offset = self.offset + index % len(self.rows)
        return cursor.encode(self.fingerprint, self.stamp, range(offset, offset + 1))[0]


@dataclass(frozen=True, slots=True)
class Origin:
    """The question for one block, what was asked of it, and the place to keep renderings of the answer."""

    query: PageQuery
    arguments: PageArguments
    renderings: Renderings


@dataclass(frozen=True, slots=True)
class ConnectionValue:
    """What resolves a Connection: edges and nodes are made when they are asked for.

    ``attributes`` maps the names of a row's fields in the schema to its attributes. ``origin`` is the single block that
    everything here was read from, None when there were several or none.
    """

    pieces: tuple[Piece, ...]
    page_info: PageInfoValue
    total_count: int | None
    attributes: Mapping[str, str]
    origin: Origin | None = None

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


EMPTY = ConnectionValue((), PageInfoValue(False, False, None, None), 0, {})


@dataclass(frozen=True, slots=True)
class Answer:
    """A connection, and what is to be told about how it came to be."""

    connection: ConnectionValue
    warnings: list[PageWarning]
    cache_states: list[CacheState]
    fetched_at: list[float]


async def read_connection(
    source: PageSource, query: PageQuery, caller: Caller, arguments: PageArguments, sizes: BlockSizes
) -> Answer:
    """Answer ``arguments`` about the question of ``query``. Raises GatewayError.

    Blocks that contradict one another are read again, silently, twice at most. A cursor of a newer snapshot than the
    kept blocks' has them read anew; any other conflict with a cursor is SnapshotChanged.
    """
    for tries_left in (2, 1, 0):
        if not tries_left:
            # Calls of others that were shared twice, begun before the data was processed anew, are not shared again.
            query = replace(query, revalidate=True)
        blocks = Blocks(source, query, caller, sizes)
        try:
            window = await load_window(blocks, arguments)
            all_exist = await cursors_exist(blocks, arguments)
            if _is_behind(blocks, arguments) and not query.revalidate:
                query = replace(query, revalidate=True)
                continue
            if not all_exist or any(_conflicts(given, blocks) for given in arguments.cursors):
                raise await snapshot_changed(blocks)
            return await _answer(blocks, query, arguments, *window)
        except SnapshotConflict:
            continue
    raise SnapshotChanged("The data is being processed anew at this moment. Start again from the first page.")


def _conflicts(given: cursor.Cursor, blocks: Blocks) -> bool:
    return given.snapshot.conflicts(Snapshot.of(blocks.stamp))


def _is_behind(blocks: Blocks, arguments: PageArguments) -> bool:
    present = Snapshot.of(blocks.stamp)
    kept = any(page.cache is not CacheState.MISS for page in blocks.pages)
    return kept and any(given.snapshot.is_newer(present) for given in arguments.cursors)


async def _answer(blocks: Blocks, query: PageQuery, arguments: PageArguments, start: int, stop: int) -> Answer:
    pieces = tuple(
        Piece(page.skip + low, page.rows[low:high], query.fingerprint, page.stamp, page.renderings)
        for page, low, high in blocks.rows(start, stop)
    )
    stop = pieces[-1].offset + len(pieces[-1].rows) if pieces else start
    has_next_page = await blocks.exists(stop)
    has_previous_page = start > 0 and (bool(pieces) or not await blocks.is_empty())
    ends = (pieces[0].cursor(0), pieces[-1].cursor(-1)) if pieces else (None, None)
    page_info = PageInfoValue(has_next_page, has_previous_page, *ends)
    origin = _origin(blocks, query, arguments)
    connection = ConnectionValue(pieces, page_info, blocks.total_count, query.dataset.attributes, origin)
    pages = blocks.pages
    return Answer(connection, blocks.warnings(), [page.cache for page in pages], [page.fetched_at for page in pages])


def _origin(blocks: Blocks, query: PageQuery, arguments: PageArguments) -> Origin | None:
    if len(blocks.requested) != 1 or blocks.pages[0].renderings is None:
        return None
    return Origin(query.rows(*blocks.requested[0]), arguments, blocks.pages[0].renderings)
