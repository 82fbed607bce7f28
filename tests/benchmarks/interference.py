"""Latency of small warm queries, alone and while another client requests cold pages of 10,000 rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.benchmarks.contenders import GATEWAY, MERCURIUS, PLAIN, YOGA
from tests.benchmarks.generators import Generator, job
from tests.benchmarks.load import Job
from tests.benchmarks.measurements import Figure
from tests.benchmarks.queries import Kind, Query
from tests.benchmarks.rounds import Effort, warm_up
from tests.benchmarks.servers import Server

CONTENDERS = (GATEWAY, PLAIN, MERCURIUS, YOGA)
# A fixed rate: requests also become due while the server is blocked, and their wait counts.
_REQUESTS_PER_SECOND = 200.0
_CLIENTS = 16


@dataclass(frozen=True, slots=True)
class Interference:
    """p99 of the small queries in milliseconds: alone, beside the large load, and the ratio per round."""

    alone_ms: Figure
    beside_ms: Figure
    ratio: Figure


def measure(
    servers: Mapping[str, Server], load: Generator, other: Generator, effort: Effort
) -> dict[str, Interference]:
    """Measure one contender after the other; ``other`` generates the large load."""
    return {name: _one(name, servers[name], load, other, effort) for name in CONTENDERS if name in servers}


def paced(server: Server, name: str, query: Query, seconds: float) -> Job:
    """Return a job of many small requests at a fixed rate."""
    return job(server, name, query, clients=_CLIENTS, seconds=seconds, rate=_REQUESTS_PER_SECOND)


def _one(name: str, server: Server, load: Generator, other: Generator, effort: Effort) -> Interference:
    small, large = Query(20), Query(10_000, Kind.COLD)
    seconds = effort.beside_seconds
    warm_up(small, name, server, load)
    alone, beside = [], []
    for _ in range(effort.beside_rounds):
        alone.append(load.run(paced(server, name, small, seconds)).p99_ms)
        other.start(job(server, name, large, seconds=seconds))
        beside.append(load.run(paced(server, name, small, seconds)).p99_ms)
        other.finish()
    return Interference(
        Figure.of(alone), Figure.of(beside), Figure.of([one / two for one, two in zip(beside, alone, strict=True)])
    )
