"""What must hold of every answer, error and upstream call, whatever happened before (FAULTS.md, invariants a to g)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import GatewayError, SnapshotChanged
from gateway.page import CacheState
from schema.connection import ConnectionResult, Piece
from tests.properties import model
from tests.properties.gates import Call
from tests.properties.processes import FRESH_SECONDS, STALE_SECONDS, Process, Question
from tests.properties.timeline import Rows, Timeline
from tests.properties.worlds import World

KEPT_SECONDS = FRESH_SECONDS + STALE_SECONDS

# Longer than a question waits for Redis, and less than any step that moves the clock on.
MOMENT_SECONDS = 0.5


@dataclass
class Tombstone:
    """A refusal that Redis knows of: when, and what other processes then held in memory."""

    moment: float
    held: dict[Process, set[float]]


@dataclass
class Judge:
    """Keeps what was done to each token, and compares what comes of it."""

    world: World
    # By process and token: each fault that its calls met, with the moment.
    faults: dict[tuple[Process, str], list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))
    tombstones: dict[str, Tombstone] = field(default_factory=dict)
    # By token: until when it is throttled, as far as Redis knows.
    throttled_until: dict[str, float] = field(default_factory=dict)
    # By token: until when it is throttled in any process.
    longest_throttle: dict[str, float] = field(default_factory=dict)
    answers: int = 0

    # Upstream calls

    def called(self, process: Process, call: Call) -> None:
        """An upstream call begins."""
        now = self.world.clock()
        assert call.block not in [other.block for other in process.upstream.pending], "a second call for one block"
        assert now >= process.throttled_until.get(call.token, 0), "a call during a cool-down"
        if process.uses_redis:
            assert now >= self.throttled_until.get(call.token, 0), "a call during a cool-down that Redis knows of"
        if not self._revalidates(process, call.token):
            assert not process.holds_fresh(call), "a call for what memory holds fresh"

    def _revalidates(self, process: Process, token: str) -> bool:
        """Whether some question may want rows read anew: a cursor may be newer, or blocks contradicted one another."""
        timeline, now = self.world.timelines[token], self.world.clock()
        return any(
            question.cursor_rows or len(timeline.between(question.started - KEPT_SECONDS, now, 0)) > 1
            for question in self.world.questions
            if question.process is process and question.timeline is self.world.timelines[token]
        )

    def met(self, process: Process, token: str, code: str) -> None:
        """A call meets a fault."""
        self.faults[process, token].append((self.world.clock(), code))

    def refused(self, process: Process, token: str) -> None:
        """A 401 or 403 was dealt with."""
        if process.uses_redis:
            access_token = self.world.timelines[token].token
            others = [other for other in self.world.processes if other is not process]
            held = {other: other.moments_kept(access_token) for other in others}
            self.tombstones[token] = Tombstone(self.world.clock(), held)

    # Answers

    def answered(self, question: Question, answer: ConnectionResult) -> None:
        """A question has an answer."""
        self.answers += 1
        nodes = answer.connection.nodes
        assert all(row.customer_name == question.timeline.name for row in nodes), "another token's row"
        assert all(row.service_name == question.locale for row in nodes), "a row for another locale"
        for state, moment in zip(answer.cache_states, answer.fetched_at, strict=True):
            self._check_age(question, state, moment)
            self._check_refusals(question, state, moment)
        warned = {warning.code for warning in answer.warnings}
        assert ("STALE_DATA" in warned) == (CacheState.STALE in answer.cache_states), "a false warning, or none"
        self._check_rows(question, answer, is_incomplete="UPSTREAM_INCOMPLETE" in warned)

    def _check_age(self, question: Question, state: CacheState, moment: float) -> None:
        start, now = question.started, self.world.clock()
        expires_at = question.timeline.token.expires_at
        assert moment <= now
        if state is CacheState.MISS:
            assert moment >= start - MOMENT_SECONDS, "X-Cache says miss of what was kept"
            return
        assert expires_at is None or start < expires_at, "served past the token's expiry"
        if state is CacheState.HIT:
            assert moment > start - FRESH_SECONDS, "X-Cache says hit of what is stale"
        else:
            assert start - KEPT_SECONDS < moment <= now - FRESH_SECONDS, "X-Cache says stale of what is not"

    def _check_refusals(self, question: Question, state: CacheState, moment: float) -> None:
        process, token = question.process, question.timeline.token
        refused = process.refused.get(token.reveal(), 0)
        assert question.started <= refused or moment >= refused, "served what was read before the refusal"
        begun = process.moments_answered.get(moment, moment)
        is_late = state is not CacheState.MISS and begun < refused < question.started
        assert not is_late, "kept what was being read when the token was refused"
        tombstone = self.tombstones.get(token.reveal())
        if state is CacheState.MISS or tombstone is None or question.started <= tombstone.moment:
            return
        assert moment >= tombstone.moment or moment in tombstone.held.get(process, ()), "a tombstone was passed over"

    def _check_rows(self, question: Question, answer: ConnectionResult, *, is_incomplete: bool) -> None:
        timeline = question.timeline
        if is_incomplete:
            versions = timeline.between(question.started - KEPT_SECONDS, self.world.clock(), question.filter_number)
            assert all(any(_is_piece(piece, rows) for rows in versions) for piece in answer.connection.pieces)
            return
        told = set().union(*(timeline.at(moment, question.filter_number) for moment in answer.fetched_at))
        if question.cursor_rows:
            told &= question.cursor_rows
            assert told, "a cursor of another snapshot was taken"
        good = {rows for rows in told if _fits(rows, question, answer)}
        assert good, f"no slice of any one snapshot: {shown(answer)} of {told}"
        self._keep_cursors(question, answer, good)

    def _keep_cursors(self, question: Question, answer: ConnectionResult, good: set[Rows]) -> None:
        known = self.world.cursors.setdefault((question.timeline.token.reveal(), question.filter_number), [])
        for piece in answer.connection.pieces:
            for index, offset in ((0, piece.offset), (-1, piece.offset + len(piece.rows) - 1)):
                known.append((piece.cursor(index), offset, next(iter(good))))

    # Errors

    def failed(self, question: Question, error: GatewayError) -> None:
        """A question has an error."""
        timeline, token = question.timeline, question.timeline.token.reveal()
        since = question.started - MOMENT_SECONDS
        met = {code for moment, code in self.faults[question.process, token] if moment >= since}
        if isinstance(error, SnapshotChanged):
            self._check_snapshot_changed(question)
        elif error.code == "RATE_LIMITED":
            assert self.longest_throttle.get(token, 0) > since, "throttled without a reason"
        elif error.code == "BAD_USER_INPUT":
            assert question.arguments.counts_from_end, "a good argument was refused"
            assert not timeline.tells_total or () in timeline.between(since - KEPT_SECONDS, self.world.clock(), 0)
        else:
            assert error.code in met, f"{error.code} without a reason"

    def _check_snapshot_changed(self, question: Question) -> None:
        timeline, now = question.timeline, self.world.clock()
        if question.cursor_rows:
            possible = timeline.between(question.started - KEPT_SECONDS, now, question.filter_number)
            assert possible - question.cursor_rows, "the snapshot has not changed"
        else:
            # The calls of others that it shares may have met a change before it started.
            seen = timeline.between(question.oldest, now, question.filter_number)
            assert len(seen) > 1, "a snapshot changed that nobody had asked for"


def shown(answer: ConnectionResult) -> list[tuple[int, list[Any]]]:
    """What an answer shows, for messages."""
    return [(piece.offset, [row.licenses_sold for row in piece.rows]) for piece in answer.connection.pieces]


def _fits(rows: Rows, question: Question, answer: ConnectionResult) -> bool:
    """Whether ``answer`` is what the window shows of ``rows``."""
    start, stop = model.window(len(rows), **question.window)
    found = answer.connection
    plain = plain_rows(found.nodes)
    if plain != list(rows[start:stop]):
        return False
    if found.total_count != (len(rows) if question.timeline.tells_total else None):
        return False
    if not plain:
        return True
    return (found.page_info.has_previous_page, found.page_info.has_next_page) == (start > 0, stop < len(rows))


def _is_piece(piece: Piece, rows: Rows) -> bool:
    return plain_rows(piece.rows) == list(rows[piece.offset : piece.offset + len(piece.rows)])


def plain_rows(rows: Any) -> list[tuple[Any, ...]]:
    """Rows as the model has them."""
    return [(row.service_code, row.licenses_sold, row.processed_date_time) for row in rows]


def timeline_of(world: World, number: int) -> Timeline:
    """A token's timeline by its number, which may be too large."""
    return list(world.timelines.values())[number % len(world.timelines)]
