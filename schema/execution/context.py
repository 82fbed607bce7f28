"""The context of one operation: facts of its request, and results collected for the response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.caller import Budget, Caller
from gateway.config.groups import Limits
from gateway.held_rows import OperationRows
from gateway.http.response_buffers import ResponseBuffer
from gateway.page import age_seconds
from gateway.paging.agreement import OperationSnapshots
from gateway.query import PageQuery
from gateway.scanning.operation_views import OperationViews
from gateway.scanning.sources import RowSources
from schema.connection import ConnectionResult, ConnectionValue
from schema.execution.projection import Selection


@dataclass(slots=True)
class OperationContext:
    """The context value of resolvers. ``caller`` raises Unauthenticated if the request has no usable token.

    ``buffer`` counts the bytes of rendered connections, and ``held`` the rows that the operation keeps. ``shows_cost``
    adds the cost to the response's body.
    """

    sources: RowSources
    limits: Limits
    correlation_id: str
    budget: Budget
    caller: Callable[[], Caller]
    buffer: ResponseBuffer
    snapshots: OperationSnapshots = field(default_factory=OperationSnapshots)
    shows_cost: bool = False
    held: OperationRows | None = None
    warnings: list[dict[str, Any]] = field(default_factory=list)
    results: list[ConnectionResult] = field(default_factory=list)
    selections: list[Selection] = field(default_factory=list)
    views: OperationViews = field(default_factory=OperationViews)

    def record(self, result: ConnectionResult, path: list[str | int]) -> None:
        """Collect the result of the field at ``path``, with its warnings."""
        self.results.append(result)
        for warning in result.warnings:
            formatted: dict[str, Any] = {"code": warning.code, "message": warning.message, "path": path}
            if warning.count is not None:
                formatted["count"] = warning.count
            if warning.age_seconds is not None:
                formatted["ageSeconds"] = warning.age_seconds
            self.warnings.append(formatted)

    def note_read(self, query: PageQuery, caller: Caller, connection: ConnectionValue) -> None:
        """Let the block after ``connection`` be loaded if the caller will probably ask for it."""
        prefetch = self.sources.prefetch
        if prefetch is not None and connection.pieces:
            last = connection.pieces[-1]
            prefetch.note(query, caller, last.offset + len(last.rows), connection.total_count)

    def release(self) -> None:
        """Drop all rows: graphql-core's executor is in a cycle and would hold them until garbage collection."""
        self.results.clear()
        self.selections.clear()
        self.snapshots.clear()
        if self.held is not None:
            self.held.release()

    @property
    def cache_state(self) -> str | None:
        """``hit``, ``stale`` or ``miss``: the worst state of all blocks; None if no block was used."""
        states = [state for result in self.results for state in result.cache_states]
        return max(states).name.lower() if states else None

    @property
    def extensions(self) -> dict[str, Any]:
        """The response's ``extensions`` (GraphQL specification, section 7.1.3); empty if it has none."""
        extensions: dict[str, Any] = {"warnings": self.warnings} if self.warnings else {}
        if self.shows_cost:
            cost = self.budget.cost
            extensions["cost"] = {
                "upstreamCalls": cost.upstream_calls,
                "rowsRead": cost.rows_read,
                "cache": self.cache_state,
            }
        return extensions

    def age_seconds(self) -> int | None:
        """Return the age of the oldest block used; None if no block was used."""
        times = [moment for result in self.results for moment in result.fetched_at]
        return age_seconds(min(times)) if times else None

    @property
    def rows(self) -> int:
        return sum(len(piece.rows) for result in self.results for piece in result.connection.pieces)
