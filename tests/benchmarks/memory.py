"""Whether the bound of the cache is one of the process: a thousand tokens, 10,000 rows each, under mixed load."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.settings import Settings
from tests.benchmarks import contenders
from tests.benchmarks.generators import Generator, job
from tests.benchmarks.questions import Kind, Question
from tests.benchmarks.rounds import Effort
from tests.benchmarks.servers import Server

ROWS = 10_000
_CLIENTS = 4
# Between cold pages: selections of cached rows that were asked before, and that were not.
_MIXED_REQUESTS = 20
_PORTIONS = 10


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak memory of a process that was asked for more than its cache may hold."""

    tokens: int
    bound_bytes: int
    idle_bytes: int
    peak_bytes: int
    seconds: float

    @property
    def above_bound_bytes(self) -> int:
        """What the process took beside its cache."""
        return self.peak_bytes - self.bound_bytes


def measure(upstream: Server, load: Generator, effort: Effort) -> Memory:
    """Every token asks once; in between, some ask again in other ways."""
    bound_bytes = Settings.model_fields["cache_memory_bytes"].default
    with contenders.gateway(upstream, cache_memory_bytes=bound_bytes) as server:
        idle_bytes = server.memory_bytes
        seconds = 0.0
        for _ in range(_PORTIONS):
            seconds += _ask(load, server, Question(ROWS, Kind.COLD), effort.tokens // _PORTIONS)
            for kind in (Kind.SEEN, Kind.NEW):
                for shape in ("nodes", "edges"):
                    seconds += _ask(load, server, Question(ROWS, kind, shape=shape), _MIXED_REQUESTS)
        return Memory(effort.tokens, bound_bytes, idle_bytes, server.peak_memory_bytes, seconds)


def _ask(load: Generator, server: Server, question: Question, requests: int) -> float:
    asked = job(
        server, contenders.GATEWAY, question, clients=_CLIENTS, seconds=0, min_requests=requests, max_requests=requests
    )
    return load.run(asked).seconds
