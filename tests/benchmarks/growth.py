"""Time and memory per row as the number of rows grows, in one answer and page by page."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks import contenders
from tests.benchmarks.agreement import ask, timed
from tests.benchmarks.generators import Generator, job
from tests.benchmarks.measurements import Figure
from tests.benchmarks.queries import FIELDS, Kind, Query
from tests.benchmarks.rounds import Effort
from tests.benchmarks.servers import Server

_PAGE_ROWS = 10_000
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Growth:
    """The cost of ``rows`` cold rows: in one answer, or page by page."""

    rows: int
    is_walk: bool
    milliseconds: Figure
    memory_bytes: int

    @property
    def microseconds_per_row(self) -> float:
        """Return the time per row."""
        return self.milliseconds.median * 1_000 / self.rows

    @property
    def memory_bytes_per_row(self) -> float:
        """Return peak memory above that of the idle process, per row."""
        return self.memory_bytes / self.rows


def measure(upstream: Server, load: Generator, effort: Effort) -> list[Growth]:
    """Measure each size in a new process, because peak memory never shrinks."""
    sizes = effort.growth_rows
    return [_one_answer(upstream, load, rows) for rows in sizes] + [
        _paginate(upstream, rows) for rows in sizes if rows >= _PAGE_ROWS
    ]


def _one_answer(upstream: Server, load: Generator, rows: int) -> Growth:
    """Request all rows at once; the limit of 10,000 rows is raised for it."""
    with contenders.gateway(upstream, max_first_rows=contenders.UPSTREAM_ROWS) as server:
        _warm_up(server)
        idle_bytes = server.memory_bytes
        query = Query(rows, Kind.COLD)
        # Each request has another token. The first one gives the peak memory, all of them the median time.
        first = load.run(job(server, contenders.GATEWAY, query, max_requests=1))
        peak_bytes = server.peak_memory_bytes
        again = [load.run(job(server, contenders.GATEWAY, query, max_requests=1)).p50_ms for _ in range(_REPEATS - 1)]
        return Growth(rows, False, Figure.of([first.p50_ms, *again]), max(0, peak_bytes - idle_bytes))


def _warm_up(server: Server) -> None:
    """Send a first query, so that one-time work of the process does not count."""
    ask(server, f"{{ licenseDeployments(first: 1) {{ nodes {{ {' '.join(FIELDS)} }} }} }}")


def _paginate(upstream: Server, rows: int) -> Growth:
    """Paginate with ``first: 10000, after: …`` through ``rows`` rows."""
    with contenders.gateway(upstream) as server:
        _warm_up(server)
        idle_bytes = server.memory_bytes
        milliseconds = Figure.of([_paginate_once(server, rows, f"walk{number}") for number in range(_REPEATS - 1)])
        return Growth(rows, True, milliseconds, max(0, server.peak_memory_bytes - idle_bytes))


def _paginate_once(server: Server, rows: int, token: str) -> float:
    seen, after, milliseconds = 0, "", 0.0
    while seen < rows:
        arguments = f"first: {min(_PAGE_ROWS, rows - seen)}" + (f', after: "{after}"' if after else "")
        selection = f"nodes {{ {' '.join(FIELDS)} }} pageInfo {{ endCursor }}"
        connection, took_ms = timed(server, f"{{ licenseDeployments({arguments}) {{ {selection} }} }}", token)
        milliseconds += took_ms
        if not connection["nodes"]:
            raise RuntimeError(f"Pagination ended after {seen} of {rows} rows.")
        seen, after = seen + len(connection["nodes"]), connection["pageInfo"]["endCursor"]
    return milliseconds
