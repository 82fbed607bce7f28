"""Peak memory of the process with a full cache: a thousand tokens with 10,000 rows each, under mixed load."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config.settings import Settings
from tests.benchmarks import contenders
from tests.benchmarks.generators import Generator, job
from tests.benchmarks.queries import Kind, Query
from tests.benchmarks.rounds import Effort
from tests.benchmarks.servers import Server

ROWS = 10_000
_CLIENTS = 4
# Queries sent between cold pages: cached rows, with known and with new selections.
_MIXED = [
    Query(rows, kind, fields, shape)
    for rows in (ROWS, 20)
    for kind in (Kind.SEEN, Kind.NEW)
    for fields in (10, 2)
    for shape in ("nodes", "edges")
]
_MIXED_REQUESTS = 12
_PORTION_TOKENS = 100


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak memory of a process after more rows than its cache may hold."""

    tokens: int
    bound_bytes: int
    idle_bytes: int
    peak_bytes: int
    seconds: float


def measure(upstream: Server, load: Generator, effort: Effort) -> Memory:
    """Send one query per token, with other queries of some tokens in between."""
    bound_bytes = Settings.model_fields["cache_memory_bytes"].default
    with contenders.gateway(upstream, cache_memory_bytes=bound_bytes) as server:
        idle_bytes = server.memory_bytes
        seconds = 0.0
        for _ in range(max(1, effort.tokens // _PORTION_TOKENS)):
            seconds += _ask(load, server, Query(ROWS, Kind.COLD), min(effort.tokens, _PORTION_TOKENS))
            seconds += sum(_ask(load, server, query, _MIXED_REQUESTS) for query in _MIXED)
        return Memory(effort.tokens, bound_bytes, idle_bytes, server.peak_memory_bytes, seconds)


def _ask(load: Generator, server: Server, query: Query, requests: int) -> float:
    load_job = job(
        server, contenders.GATEWAY, query, clients=_CLIENTS, seconds=0, min_requests=requests, max_requests=requests
    )
    return load.run(load_job).seconds
