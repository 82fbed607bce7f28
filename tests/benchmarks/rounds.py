"""Measures a case: rounds of short slots, one contender after the other, so that drift hits all alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.benchmarks.cases import Case
from tests.benchmarks.contenders import PLAIN
from tests.benchmarks.figures import Sample, Series
from tests.benchmarks.generators import Generator, job, run_wrk, uses_wrk
from tests.benchmarks.load import Result
from tests.benchmarks.questions import Kind, Question
from tests.benchmarks.servers import Server

# So many answers make a selection "asked before" for every just-in-time compiler; plain Strawberry has none.
_WARM_UP_REQUESTS = 3
_MIN_REQUESTS = 2


@dataclass(frozen=True, slots=True)
class Effort:
    """How much time a run takes. wrk's slots are whole seconds, so it gets fewer of them."""

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

    def rounds(self, case: Case) -> int:
        """How often a case is measured."""
        if uses_wrk(case.clients):
            return self.wrk_rounds if case.is_judged else self.other_wrk_rounds
        return self.judged_rounds if case.is_judged else self.other_rounds


QUICK = Effort(
    slot_seconds=0.1, judged_rounds=1, other_rounds=1, wrk_rounds=1, other_wrk_rounds=1, min_requests=1,
    tokens=50, growth_rows=(10_000, 100_000), beside_seconds=0.5, beside_rounds=1, judged_only=True,
)  # fmt: skip


def measure(case: Case, servers: Mapping[str, Server], load: Generator, effort: Effort) -> dict[str, Series]:
    """All rounds of those of the case's contenders that are running. Raises RuntimeError when answers fail."""
    names = [name for name in case.contenders if name in servers]
    for name in names:
        warm_up(case.asked(name), name, servers[name], load)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for number in range(effort.rounds(case)):
        # Every other round backwards: nobody is always the one after the slowest.
        for name in names if number % 2 == 0 else reversed(names):
            samples[name].append(_sample(case, name, servers[name], load, effort))
    return {name: Series(tuple(rounds)) for name, rounds in samples.items()}


def warm_up(question: Question, name: str, server: Server, load: Generator) -> None:
    """Let the server fill its cache and compile what it compiles."""
    kinds = {question.kind, Kind.SEEN} if question.kind is Kind.NEW else {question.kind}
    for kind in sorted(kinds, key=lambda kind: kind.name):
        asked = Question(question.rows, kind, question.fields, question.shape)
        load.run(job(server, name, asked, seconds=0, min_requests=1 if name == PLAIN else _WARM_UP_REQUESTS))


def _sample(case: Case, name: str, server: Server, load: Generator, effort: Effort) -> Sample:
    asked = job(
        server,
        name,
        case.asked(name),
        clients=case.clients,
        seconds=effort.slot_seconds,
        min_requests=max(effort.min_requests, case.clients),
    )
    before = server.cpu_seconds
    result: Result = run_wrk(asked) if uses_wrk(case.clients) else load.run(asked)
    cpu_ms = (server.cpu_seconds - before) * 1_000 / result.requests
    return Sample(result.p50_ms, result.p99_ms, result.requests_per_second, cpu_ms, result.requests, result.reply_bytes)
