"""What one operation knows of its request, and what it gathers for the reply."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.page import Budget, Caller, PageSource
from gateway.paging.blocks import BlockSizes
from schema.connection import Answer
from schema.execution.projection import Selection


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one operation; see the settings of the same names."""

    max_first_rows: int
    max_filter_bytes: int
    max_upstream_calls: int
    operation_timeout_seconds: float
    max_query_depth: int
    max_query_tokens: int
    max_query_aliases: int
    max_query_root_fields: int


@dataclass(slots=True)
class OperationContext:
    """The context value of resolvers. ``caller`` raises Unauthenticated when there is no usable token."""

    source: PageSource
    sizes: BlockSizes
    limits: Limits
    correlation_id: str
    budget: Budget
    caller: Callable[[], Caller]
    warnings: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    selections: list[Selection] = field(default_factory=list)

    def note(self, answer: Answer, path: list[str | int]) -> None:
        """Gather an answer's warnings under ``path``, and its cache facts."""
        self.answers.append(answer)
        for warning in answer.warnings:
            told: dict[str, Any] = {"code": warning.code, "message": warning.message, "path": path}
            if warning.count is not None:
                told["count"] = warning.count
            if warning.age_seconds is not None:
                told["ageSeconds"] = warning.age_seconds
            self.warnings.append(told)

    def release(self) -> None:
        """Let go of all rows: graphql-core's executor is in a cycle, and would hold them until the collector runs."""
        self.answers.clear()
        self.selections.clear()

    @property
    def cache_state(self) -> str | None:
        """``hit``, ``stale`` or ``miss``: the worst of all blocks; None when no block was used."""
        states = [state for answer in self.answers for state in answer.cache_states]
        return max(states).name.lower() if states else None

    def age_seconds(self, now: float | None = None) -> int | None:
        """Age of the oldest block used; None when none was used."""
        times = [moment for answer in self.answers for moment in answer.fetched_at]
        return max(0, int((time.time() if now is None else now) - min(times))) if times else None

    @property
    def upstream_calls(self) -> int:
        """Upstream calls that the operation caused; one for a block whose reading failed."""
        return self.budget.spent_calls

    @property
    def rows(self) -> int:
        """Rows in the answers."""
        return sum(len(piece.rows) for answer in self.answers for piece in answer.connection.pieces)
