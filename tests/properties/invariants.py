"""Invariants of every answer, error and upstream call, whatever happened before."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import GatewayError, SnapshotChanged
from gateway.page import CacheState
from schema.connection import ConnectionResult, Piece
from tests.properties import model
from tests.properties.environment import Environment
from tests.properties.gated_backends import Call
from tests.properties.processes import FRESH_SECONDS, STALE_SECONDS, Process, RunningQuery
from tests.properties.timeline import Rows, Timeline

CACHED_SECONDS = FRESH_SECONDS + STALE_SECONDS

# Longer than a query waits for Redis, and shorter than any step that advances the clock.
MOMENT_SECONDS = 0.5


@dataclass
class Tombstone:
    """A refusal recorded in Redis: its time, and the read times of the blocks that other processes had in memory."""

    moment: float
    cached_moments: dict[Process, set[float]]


@dataclass
class InvariantChecker:
    """Record the faults of each token, and compare each answer, error and upstream call with them."""

    environment: Environment
    # By process and token: each fault of its calls, with the time.
    faults: dict[tuple[Process, str], list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))
    tombstones: dict[str, Tombstone] = field(default_factory=dict)
    # By token: the end of its cool-down in Redis.
    throttled_until: dict[str, float] = field(default_factory=dict)
    # By token: the latest end of its cool-down in any process.
    longest_throttle: dict[str, float] = field(default_factory=dict)
    answers: int = 0

    # Upstream calls

    def check_call(self, process: Process, call: Call) -> None:
        """Check an upstream call that starts."""
        now = self.environment.clock()
        # Calls that began before a refusal, and the continuations of their blocks, are not shared with later callers.
        if call.token not in process.refused:
            pending = [other.block for other in process.upstream.pending]
            assert call.block not in pending, "a second call for one block"
        assert now >= process.throttled_until.get(call.token, 0), "a call during a cool-down"
        if process.uses_redis:
            assert now >= self.throttled_until.get(call.token, 0), "a call during a cool-down that is in Redis"
        if not self._revalidates(process, call.token):
            assert not process.holds_fresh(call), "a call for a block that is fresh in memory"

    def _revalidates(self, process: Process, token: str) -> bool:
        """Return whether a query may need to re-read rows: its cursor is newer, or its blocks conflict."""
        timeline, now = self.environment.timelines[token], self.environment.clock()
        return any(
            query.cursor_rows or len(timeline.between(query.started - CACHED_SECONDS, now, 0)) > 1
            for query in self.environment.queries
            if query.process is process and query.timeline is self.environment.timelines[token]
        )

    def record_fault(self, process: Process, token: str, code: str) -> None:
        """Record a fault of a call."""
        self.faults[process, token].append((self.environment.clock(), code))

    def record_refusal(self, process: Process, token: str) -> None:
        """Record a 401 or 403 after the process has handled it."""
        if process.uses_redis:
            access_token = self.environment.timelines[token].token
            others = [other for other in self.environment.processes if other is not process]
            cached_moments = {other: other.cached_moments(access_token) for other in others}
            self.tombstones[token] = Tombstone(self.environment.clock(), cached_moments)

    # Answers

    def check_answer(self, query: RunningQuery, answer: ConnectionResult) -> None:
        """Check the answer of a query."""
        self.answers += 1
        nodes = answer.connection.nodes
        assert all(row.customer_name == query.timeline.name for row in nodes), "another token's row"
        assert all(row.service_name == query.locale for row in nodes), "a row for another locale"
        for state, moment in zip(answer.cache_states, answer.fetched_at, strict=True):
            self._check_age(query, state, moment)
            self._check_refusals(query, state, moment)
        warned = {warning.code for warning in answer.warnings}
        assert ("STALE_DATA" in warned) == (CacheState.STALE in answer.cache_states), "a warning is wrong or missing"
        self._check_rows(query, answer, is_incomplete="UPSTREAM_INCOMPLETE" in warned)

    def _check_age(self, query: RunningQuery, state: CacheState, moment: float) -> None:
        start, now = query.started, self.environment.clock()
        expires_at = query.timeline.token.expires_at
        assert moment <= now
        if state is CacheState.MISS:
            assert moment >= start - MOMENT_SECONDS, "X-Cache says MISS for a cached block"
            return
        assert expires_at is None or start < expires_at, "served past the token's expiry"
        if state is CacheState.HIT:
            assert moment > start - FRESH_SECONDS, "X-Cache says HIT for a stale block"
        else:
            assert start - CACHED_SECONDS < moment <= now - FRESH_SECONDS, "X-Cache says STALE for a fresh block"

    def _check_refusals(self, query: RunningQuery, state: CacheState, moment: float) -> None:
        process, token = query.process, query.timeline.token
        refused = process.refused.get(token.reveal(), 0)
        assert query.started <= refused or moment >= refused, "served a block that was read before the refusal"
        started = process.response_moments.get(moment, moment)
        is_late = state is not CacheState.MISS and started < refused < query.started
        assert not is_late, "cached a block whose read was under way when the token was refused"
        tombstone = self.tombstones.get(token.reveal())
        if state is CacheState.MISS or tombstone is None or query.started <= tombstone.moment:
            return
        assert moment >= tombstone.moment or moment in tombstone.cached_moments.get(process, ()), "tombstone ignored"

    def _check_rows(self, query: RunningQuery, answer: ConnectionResult, *, is_incomplete: bool) -> None:
        timeline = query.timeline
        if is_incomplete:
            versions = timeline.between(query.started - CACHED_SECONDS, self.environment.clock(), query.filter_number)
            assert all(any(_is_piece(piece, rows) for rows in versions) for piece in answer.connection.pieces)
            return
        candidates = set().union(*(timeline.at(moment, query.filter_number) for moment in answer.fetched_at))
        if query.cursor_rows:
            candidates &= query.cursor_rows
            assert candidates, "a cursor of another snapshot was accepted"
        good = {rows for rows in candidates if _fits(rows, query, answer)}
        assert good, f"not a slice of a single snapshot: {shown(answer)} of {candidates}"
        self._keep_cursors(query, answer, good)

    def _keep_cursors(self, query: RunningQuery, answer: ConnectionResult, good: set[Rows]) -> None:
        known = self.environment.cursors.setdefault((query.timeline.token.reveal(), query.filter_number), [])
        for piece in answer.connection.pieces:
            for index, offset in ((0, piece.offset), (-1, piece.offset + len(piece.rows) - 1)):
                known.append((piece.cursor(index), offset, next(iter(good))))

    # Errors

    def check_error(self, query: RunningQuery, error: GatewayError) -> None:
        """Check the error of a query."""
        timeline, token = query.timeline, query.timeline.token.reveal()
        since = query.started - MOMENT_SECONDS
        recorded_codes = {code for moment, code in self.faults[query.process, token] if moment >= since}
        if isinstance(error, SnapshotChanged):
            self._check_snapshot_changed(query)
        elif error.code == "RATE_LIMITED":
            assert self.longest_throttle.get(token, 0) > since, "throttled without a reason"
        elif error.code == "BAD_USER_INPUT":
            assert query.arguments.counts_from_end, "a good argument was refused"
            assert not timeline.has_total or () in timeline.between(since - CACHED_SECONDS, self.environment.clock(), 0)
        else:
            assert error.code in recorded_codes, f"{error.code} without a reason"

    def _check_snapshot_changed(self, query: RunningQuery) -> None:
        timeline, now = query.timeline, self.environment.clock()
        if query.cursor_rows:
            possible = timeline.between(query.started - CACHED_SECONDS, now, query.filter_number)
            assert possible - query.cursor_rows, "the snapshot has not changed"
        else:
            # The query may share calls that started earlier, and the data may have changed during these.
            seen = timeline.between(query.oldest, now, query.filter_number)
            assert len(seen) > 1, "a snapshot conflict without any change of the data"


def shown(answer: ConnectionResult) -> list[tuple[int, list[Any]]]:
    """Return offsets and counts of an answer, for assertion messages."""
    return [(piece.offset, [row.licenses_sold for row in piece.rows]) for piece in answer.connection.pieces]


def _fits(rows: Rows, query: RunningQuery, answer: ConnectionResult) -> bool:
    """Return whether ``answer`` is the page that the query's window selects from ``rows``."""
    start, stop = model.window(len(rows), **query.window)
    connection = answer.connection
    plain = plain_rows(connection.nodes)
    if plain != list(rows[start:stop]):
        return False
    if connection.total_count != (len(rows) if query.timeline.has_total else None):
        return False
    if not plain:
        return True
    return (connection.page_info.has_previous_page, connection.page_info.has_next_page) == (start > 0, stop < len(rows))


def _is_piece(piece: Piece, rows: Rows) -> bool:
    return plain_rows(piece.rows) == list(rows[piece.offset : piece.offset + len(piece.rows)])


def plain_rows(rows: Any) -> list[tuple[Any, ...]]:
    """Return rows in the form of the model."""
    return [(row.service_code, row.licenses_sold, row.processed_date_time) for row in rows]


def timeline_of(environment: Environment, number: int) -> Timeline:
    """Return a token's timeline by its number, which wraps around."""
    return list(environment.timelines.values())[number % len(environment.timelines)]
