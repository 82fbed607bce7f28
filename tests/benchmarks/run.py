"""One run: start everything, check that the contenders agree, measure, stop everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tests.benchmarks import (
    agreement,
    capacity,
    contenders,
    csv_export,
    fairness,
    growth,
    interference,
    memory,
    rounds,
    tailcall,
    views,
)
from tests.benchmarks.cases import CASES, Case
from tests.benchmarks.contenders import ALIASES
from tests.benchmarks.generators import Generator, generator
from tests.benchmarks.results import Results
from tests.benchmarks.rounds import Effort
from tests.benchmarks.servers import Server

PARTS = ("beside", "growth", "memory", "second look", "export", "fairness", "csv", "views")
BESIDE, GROWTH, MEMORY, SECOND_LOOK, EXPORT, FAIRNESS, CSV, VIEWS = PARTS

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """The cases and parts of a run, and its optional contenders."""

    cases: Sequence[Case]
    parts: frozenset[str]
    peers: bool
    redis_url: str | None


def plan(effort: Effort, only: Sequence[str], *, peers: bool, redis_url: str | None) -> Plan:
    """Return what ``only`` names, else everything that ``effort`` includes. Raises RuntimeError for an unknown name."""
    cases = [case for case in CASES if case.is_judged or not effort.judged_only]
    parts = frozenset(PARTS)
    if only:
        cases = [case for name in only for case in _named(name)]
        parts = frozenset(only) & parts
    return Plan(cases, parts, peers, redis_url)


def _named(name: str) -> list[Case]:
    if name in PARTS:
        return []
    cases = [case for case in CASES if case.name == name] or [case for case in CASES if name in case.name]
    if not cases:
        raise RuntimeError(f"No case is called {name!r}. The cases are: {'; '.join(case.name for case in CASES)}.")
    return cases


def run(
    effort: Effort, *, only: Sequence[str] = (), peers: bool = True, redis_url: str | None = None,
    log: Log = lambda _: None,
) -> Results:  # fmt: skip
    """Measure what ``only`` names, or everything. Raises RuntimeError if a process or an answer fails."""
    missing = contenders.install_peers() if peers else "disabled with --no-peers"
    with contenders.redis(redis_url) as address:
        return _measure(effort, plan(effort, only, peers=missing is None, redis_url=address), missing, log)


def _measure(effort: Effort, chosen: Plan, missing: str | None, log: Log) -> Results:
    results = Results()
    if missing:
        results.notes.append(f"Node peers and Tailcall left out: {missing}.")
    elif no_tailcall := tailcall.missing():
        results.notes.append(f"Tailcall left out: {no_tailcall}.")
    if chosen.redis_url is None:
        results.notes.append("Redis tier left out: redis-server is not installed, and no address was given.")
    log("starting")
    with contenders.stub() as upstream, generator() as load:
        if chosen.cases or BESIDE in chosen.parts:
            _side_by_side(upstream, load, effort, results, chosen, log)
        if GROWTH in chosen.parts:
            log(GROWTH)
            results.growth = growth.measure(upstream, load, effort)
        if MEMORY in chosen.parts:
            log(MEMORY)
            results.memory = memory.measure(upstream, load, effort)
        if SECOND_LOOK in chosen.parts:
            log(SECOND_LOOK)
            results.second_look = capacity.second_look(upstream, effort)
    _exports(effort, results, chosen, log)
    return results


def _exports(effort: Effort, results: Results, chosen: Plan, log: Log) -> None:
    """Measure the parts that start another upstream."""
    if EXPORT in chosen.parts:
        log(EXPORT)
        results.slow_export = capacity.slow_export(effort)
    if FAIRNESS in chosen.parts:
        log(FAIRNESS)
        with generator() as load, generator() as other:
            results.fairness = fairness.measure(load, other, effort)
    if CSV in chosen.parts:
        log(CSV)
        results.csv = csv_export.measure(effort)
    if VIEWS in chosen.parts:
        log(VIEWS)
        with generator() as load:
            results.views = views.measure(load, effort)


def _side_by_side(upstream: Server, load: Generator, effort: Effort, results: Results, chosen: Plan, log: Log) -> None:
    with ExitStack() as stack:
        servers = contenders.start(stack, upstream, peers=chosen.peers, redis_url=chosen.redis_url)
        agreement.check(upstream, servers)
        for case in chosen.cases:
            log(case.name)
            results.cases[case.name] = rounds.measure(case, servers, load, effort)
        results.peak_memory_bytes = {
            name: server.peak_memory_bytes for name, server in servers.items() if name not in ALIASES
        }
        if BESIDE in chosen.parts:
            log(BESIDE)
            with generator() as other:
                results.beside = interference.measure(servers, load, other, effort)
