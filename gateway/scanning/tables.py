"""Build, pack and unpack the tables of views, in turns of the worker thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cache.packing import MAX_PLAIN_BYTES, Packed, compress, decompress
from gateway.dataset import Dataset
from gateway.page import Page
from gateway.query import PageQuery
from gateway.scanning.scan import Consumer
from gateway.scheduling.rotation import Turns
from gateway.scheduling.worker_thread import InThread, in_pieces, inline

if TYPE_CHECKING:
    from gateway.views.pieces import Pieces
    from gateway.views.table import Table
    from gateway.views.table_builder import TableBuilder

# Measured: to add, order or draw this many rows takes half a millisecond each. Only more are worth a turn.
INLINE_ROWS = 1_000


def runner(rows: int, in_thread: InThread) -> InThread:
    """Return what runs work on this many rows: ``in_thread`` if they are many."""
    return inline if rows <= INLINE_ROWS else in_thread


def import_tables() -> None:
    """Import numpy, which takes 0.3 seconds."""
    import gateway.views.table_builder  # noqa: F401


class ScannedTable:
    """The table of a scan's blocks, built ``in_thread``."""

    def __init__(self, query: PageQuery, in_thread: InThread) -> None:
        self._query = query
        self._in_thread = in_thread
        self._builder = self._new()

    @property
    def consumer(self) -> Consumer:
        return Consumer(self._start, self._take)

    async def table(self) -> Table:
        """Return the finished table, with digest and size."""
        run = runner(len(self._builder), self._in_thread)
        table = await run(self._builder.build)
        # Release the blocks.
        self._builder = self._new()
        return await _measured(table, run)

    def _new(self) -> TableBuilder:
        from gateway.views.table_builder import TableBuilder

        return TableBuilder(self._query.dataset)

    def _start(self) -> None:
        self._builder = self._new()

    async def _take(self, page: Page) -> None:
        run = runner(len(page.rows), self._in_thread)
        await run(self._builder.add, page.rows, page.unreadable)


async def grouped_table(table: Table, query: PageQuery, in_thread: InThread) -> Table:
    """Return the groups of ``query`` as a table, with digest and size. ``table`` has its rows."""
    run = runner(len(table), in_thread)
    return await _measured(await in_pieces(run, _grouping(table, query)), run)


async def _measured(table: Table, run: InThread) -> Table:
    """Return the table after its digest and size are computed, which takes too long for the event loop."""
    await in_pieces(run, table.measuring())
    return table


class PackedTable(Packed):
    """A table of ``dataset`` in compressed form."""

    __slots__ = ("dataset",)

    def __init__(self, data: bytes, dataset: Dataset) -> None:
        super().__init__(data)
        self.dataset = dataset


async def packed_table(table: Table, in_thread: InThread) -> PackedTable | None:
    """Return ``table`` packed; None if it is too large to unpack again or has text that is not valid Unicode."""
    data = await in_pieces(in_thread, _packing(table))
    return None if data is None else PackedTable(data, table.dataset)


async def unpacked_table(packed: PackedTable, turns: Turns, in_thread: InThread) -> Table:
    """Return the table that ``packed`` holds. It needs no turns of the event loop."""
    return await in_pieces(in_thread, _unpacking(packed))


def _packing(table: Table) -> Pieces[bytes | None]:
    from gateway.views.table_bytes import to_bytes

    try:
        plain = to_bytes(table)
    except ValueError:
        return None
    yield
    return compress(plain) if len(plain) <= MAX_PLAIN_BYTES else None


def _unpacking(packed: PackedTable) -> Pieces[Table]:
    from gateway.views.table_bytes import from_bytes

    plain = decompress(packed.data)
    yield
    table = from_bytes(packed.dataset, plain)
    yield
    yield from table.measuring_texts()
    return table


def _grouping(table: Table, query: PageQuery) -> Pieces[Table]:
    from gateway.views.grouping import grouping

    return grouping(table, query.group_by, has_measures=query.has_measures)
