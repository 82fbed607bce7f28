"""Nothing lost, nobody in: whatever happens in whatever order, an answer is one snapshot of the caller's own rows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.gateway.cache.troubled_redis import troubled_redis
from tests.properties.judges import Judge
from tests.properties.processes import AMPLE_BYTES, NO_BYTES, SCARCE_BYTES
from tests.properties.steps import (
    Ask,
    Flush,
    HangUp,
    Hold,
    LetGo,
    Pass,
    Plant,
    Renew,
    Reply,
    ReplyToAll,
    Restart,
    Step,
    Trouble,
)
from tests.properties.verdicts import TICK_SECONDS, answer_all
from tests.properties.worlds import World
from tests.redis_server import RedisServer, redis_server

WINDOWS: list[tuple[str, int, int]] = [
    *[("first", 0, rows) for rows in (3, 5, 8, 12, 30)],
    *[("last", 0, rows) for rows in (1, 4, 12)],
    *[("offset", place, rows) for place in (4, 10, 21, 40) for rows in (1, 12)],
    *[(kind, place, rows) for kind in ("after", "before") for place in (0, 3) for rows in (2, 15)],
]
REFUSALS, COOLDOWNS = ("401", "403"), ("429 5", "429 60", "429 soon")
FAILURES = ("503", "timeout", "truncated", "cut json", "empty")
REDIS_TROUBLES = ("cut", "OOM", "an unknown error", "a length that is no number")
PERIODS = (1.0, 20.0, 31.0, 80.0, 101.0, 101.0, 400.0, 1_001.0)

# What a failing schedule's needless steps shrink to.
NOTHING: st.SearchStrategy[Step] = st.just(Pass(0.0))

INDEX = st.integers(0, 9)


def bad_replies(*verdicts: str) -> st.SearchStrategy[Step]:
    """A call meets one of these."""
    return st.builds(Reply, INDEX, st.sampled_from(verdicts))


def processings(tokens: st.SearchStrategy[int]) -> st.SearchStrategy[Step]:
    """The data is processed anew."""
    return st.builds(Renew, tokens, st.sampled_from([0, 2, 6, 9, 10, 12, 13, 24]), st.booleans())


def kinds_of_trouble(
    tokens: st.SearchStrategy[int], processes: st.SearchStrategy[int]
) -> list[st.SearchStrategy[Step]]:
    """What may happen besides questions and good answers."""
    let_go: st.SearchStrategy[Step] = st.builds(LetGo, processes, st.sampled_from([1, 1, 1, 2, None]))
    return [
        # Twice, for it is what most must never go wrong after.
        bad_replies(*REFUSALS),
        bad_replies(*REFUSALS),
        bad_replies(*COOLDOWNS),
        bad_replies(*FAILURES),
        processings(tokens),
        st.one_of(st.builds(Hold, processes), let_go, let_go, let_go),
        st.builds(Trouble, st.sampled_from([None, None, *REDIS_TROUBLES])),
        st.builds(Pass, st.sampled_from(PERIODS)),
        st.builds(Flush),
        st.builds(Plant, tokens, tokens),
        st.builds(HangUp, INDEX) | st.builds(Restart, processes),
    ]


@st.composite
def schedules(draw: st.DrawFn) -> list[Step]:
    """Steps about some tokens, some windows and some kinds of trouble: what is rare among all is frequent among few."""
    numbers = draw(st.sampled_from([[0], [0], [1], [1], [2], [3], [0, 1], [0, 1], [0, 1, 2, 3]]))
    tokens = st.sampled_from(numbers)
    processes = st.sampled_from(draw(st.sampled_from([[0], [0], [0, 1]])))
    windows = st.sampled_from(draw(st.lists(st.sampled_from(WINDOWS), min_size=2, max_size=5, unique=True)))
    filters = st.sampled_from(draw(st.sampled_from([[0], [0], [0], [0, 1, 2]])))
    locales = st.sampled_from(draw(st.sampled_from([[0], [0], [0], [0, 1]])))
    times = st.sampled_from([1, 1, 2, 3])
    asking: st.SearchStrategy[Step] = st.builds(Ask, processes, tokens, filters, windows, locales, times)
    good: st.SearchStrategy[Step] = st.builds(Reply, INDEX, st.just("ok"))
    all_kinds = kinds_of_trouble(tokens, processes)
    chosen = draw(st.lists(st.integers(0, len(all_kinds) - 1), min_size=1, max_size=4, unique=True))
    kinds = [all_kinds[number] for number in chosen]
    if len(numbers) > 1:
        kinds.append(st.builds(Plant, tokens, tokens))
    # Weighed: without questions nothing happens. (``one_of`` would take its alternatives' alternatives for its own.)
    choices = [NOTHING, *[asking] * 8, *[good] * 4, *[st.builds(ReplyToAll)] * 3, *kinds * 2, processings(tokens)]
    steps = st.sampled_from(choices).flatmap(lambda chosen: chosen)
    return draw(st.lists(steps, min_size=20, max_size=70))


MEMORIES = st.lists(st.sampled_from([AMPLE_BYTES, AMPLE_BYTES, SCARCE_BYTES, NO_BYTES]), min_size=2, max_size=2)


async def play(server: RedisServer, memories: list[int], schedule: list[Step]) -> None:
    """Run a schedule to its end."""
    server.client.flushall()
    async with troubled_redis(server.port) as proxy:
        world = World(server, proxy, memories)
        judge = Judge(world)
        world.on_call, world.on_answer, world.on_error = judge.called, judge.answered, judge.failed
        try:
            for step in schedule:
                world.clock.seconds += TICK_SECONDS
                await step.run(world, judge)
                await world.settle()
            await finish(world, judge)
        finally:
            await world.aclose()
        check_nothing_is_left(world)


async def finish(world: World, judge: Judge) -> None:
    """All faults end; then every token that asked gets all its present rows from every process."""
    await world.heal()
    for process in world.processes:
        process.redis.let_go()
    await answer_all(world, judge)
    assert not world.questions, "nobody answers"
    await world.advance(1_200)
    before = judge.answers
    tokens = [number for number, name in enumerate(world.timelines) if name in world.asked]
    for token in tokens:
        for number in range(len(world.processes)):
            await Ask(number, token, 0, ("first", 0, 50)).run(world, judge)
    await answer_all(world, judge)
    assert judge.answers == before + len(tokens) * len(world.processes), "not answered in the end"


def check_nothing_is_left(world: World) -> None:
    """No flight, read or call goes on, and the memory tier's books are right."""
    assert not world.pending
    for process in world.processes:
        cache = process.cache
        assert not process.source._flights
        assert not cache._reads._by_token
        assert not cache._refreshes
        records = cache.store._cache._records
        assert cache.store._cache.used_bytes == sum(record.cost_bytes for record in records.values())
        assert cache.store._cache.used_bytes <= process.memory_bytes
        indexed = {key for blocks in cache._index._queries.values() for key in blocks}
        assert indexed == set(records)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as found:
        yield found


# For thousands, set it in the environment: about a tenth of a second an example.
EXAMPLES = int(os.environ.get("INTERLEAVING_EXAMPLES", "250"))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    # Explaining would take as long again as shrinking.
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
@given(memories=MEMORIES, schedule=schedules())
@pytest.mark.timeout(3_600)
def test_nothing_is_lost_and_nobody_gets_in(server: RedisServer, memories: list[int], schedule: list[Step]) -> None:
    asyncio.run(play(server, memories, schedule))
