"""Latency of one token's small cached pages: alone, and beside exports or large answers of other tokens."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks import contenders
from tests.benchmarks.contenders import GATEWAY
from tests.benchmarks.generators import Generator, job
from tests.benchmarks.interference import paced
from tests.benchmarks.measurements import Figure
from tests.benchmarks.queries import MARK, Export, Query
from tests.benchmarks.rounds import Effort, warm_up
from tests.benchmarks.servers import Server

_SMALL = Query(5)
_EXPORT = Export("exports")
# The default of GATEWAY_MAX_QUERY_ROOT_FIELDS.
_LARGE_PAGES = 10


@dataclass(frozen=True, slots=True)
class Fairness:
    """p99 of the small pages in milliseconds, and the load beside them: its clients, rows, and bytes of one answer."""

    alone_ms: Figure
    exports_ms: Figure
    export_clients: int
    export_rows: int
    large_ms: Figure
    large_clients: int
    large_bytes: int


def measure(load: Generator, other: Generator, effort: Effort) -> Fairness:
    """Measure a gateway with default settings and cached rows; ``other`` generates the load beside the small pages."""
    large = _large(effort)
    with contenders.stub(effort.export_rows) as upstream, contenders.gateway(upstream) as server:
        pages = SmallPages(server, load, other, effort)
        large_bytes = pages.fill_caches(large)
        alone, exports, larges = [], [], []
        for _ in range(effort.fairness_rounds):
            alone.append(pages.p99_ms())
            exports.append(pages.p99_beside_ms(_EXPORT, effort.export_clients))
            larges.append(pages.p99_beside_ms(large, effort.large_clients))
    return Fairness(
        Figure.of(alone), Figure.of(exports), effort.export_clients, effort.export_rows,
        Figure.of(larges), effort.large_clients, large_bytes,
    )  # fmt: skip


def _large(effort: Effort) -> Query:
    """Return a query with several tokens: those of one token may take only half of the response buffer."""
    return Query(effort.large_rows, shape="edges", aliases=_LARGE_PAGES, caller=f"large{MARK}")


@dataclass(frozen=True, slots=True)
class SmallPages:
    """Measures the small pages of one server."""

    server: Server
    load: Generator
    other: Generator
    effort: Effort

    def fill_caches(self, large: Query) -> int:
        """Send each query once, ``large`` once for each token. Return the bytes of a large answer."""
        warm_up(_SMALL, GATEWAY, self.server, self.load)
        self.load.run(job(self.server, GATEWAY, _EXPORT, max_requests=1))
        tokens = self.effort.large_clients
        large_job = job(self.server, GATEWAY, large, min_requests=tokens, max_requests=tokens, tokens=tokens)
        return self.load.run(large_job).reply_bytes

    def p99_ms(self) -> float:
        """Return the p99 of the small pages alone."""
        return self.load.run(paced(self.server, GATEWAY, _SMALL, self.effort.fairness_seconds)).p99_ms

    def p99_beside_ms(self, query: Query | Export, clients: int) -> float:
        """Return the p99 while each of ``clients`` sends ``query`` again and again."""
        seconds = self.effort.fairness_seconds
        self.other.start(job(self.server, GATEWAY, query, clients=clients, seconds=seconds, tokens=clients))
        p99_ms = self.p99_ms()
        self.other.finish()
        return p99_ms
