"""Every answer is one snapshot of the caller's own rows, whatever happens in whatever order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.gateway.cache.troubled_redis import troubled_redis
from tests.properties.environment import Environment
from tests.properties.invariants import InvariantChecker
from tests.properties.processes import AMPLE_BYTES, NO_BYTES, PACKING_BYTES, SCARCE_BYTES
from tests.properties.schedule_steps import (
    AdvanceClock,
    CancelQuery,
    ChangeData,
    CopyRedisEntries,
    FlushRedis,
    HoldRedis,
    ReleaseRedis,
    Respond,
    RespondToAll,
    RestartProcess,
    SetRedisFault,
    StartQuery,
    Step,
)
from tests.properties.upstream_responses import TICK_SECONDS, respond_to_all
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

# Hypothesis shrinks the irrelevant steps of a failing schedule to this one.
NOTHING: st.SearchStrategy[Step] = st.just(AdvanceClock(0.0))

INDEX = st.integers(0, 9)


def bad_responses(*outcomes: str) -> st.SearchStrategy[Step]:
    """Complete a call with one of these outcomes."""
    return st.builds(Respond, INDEX, st.sampled_from(outcomes))


def processings(tokens: st.SearchStrategy[int]) -> st.SearchStrategy[Step]:
    """Change the data."""
    return st.builds(ChangeData, tokens, st.sampled_from([0, 2, 6, 9, 10, 12, 13, 24]), st.booleans())


def kinds_of_trouble(
    tokens: st.SearchStrategy[int], processes: st.SearchStrategy[int]
) -> list[st.SearchStrategy[Step]]:
    """Return all kinds of steps except queries and good upstream responses."""
    release: st.SearchStrategy[Step] = st.builds(ReleaseRedis, processes, st.sampled_from([1, 1, 1, 2, None]))
    return [
        # Refusals are listed twice, because serving rows after a refusal would be the worst fault.
        bad_responses(*REFUSALS),
        bad_responses(*REFUSALS),
        bad_responses(*COOLDOWNS),
        bad_responses(*FAILURES),
        processings(tokens),
        st.one_of(st.builds(HoldRedis, processes), release, release, release),
        st.builds(SetRedisFault, st.sampled_from([None, None, *REDIS_TROUBLES])),
        st.builds(AdvanceClock, st.sampled_from(PERIODS)),
        st.builds(FlushRedis),
        st.builds(CopyRedisEntries, tokens, tokens),
        st.builds(CancelQuery, INDEX) | st.builds(RestartProcess, processes),
    ]


@st.composite
def schedules(draw: st.DrawFn) -> list[Step]:
    """Draw steps from a few tokens, windows and faults, so that each combination of them is frequent."""
    numbers = draw(st.sampled_from([[0], [0], [1], [1], [2], [3], [0, 1], [0, 1], [0, 1, 2, 3]]))
    tokens = st.sampled_from(numbers)
    processes = st.sampled_from(draw(st.sampled_from([[0], [0], [0, 1]])))
    windows = st.sampled_from(draw(st.lists(st.sampled_from(WINDOWS), min_size=2, max_size=5, unique=True)))
    filters = st.sampled_from(draw(st.sampled_from([[0], [0], [0], [0, 1, 2]])))
    locales = st.sampled_from(draw(st.sampled_from([[0], [0], [0], [0, 1]])))
    times = st.sampled_from([1, 1, 2, 3])
    asking: st.SearchStrategy[Step] = st.builds(StartQuery, processes, tokens, filters, windows, locales, times)
    good: st.SearchStrategy[Step] = st.builds(Respond, INDEX, st.just("ok"))
    all_kinds = kinds_of_trouble(tokens, processes)
    chosen = draw(st.lists(st.integers(0, len(all_kinds) - 1), min_size=1, max_size=4, unique=True))
    kinds = [all_kinds[number] for number in chosen]
    if len(numbers) > 1:
        kinds.append(st.builds(CopyRedisEntries, tokens, tokens))
    # Queries are more frequent than other steps, because without queries nothing happens. ``one_of`` would flatten its
    # alternatives and lose these weights.
    choices = [NOTHING, *[asking] * 8, *[good] * 4, *[st.builds(RespondToAll)] * 3, *kinds * 2, processings(tokens)]
    steps = st.sampled_from(choices).flatmap(lambda chosen: chosen)
    return draw(st.lists(steps, min_size=20, max_size=70))


MEMORIES = st.lists(
    st.sampled_from([AMPLE_BYTES, PACKING_BYTES, PACKING_BYTES, SCARCE_BYTES, NO_BYTES]), min_size=2, max_size=2
)


async def play(server: RedisServer, memories: list[int], schedule: list[Step]) -> None:
    """Run a schedule, heal everything, and check that nothing is pending."""
    server.client.flushall()
    async with troubled_redis(server.port) as proxy:
        environment = Environment(server, proxy, memories)
        checker = InvariantChecker(environment)
        environment.on_call, environment.on_answer, environment.on_error = (
            checker.check_call,
            checker.check_answer,
            checker.check_error,
        )
        try:
            for step in schedule:
                environment.clock.seconds += TICK_SECONDS
                await step.run(environment, checker)
                await environment.settle()
            await finish(environment, checker)
        finally:
            await environment.aclose()
        check_nothing_is_pending(environment)


async def finish(environment: Environment, checker: InvariantChecker) -> None:
    """End all faults; then each used token must get all its present rows from every process."""
    await environment.heal()
    for process in environment.processes:
        process.redis.release()
    await respond_to_all(environment, checker)
    assert not environment.queries, "queries were never answered"
    await environment.advance(1_200)
    before = checker.answers
    tokens = [number for number, name in enumerate(environment.timelines) if name in environment.query_tokens]
    for token in tokens:
        for number in range(len(environment.processes)):
            await StartQuery(number, token, 0, ("first", 0, 50)).run(environment, checker)
    await respond_to_all(environment, checker)
    assert checker.answers == before + len(tokens) * len(environment.processes), "a query failed in the end"


def check_nothing_is_pending(environment: Environment) -> None:
    """Check that no flight, read or call is pending, and that the memory tier's accounting is right."""
    assert not environment.pending
    for process in environment.processes:
        cache = process.cache
        assert not process.source._flights
        assert not cache.reads._by_token
        assert not cache._refreshes._tasks
        records = cache.store._records
        assert cache.store.used_bytes == sum(record.cost_bytes for record in records.values())
        assert cache.store.used_bytes <= process.memory_bytes
        indexed = {key for blocks in cache.index._queries.values() for key in blocks}
        assert indexed == set(records)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


# For a longer run set it in the environment; an example takes about a tenth of a second.
EXAMPLES = int(os.environ.get("INTERLEAVING_EXAMPLES", "250"))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    # Leave out the explain phase, which would double the time.
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
@given(memories=MEMORIES, schedule=schedules())
@pytest.mark.timeout(3_600)
def test_each_answer_is_one_snapshot_of_the_callers_rows(
    server: RedisServer, memories: list[int], schedule: list[Step]
) -> None:
    asyncio.run(play(server, memories, schedule))
