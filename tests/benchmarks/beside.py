"""Small warm questions alone, and beside one client that asks for cold pages of 10,000 rows without pause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from tests.benchmarks.contenders import GATEWAY, MERCURIUS, PLAIN, YOGA
from tests.benchmarks.figures import Figure
from tests.benchmarks.generators import Generator, job
from tests.benchmarks.questions import Kind, Question
from tests.benchmarks.rounds import Effort, warm_up
from tests.benchmarks.servers import Server

CONTENDERS = (GATEWAY, PLAIN, MERCURIUS, YOGA)
# A fixed pace: a server that stands still is asked all the same, and the wait counts.
_REQUESTS_PER_SECOND = 200.0
_CLIENTS = 16


@dataclass(frozen=True, slots=True)
class Beside:
    """p99 of the small questions in milliseconds, round by round."""

    alone_ms: Figure
    beside_ms: Figure
    ratio: Figure


def measure(servers: Mapping[str, Server], load: Generator, other: Generator, effort: Effort) -> dict[str, Beside]:
    """One contender after the other; ``other`` makes the large load."""
    return {name: _one(name, servers[name], load, other, effort) for name in CONTENDERS if name in servers}


def _one(name: str, server: Server, load: Generator, other: Generator, effort: Effort) -> Beside:
    small, large = Question(20), Question(10_000, Kind.COLD)
    seconds = effort.beside_seconds
    warm_up(small, name, server, load)
    pace = partial(job, server, name, small, clients=_CLIENTS, seconds=seconds, rate=_REQUESTS_PER_SECOND)
    alone, beside = [], []
    for _ in range(effort.beside_rounds):
        alone.append(load.run(pace()).p99_ms)
        other.start(job(server, name, large, seconds=seconds))
        beside.append(load.run(pace()).p99_ms)
        other.finish()
    return Beside(
        Figure.of(alone), Figure.of(beside), Figure.of([one / two for one, two in zip(beside, alone, strict=True)])
    )
