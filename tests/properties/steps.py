"""All that can happen in a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from gateway.cache.sealing import Entry, entry
from gateway.cache.shared import _block_entry, _query_entry
from gateway.page import Caller
from gateway.paging.window import page_arguments
from tests.gateway.cache.troubled_redis import TROUBLES
from tests.properties.judges import Judge, timeline_of
from tests.properties.processes import SIZES, Process, Question
from tests.properties.timeline import FILTERS, Timeline, query
from tests.properties.verdicts import answer_all, say
from tests.properties.worlds import World

LOCALES = (None, "de-DE")


class Step(Protocol):
    """One thing that happens."""

    async def run(self, world: World, judge: Judge) -> None:
        """Make it happen."""
        ...


@dataclass(frozen=True)
class Ask:
    """Somebody asks, perhaps several at once the same."""

    process: int
    token: int
    filter_number: int
    window: tuple[str, int, int]
    locale: int = 0
    times: int = 1

    async def run(self, world: World, judge: Judge) -> None:
        timeline = timeline_of(world, self.token)
        process = world.processes[self.process % len(world.processes)]
        for _ in range(self.times):
            world.ask(self._question(world, process, timeline))

    def _question(self, world: World, process: Process, timeline: Timeline) -> Question:
        kind, place, rows = self.window
        given: dict[str, Any] = dict.fromkeys(("first", "last", "after", "before", "offset"))
        window = dict(given)
        cursor_rows = set()
        given["last" if kind in ("last", "before") else "first"] = rows
        window.update(given)
        if kind == "offset":
            given["offset"] = window["offset"] = place
        known = world.cursors.get((timeline.token.reveal(), self.filter_number), [])
        if kind in ("after", "before") and known:
            # The latest ones come first.
            given[kind], window[kind], found = known[-1 - place % len(known)]
            cursor_rows = {found}
        arguments = page_arguments(**given, fingerprint=query(self.filter_number).fingerprint, max_rows=100)
        locale, now = LOCALES[self.locale], world.clock()
        token = timeline.token.reveal()
        oldest = min([now, *(call.begun for call in process.upstream.pending if call.token == token)])
        return Question(
            process, timeline, locale, self.filter_number, arguments, window, cursor_rows, now, oldest
        )  # fmt: skip


@dataclass(frozen=True)
class Reply:
    """The upstream answers one call."""

    call: int
    verdict: str

    async def run(self, world: World, judge: Judge) -> None:
        if world.pending:
            process, call = world.pending[self.call % len(world.pending)]
            await say(world, judge, process, call, self.verdict)


@dataclass(frozen=True)
class ReplyToAll:
    """The upstream answers well until nobody asks any more."""

    async def run(self, world: World, judge: Judge) -> None:
        await answer_all(world, judge)


@dataclass(frozen=True)
class Pass:
    """Time passes."""

    seconds: float

    async def run(self, world: World, judge: Judge) -> None:
        await world.advance(self.seconds)


@dataclass(frozen=True)
class Renew:
    """The data of a token is processed anew: with another date, or only with more rows."""

    token: int
    rows: int
    grows: bool

    async def run(self, world: World, judge: Judge) -> None:
        timeline = timeline_of(world, self.token)
        if self.grows:
            timeline.grow(world.clock(), self.rows)
        else:
            timeline.process(world.clock(), self.rows)


@dataclass(frozen=True)
class HangUp:
    """Somebody who waits goes away."""

    question: int

    async def run(self, world: World, judge: Judge) -> None:
        if world.questions:
            task = world.questions[self.question % len(world.questions)].task
            assert task is not None
            task.cancel()


@dataclass(frozen=True)
class Trouble:
    """Redis fails, or is well again."""

    kind: str | None

    async def run(self, world: World, judge: Judge) -> None:
        if self.kind is None:
            await world.heal()
        else:
            world.is_troubled = True
            world.proxy.trouble = TROUBLES[self.kind]


@dataclass(frozen=True)
class Flush:
    """Redis loses everything."""

    async def run(self, world: World, judge: Judge) -> None:
        world.server.client.flushall()
        judge.throttled_until.clear()


@dataclass(frozen=True)
class Plant:
    """Somebody with access to Redis copies all that one token has there to the keys of another.

    Nothing comes back to where it was before: that an entry's own older version can be put back is no secret (README).
    """

    source: int
    target: int

    async def run(self, world: World, judge: Judge) -> None:
        client = world.server.client
        pairs = zip(places(timeline_of(world, self.source)), places(timeline_of(world, self.target)), strict=True)
        for source, target in pairs:
            value = client.get(source.name)
            homes = set() if value is None else world.homes.setdefault(value, {source.name})
            if value is not None and target.name not in homes:
                homes.add(target.name)
                client.set(target.name, value, ex=100)


def places(timeline: Timeline) -> list[Entry]:
    """Where Redis may have something of a token; all but its cool-down, which is nobody's secret."""
    found = [entry(timeline.token, "token")]
    for number in range(len(FILTERS)):
        for locale in LOCALES:
            caller = Caller(timeline.token, locale)
            found.append(_query_entry(query(number), caller))
            for skip, top in [(0, SIZES.first_rows), *((skip, SIZES.rows) for skip in range(0, 40, SIZES.rows))]:
                found.append(_block_entry(query(number, skip, top), caller))
    return found


@dataclass(frozen=True)
class Hold:
    """What a process asks of Redis waits from now on."""

    process: int

    async def run(self, world: World, judge: Judge) -> None:
        world.processes[self.process % len(world.processes)].redis.is_holding = True


@dataclass(frozen=True)
class LetGo:
    """The first operations that wait go on; None: all."""

    process: int
    operations: int | None

    async def run(self, world: World, judge: Judge) -> None:
        world.processes[self.process % len(world.processes)].redis.let_go(self.operations)


@dataclass(frozen=True)
class Restart:
    """A process ends, and another begins in its place."""

    process: int

    async def run(self, world: World, judge: Judge) -> None:
        number = self.process % len(world.processes)
        old = world.processes[number]
        for question in list(world.questions):
            if question.process is old:
                assert question.task is not None
                question.task.cancel()
        await world.settle()
        await old.aclose()
        world.processes[number] = Process(world, old.memory_bytes)
