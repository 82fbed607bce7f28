"""Answer a connection field: from blocks of the query, or from a view of all its rows.

Blocks suffice without ``search``, ``having`` and ``orderBy``. Then nothing is read that the page does not need.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from graphql import GraphQLResolveInfo

from gateway.caller import Caller
from gateway.errors import InvalidCursor
from gateway.page import out_of_range_warnings
from gateway.paging.cursor import ViewMark
from gateway.paging.window import PageArguments
from gateway.query import FALSE, PageQuery
from gateway.scanning.view import View
from gateway.views.refinement import ALL_ROWS, Refinement
from schema.connection import (
    NO_PAGE,
    ConnectionResult,
    ConnectionValue,
    read_connection,
)
from schema.execution.context import OperationContext
from schema.execution.selected_fields import NOTHING_SPECIAL, SelectedFields, may_select, selected_fields
from schema.rows import out_of_range
from schema.view_connection import empty_totals, view_connection, view_totals


class Mode(Enum):
    """Source of an answer. BY_ROWS is a view whose groups the gateway has made of all rows."""

    BLOCKS = auto()
    VIEW = auto()
    BY_ROWS = auto()


@dataclass(frozen=True, slots=True)
class ConnectionRequest:
    """Query, refinement, paging arguments and selection of a connection field."""

    query: PageQuery
    refinement: Refinement
    arguments: PageArguments
    selected: SelectedFields

    @classmethod
    def of(
        cls, info: GraphQLResolveInfo[Any], query: PageQuery, refinement: Refinement, arguments: PageArguments
    ) -> ConnectionRequest:
        """Return the request of a field with these arguments. Its selection is collected only if it may matter."""
        has_view = bool(refinement.text) or any(isinstance(bound.mark, ViewMark) for bound in arguments.cursors)
        is_special = has_view or may_select(info, ("totals", *query.dataset.exceptional))
        return cls(query, refinement, arguments, selected_fields(info) if is_special else NOTHING_SPECIAL)

    @property
    def has_totals(self) -> bool:
        """True if totals are selected, and the measures may be added up."""
        return self.selected.has_totals and self.query.is_additive

    def mode(self) -> Mode:
        """Return the mode of the answer. Raises InvalidCursor if a cursor is of another mode."""
        marks = [bound.mark for bound in self.arguments.cursors]
        by_rows = any(isinstance(mark, ViewMark) and mark.is_by_rows for mark in marks)
        if self.query.group_by and (by_rows or self._exceptional):
            mode = Mode.BY_ROWS
        elif self.refinement.text or self._exceptional or any(isinstance(mark, ViewMark) for mark in marks):
            mode = Mode.VIEW
        else:
            return Mode.BLOCKS
        if any(not isinstance(mark, ViewMark) or mark.is_by_rows is not (mode is Mode.BY_ROWS) for mark in marks):
            raise InvalidCursor(
                "The cursor comes from a selection without the measures that need all rows. Start again with this"
                " selection, without the cursor."
            )
        return mode

    @property
    def _exceptional(self) -> frozenset[str]:
        """The measures that only all rows determine. A row has them all itself, but a group has not."""
        rows = self.selected.rows if self.query.group_by else frozenset[str]()
        return self.query.dataset.exceptional & (self.refinement.fields | self.selected.totals | rows)


async def answer(context: OperationContext, request: ConnectionRequest, caller: Caller) -> ConnectionResult:
    """Return the connection that ``request`` asks for. Raises GatewayError."""
    query = request.query
    mode = request.mode()
    if query.filter == FALSE:
        totals = empty_totals(query.dataset) if request.has_totals else None
        return ConnectionResult(ConnectionValue((), NO_PAGE, 0, query.dataset.members, totals=totals), [], [], [])
    if mode is Mode.BLOCKS:
        return await _from_blocks(context, request, caller)
    view = await _view(context, query, caller, is_by_rows=mode is Mode.BY_ROWS)
    return await view_connection(view, query, request.refinement, request.arguments, request.selected)


async def _view(context: OperationContext, query: PageQuery, caller: Caller, *, is_by_rows: bool = False) -> View:
    """Return the view of ``query``: the same one for all fields of an operation."""
    view = await context.sources.views.view(query, caller, is_by_rows=is_by_rows)
    return context.views.agreed(query.question, view)


async def _from_blocks(context: OperationContext, request: ConnectionRequest, caller: Caller) -> ConnectionResult:
    if request.selected.is_totals_alone and not request.arguments.cursors:
        members = request.query.dataset.members
        page = ConnectionResult(ConnectionValue((), NO_PAGE, None, members), [], [], [])
        if not request.has_totals:
            return page
        return await _with_totals(page, request, await _view(context, _totals_query(request.query), caller))
    if not request.has_totals:
        return _with_range_warnings(await _page(context, request, caller), request)
    reading = asyncio.create_task(_view(context, _totals_query(request.query), caller))
    # Retrieve the exception, or asyncio logs that it was never retrieved.
    reading.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        page = _with_range_warnings(await _page(context, request, caller), request)
        return await _with_totals(page, request, await reading)
    finally:
        reading.cancel()


async def _page(context: OperationContext, request: ConnectionRequest, caller: Caller) -> ConnectionResult:
    sources = context.sources
    result = await read_connection(
        sources.pages, request.query, caller, request.arguments, sources.sizes, context.snapshots
    )
    context.note_read(request.query, caller, result.connection)
    return result


def _totals_query(query: PageQuery) -> PageQuery:
    """Return the query whose few groups have the totals of ``query``."""
    return replace(query, group_by=(query.dataset.service,))


async def _with_totals(page: ConnectionResult, request: ConnectionRequest, view: View) -> ConnectionResult:
    """Return ``page`` with the totals of ``view``. They are of another query, so no rendering of both is stored."""
    totals, too_large = await view_totals(view, request.query, ALL_ROWS, request.selected)
    known = {warning.code for warning in page.warnings}
    warnings = [warning for warning in (*view.warnings, *out_of_range_warnings(too_large)) if warning.code not in known]
    return ConnectionResult(
        replace(page.connection, totals=totals, origin=None),
        [*page.warnings, *warnings],
        [*page.cache_states, view.cache],
        [*page.fetched_at, view.fetched_at],
    )


def _with_range_warnings(page: ConnectionResult, request: ConnectionRequest) -> ConnectionResult:
    """Return ``page`` with a warning if selected measures of its rows do not fit into 64 bits."""
    names = request.query.dataset.exceptional & request.selected.rows
    count = (
        sum(out_of_range(piece.rows, request.query.dataset, names) for piece in page.connection.pieces) if names else 0
    )
    if not count:
        return page
    # A plan has no warnings.
    connection = replace(page.connection, origin=None)
    return replace(page, connection=connection, warnings=[*page.warnings, *out_of_range_warnings(count)])
