"""More rows: what each costs in time and memory when they come in one answer, and when they are walked through."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks import contenders
from tests.benchmarks.agreement import ask, timed
from tests.benchmarks.figures import Figure
from tests.benchmarks.generators import Generator, job
from tests.benchmarks.questions import FIELDS, Kind, Question
from tests.benchmarks.rounds import Effort
from tests.benchmarks.servers import Server

_PAGE_ROWS = 10_000
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Growth:
    """What so many cold rows took: in one answer, or page by page."""

    rows: int
    is_walk: bool
    milliseconds: Figure
    memory_bytes: int

    @property
    def microseconds_per_row(self) -> float:
        """Time for one row."""
        return self.milliseconds.median * 1_000 / self.rows

    @property
    def memory_bytes_per_row(self) -> float:
        """Peak memory above that of the idle process, for one row."""
        return self.memory_bytes / self.rows


def measure(upstream: Server, load: Generator, effort: Effort) -> list[Growth]:
    """Each size in a process of its own, so that its peak memory is its own."""
    sizes = effort.growth_rows
    return [_one_answer(upstream, load, rows) for rows in sizes] + [
        _walk(upstream, rows) for rows in sizes if rows >= _PAGE_ROWS
    ]


def _one_answer(upstream: Server, load: Generator, rows: int) -> Growth:
    """``first: rows`` at once, which the default settings would refuse above 10,000."""
    with contenders.gateway(upstream, max_first_rows=contenders.UPSTREAM_ROWS) as server:
        _touch(server)
        idle_bytes = server.memory_bytes
        question = Question(rows, Kind.COLD)
        # One after the other, each with a token of its own: the peak is that of the first, for time the median counts.
        first = load.run(job(server, contenders.GATEWAY, question, max_requests=1))
        peak_bytes = server.peak_memory_bytes
        again = [
            load.run(job(server, contenders.GATEWAY, question, max_requests=1)).p50_ms for _ in range(_REPEATS - 1)
        ]
        return Growth(rows, False, Figure.of([first.p50_ms, *again]), max(0, peak_bytes - idle_bytes))


def _touch(server: Server) -> None:
    """What every process does once, on its first question, is not a row's cost."""
    ask(server, f"{{ licenseDeployments(first: 1) {{ nodes {{ {' '.join(FIELDS)} }} }} }}")


def _walk(upstream: Server, rows: int) -> Growth:
    """``first: 10000, after: …`` until so many rows were seen."""
    with contenders.gateway(upstream) as server:
        _touch(server)
        idle_bytes = server.memory_bytes
        milliseconds = Figure.of([_walk_once(server, rows, f"walk{number}") for number in range(_REPEATS - 1)])
        return Growth(rows, True, milliseconds, max(0, server.peak_memory_bytes - idle_bytes))


def _walk_once(server: Server, rows: int, token: str) -> float:
    seen, after, milliseconds = 0, "", 0.0
    while seen < rows:
        arguments = f"first: {min(_PAGE_ROWS, rows - seen)}" + (f', after: "{after}"' if after else "")
        selection = f"nodes {{ {' '.join(FIELDS)} }} pageInfo {{ endCursor }}"
        found, took_ms = timed(server, f"{{ licenseDeployments({arguments}) {{ {selection} }} }}", token)
        milliseconds += took_ms
        if not found["nodes"]:
            raise RuntimeError(f"The walk ended after {seen} of {rows} rows.")
        seen, after = seen + len(found["nodes"]), found["pageInfo"]["endCursor"]
    return milliseconds
