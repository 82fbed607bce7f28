"""The steps of a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from gateway.cache.sealing import Entry
from gateway.caller import Caller
from gateway.paging.window import page_arguments
from tests.gateway.cache.troubled_redis import TROUBLES
from tests.properties.environment import Environment
from tests.properties.invariants import InvariantChecker, timeline_of
from tests.properties.processes import SIZES, Process, RunningQuery
from tests.properties.timeline import FILTERS, Timeline, page_query
from tests.properties.upstream_responses import respond, respond_to_all

LOCALES = (None, "de-DE")


class Step(Protocol):
    """One step of a schedule."""

    async def run(self, environment: Environment, checker: InvariantChecker) -> None:
        """Run the step."""
        ...


@dataclass(frozen=True)
class StartQuery:
    """Start a query, perhaps several times at once."""

    process: int
    token: int
    filter_number: int
    window: tuple[str, int, int]
    locale: int = 0
    times: int = 1

    async def run(self, environment: Environment, checker: InvariantChecker) -> None:
        timeline = timeline_of(environment, self.token)
        process = environment.processes[self.process % len(environment.processes)]
        for _ in range(self.times):
            environment.start_query(self._query(environment, process, timeline))

    def _query(self, environment: Environment, process: Process, timeline: Timeline) -> RunningQuery:
        kind, place, rows = self.window
        arguments: dict[str, Any] = dict.fromkeys(("first", "last", "after", "before", "offset"))
        window = dict(arguments)
        cursor_rows = set()
        arguments["last" if kind in ("last", "before") else "first"] = rows
        window.update(arguments)
        if kind == "offset":
            arguments["offset"] = window["offset"] = place
        known = environment.cursors.get((timeline.token.reveal(), self.filter_number), [])
        if kind in ("after", "before") and known:
            # Place 0 is the latest cursor.
            arguments[kind], window[kind], rows_then = known[-1 - place % len(known)]
            cursor_rows = {rows_then}
        page = page_arguments(**arguments, fingerprint=page_query(self.filter_number).fingerprint, max_rows=100)
        locale, now = LOCALES[self.locale], environment.clock()
        token = timeline.token.reveal()
        oldest = now
        if any(call.token == token for call in process.upstream.pending):
            # A pending call may continue a block that was begun for any earlier query of the token.
            mates = (mate for mate in environment.queries if mate.process is process and mate.timeline is timeline)
            oldest = min([now, *(mate.started for mate in mates)])
        return RunningQuery(
            process, timeline, locale, self.filter_number, page, window, cursor_rows, now, oldest
        )  # fmt: skip


@dataclass(frozen=True)
class Respond:
    """Complete one upstream call."""

    call: int
    outcome: str

    async def run(self, environment: Environment, checker: InvariantChecker) -> None:
        if environment.pending:
            process, call = environment.pending[self.call % len(environment.pending)]
            await respond(environment, checker, process, call, self.outcome)


@dataclass(frozen=True)
class RespondToAll:
    """Complete upstream calls with good responses until no call is left."""

    async def run(self, environment: Environment, checker: InvariantChecker) -> None:
        await respond_to_all(environment, checker)


@dataclass(frozen=True)
class AdvanceClock:
    """Advance the clock."""

    seconds: float

    async def run(self, environment: Environment, checker: InvariantChecker) -> None:
        await environment.advance(self.seconds)


@dataclass(frozen=True)
class ChangeData:
    """Change a token's data: reprocess it with another date, or only add rows."""

    token: int
    rows: int
    grows: bool

    async def run(self, environment: Environment, checker: InvariantChecker) -> None:
        timeline = timeline_of(environment, self.token)
        if self.grows:
            timeline.grow(environment.clock(), self.rows)
        else:
            timeline.process(environment.clock(), self.rows)


@dataclass(frozen=True)
class CancelQuery:
    """Cancel a running query, as when the caller hangs up."""

    number: int

    async def run(self, environment: Environment, checker: InvariantChecker) -> None:
        if environment.queries:
            task = environment.queries[self.number % len(environment.queries)].task
            assert task is not None
            task.cancel()


@dataclass(frozen=True)
class SetRedisFault:
    """Start a fault of Redis, or heal it (None)."""

    kind: str | None

    async def run(self, environment: Environment, checker: InvariantChecker) -> None:
        if self.kind is None:
            await environment.heal()
        else:
            environment.is_troubled = True
            environment.proxy.trouble = TROUBLES[self.kind]


@dataclass(frozen=True)
class FlushRedis:
    """Delete everything in Redis."""

    async def run(self, environment: Environment, checker: InvariantChecker) -> None:
        environment.server.client.flushall()
        checker.throttled_until.clear()


@dataclass(frozen=True)
class CopyRedisEntries:
    """Copy all Redis entries of one token to the keys of another, as an attacker with access to Redis could.

    An entry is never copied back to a key it had before: restoring an older version of an entry is a known limit.
    """

    source: int
    target: int

    async def run(self, environment: Environment, checker: InvariantChecker) -> None:
        client = environment.server.client
        pairs = zip(
            redis_entries(environment, timeline_of(environment, self.source)),
            redis_entries(environment, timeline_of(environment, self.target)),
            strict=True,
        )
        for source, target in pairs:
            value = client.get(source.name)
            entry_names = set() if value is None else environment.entry_names.setdefault(value, {source.name})
            if value is not None and target.name not in entry_names:
                entry_names.add(target.name)
                client.set(target.name, value, ex=100)


def redis_entries(environment: Environment, timeline: Timeline) -> list[Entry]:
    """Return the Redis entries that a token may have, except its cool-down, which is not secret."""
    shared = environment.processes[0].shared
    entries = [shared._tokens.entry(timeline.token)]
    for number in range(len(FILTERS)):
        for locale in LOCALES:
            caller = Caller(timeline.token, locale)
            entries.append(shared._query_entry(page_query(number), caller))
            for skip, top in [(0, SIZES.first_rows), *((skip, SIZES.rows) for skip in range(0, 40, SIZES.rows))]:
                entries.append(shared._block_entry(page_query(number, skip, top), caller))
    return entries


@dataclass(frozen=True)
class HoldRedis:
    """Hold the Redis operations of a process from now on."""

    process: int

    async def run(self, environment: Environment, checker: InvariantChecker) -> None:
        environment.processes[self.process % len(environment.processes)].redis.is_holding = True


@dataclass(frozen=True)
class ReleaseRedis:
    """Release the first held operations; None releases all."""

    process: int
    operations: int | None

    async def run(self, environment: Environment, checker: InvariantChecker) -> None:
        environment.processes[self.process % len(environment.processes)].redis.release(self.operations)


@dataclass(frozen=True)
class RestartProcess:
    """Close a process and start another in its place."""

    process: int

    async def run(self, environment: Environment, checker: InvariantChecker) -> None:
        number = self.process % len(environment.processes)
        old = environment.processes[number]
        for query in list(environment.queries):
            if query.process is old:
                assert query.task is not None
                query.task.cancel()
        await environment.settle()
        await old.aclose()
        environment.processes[number] = Process(environment, old.memory_bytes)
