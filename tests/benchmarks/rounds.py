"""Measure a case in rounds of short slots, one contender after the other, so that drift affects all alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tests.benchmarks.cases import Case
from tests.benchmarks.contenders import PLAIN
from tests.benchmarks.generators import Generator, job, run_wrk, uses_wrk
from tests.benchmarks.load import Result
from tests.benchmarks.measurements import Sample, Series
from tests.benchmarks.queries import Kind, Query
from tests.benchmarks.servers import Server

# After this many answers every just-in-time compiler has compiled a selection; plain Strawberry has no compiler.
_WARM_UP_REQUESTS = 3
_MIN_REQUESTS = 2


@dataclass(frozen=True, slots=True)
class Effort:
    """The length of a run. wrk's slots are whole seconds, so it gets fewer of them."""

    slot_seconds: float = 0.3
    judged_rounds: int = 5
    other_rounds: int = 3
    wrk_rounds: int = 3
    other_wrk_rounds: int = 2
    min_requests: int = _MIN_REQUESTS
    tokens: int = 1_000
    growth_rows: tuple[int, ...] = (100, 1_000, 10_000, 100_000, 250_000)
    beside_seconds: float = 1.5
    beside_rounds: int = 3
    judged_only: bool = False
    # The time of an upstream call in the export over a slow upstream.
    call_seconds: float = 2
    # Other tokens' load in "fairness", and the rows of the exports there and in "csv".
    fairness_seconds: float = 5
    fairness_rounds: int = 3
    export_clients: int = 20
    export_rows: int = 250_000
    export_rounds: int = 5
    large_clients: int = 6
    large_rows: int = 10_000
    # The rows that "views" orders, and the tokens that do so beside small pages.
    view_rows: int = 250_000
    view_tokens: int = 3
    view_rounds: int = 3

    def rounds(self, case: Case) -> int:
        """Return the number of rounds of a case."""
        if uses_wrk(case.clients):
            return self.wrk_rounds if case.is_judged else self.other_wrk_rounds
        return self.judged_rounds if case.is_judged else self.other_rounds


QUICK = Effort(
    slot_seconds=0.1, judged_rounds=1, other_rounds=1, wrk_rounds=1, other_wrk_rounds=1, min_requests=1,
    tokens=50, growth_rows=(10_000, 100_000), beside_seconds=0.5, beside_rounds=1, judged_only=True, call_seconds=0.1,
    fairness_seconds=0.5, fairness_rounds=1, export_clients=4, export_rows=20_000, export_rounds=1, large_clients=2,
    large_rows=2_000, view_rows=20_000, view_tokens=2, view_rounds=1,
)  # fmt: skip


def measure(case: Case, servers: Mapping[str, Server], load: Generator, effort: Effort) -> dict[str, Series]:
    """Measure the case's contenders that are running. Raises RuntimeError if answers fail."""
    names = [name for name in case.contenders if name in servers]
    for name in names:
        warm_up(case.query_for(name), name, servers[name], load)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for number in range(effort.rounds(case)):
        # Reverse every other round, so that no contender always follows the slowest.
        for name in names if number % 2 == 0 else reversed(names):
            samples[name].append(_sample(case, name, servers[name], load, effort))
    return {name: Series(tuple(rounds)) for name, rounds in samples.items()}


def warm_up(query: Query, name: str, server: Server, load: Generator) -> None:
    """Let the server fill its cache and compile its plans."""
    kinds = {query.kind, Kind.SEEN} if query.kind is Kind.NEW else {query.kind}
    for kind in sorted(kinds, key=lambda kind: kind.name):
        requests = 1 if name == PLAIN else _WARM_UP_REQUESTS
        load.run(job(server, name, replace(query, kind=kind), seconds=0, min_requests=requests))


def _sample(case: Case, name: str, server: Server, load: Generator, effort: Effort) -> Sample:
    load_job = job(
        server,
        name,
        case.query_for(name),
        clients=case.clients,
        seconds=effort.slot_seconds,
        min_requests=max(effort.min_requests, case.clients),
    )
    before = server.cpu_seconds
    result: Result = run_wrk(load_job) if uses_wrk(case.clients) else load.run(load_job)
    cpu_ms = (server.cpu_seconds - before) * 1_000 / result.requests
    return Sample(result.p50_ms, result.p99_ms, result.requests_per_second, cpu_ms, result.requests, result.reply_bytes)
