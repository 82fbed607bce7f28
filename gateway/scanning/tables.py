"""Build the tables of views in worker threads, where numpy is imported."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from gateway.page import UNREADABLE_VALUES, Page
from gateway.query import PageQuery
from gateway.scanning.scan import Consumer

if TYPE_CHECKING:
    from gateway.views.table import Table
    from gateway.views.table_builder import TableBuilder


class ScannedTable:
    """The table of a scan's blocks."""

    def __init__(self, query: PageQuery) -> None:
        """Import numpy, which takes 0.3 seconds."""
        from gateway.views.table_builder import TableBuilder

        self._new: Callable[[], TableBuilder] = lambda: TableBuilder(query.dataset)
        self._builder = self._new()

    @property
    def consumer(self) -> Consumer:
        return Consumer(self._start, self._take)

    async def table(self) -> Table:
        """Return the finished table, with its digest."""
        return await asyncio.to_thread(_with_digest, self._builder.build)

    def _start(self) -> None:
        self._builder = self._new()

    async def _take(self, page: Page) -> None:
        has_unreadable = any(warning.code == UNREADABLE_VALUES for warning in page.warnings)
        await asyncio.to_thread(self._builder.add, page.rows, has_unreadable=has_unreadable)


async def grouped_table(table: Table, dimensions: tuple[str, ...]) -> Table:
    """Return the groups of a table's rows, with their digest."""
    return await asyncio.to_thread(_grouped, table, dimensions)


def _grouped(table: Table, dimensions: tuple[str, ...]) -> Table:
    from gateway.views.grouping import grouped

    return _with_digest(partial(grouped, table, dimensions))


def _with_digest(make: Callable[[], Table]) -> Table:
    """Return the table, and compute its digest in this thread."""
    table = make()
    _ = table.digest
    return table
