"""The performance targets, each with its measured value. A missed target fails no test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks.contenders import (
    CONSTANT,
    GATEWAY,
    GATEWAY_NODES,
    MERCURIUS,
    NODE_PEERS,
    PLAIN,
    PROXY,
    PROXY_1000,
    REDIS,
)
from tests.benchmarks.measurements import Figure, ratio, short
from tests.benchmarks.results import Results

_MIB = 1_048_576
# Memory besides the cache, as in docs/operations.md, "Sizing": about 75 MiB when idle; the answers of four clients at
# 25 MiB each (upstream body, rows, rendering, response); blocks that are being packed or unpacked, which exist twice;
# 32 MiB at the end of the heap; and gaps in the heap, which rows leave when their block is packed. The clients read at
# once, so GATEWAY_MAX_RESPONSE_BUFFER_BYTES adds nothing.
MEMORY_CONSTANT_BYTES = 350 * _MIB

Measured = Figure | float | None


@dataclass(frozen=True, slots=True)
class Target:
    """A target: ``measured`` is at least, or at most, ``bound``. It is None if it was not measured."""

    path: str
    requirement: str
    measured: Measured
    bound: float
    is_floor: bool = False

    @property
    def value(self) -> float | None:
        """Return the value that is compared with the bound."""
        return self.measured.median if isinstance(self.measured, Figure) else self.measured

    @property
    def verdict(self) -> str:
        """Return PASS, FAIL or not measured."""
        if self.value is None:
            return "not measured"
        return "PASS" if (self.value >= self.bound if self.is_floor else self.value <= self.bound) else "FAIL"

    @property
    def figure(self) -> str:
        """Return the measured value as text."""
        if self.measured is None:
            return "-"
        return short(self.measured) if isinstance(self.measured, float) else str(self.measured)


def targets(results: Results) -> list[Target]:
    """Return all targets in the order of the report."""
    return [target for part in _PARTS for target in part(results)]


def _times(results: Results, case: str, over: str, under: str, name: str = "p50_ms") -> Figure | None:
    one, other = results.series(case, over), results.series(case, under)
    return ratio(one, other, name) if one and other else None


def _best_peer(results: Results, case: str) -> Figure | None:
    """Return the faster Node peer's p50 as a multiple of the gateway's."""
    ratios = [_times(results, case, peer, GATEWAY) for peer in NODE_PEERS]
    return min((figure for figure in ratios if figure), key=lambda figure: figure.median, default=None)


def _large(results: Results) -> Iterator[Target]:
    seen, new, cold = "warm 10k", "warm 10k, new selection", "cold 10k"
    for case, plain, proxy, peer in ((seen, 150, 0.35, 10), (new, 30, 1.3, 0), (cold, 25, 2.4, 2)):
        path = f"{case}, 10 fields, one client"
        times = _times(results, case, PLAIN, GATEWAY)
        yield Target(path, f"plain Strawberry's p50 at least {plain}x as long", times, plain, True)
        times = _times(results, case, GATEWAY, PROXY)
        yield Target(path, f"p50 at most {proxy}x the REST proxy's", times, proxy)
        if peer:
            times = _best_peer(results, case)
            yield Target(path, f"the best Node peer's p50 at least {peer}x as long", times, peer, True)


def _small(results: Results) -> Iterator[Target]:
    warm, cold = "warm 20, 16 clients", "cold 20, 16 clients"
    for case, other, called, least in (
        (warm, PLAIN, "plain Strawberry's", 40),
        (warm, CONSTANT, "a constant ASGI reply's", 0.4),
        (warm, MERCURIUS, "Mercurius'", 1.0),
        (cold, PROXY_1000, "the REST proxy's with top=1000", 0.5),
    ):
        times = _times(results, case, GATEWAY, other, "requests_per_second")
        yield Target(case, f"req/s at least {least:g}x {called}", times, least, True)


def _redis(results: Results) -> Iterator[Target]:
    for case, most in (("cold 10k", 1.15), ("cold 20", 1.3)):
        times = _times(results, case, REDIS, GATEWAY)
        yield Target(f"{case}, with Redis", f"p50 at most {most}x that without", times, most)


def _edges(results: Results) -> Iterator[Target]:
    for case in ("warm 10k, edges", "warm 10k, edges, new selection", "cold 10k, edges"):
        yield Target(case, "p50 at most 1.4x that of nodes", _times(results, case, GATEWAY, GATEWAY_NODES), 1.4)


def _beside(results: Results) -> Iterator[Target]:
    latency = results.beside.get(GATEWAY)
    path = "warm 20 beside a loop of cold 10k"
    yield Target(path, "p99 at most 8x that alone", latency.ratio if latency else None, 8)


def _fairness(results: Results) -> Iterator[Target]:
    fair = results.fairness
    exports = f"{fair.export_clients} exports of {fair.export_rows // 1_000}k rows" if fair else "exports"
    path = f"5 cached rows beside another token's {exports}"
    yield Target(path, "p99 at most 25 ms", fair.exports_ms if fair else None, 25)
    large = f"{fair.large_clients} other tokens' answers of {fair.large_bytes // 1_000_000} MB" if fair else ""
    path = f"5 cached rows beside {large or 'large answers'}"
    yield Target(path, "p99 at most 50 ms", fair.large_ms if fair else None, 50)


def _csv(results: Results) -> Iterator[Target]:
    export = results.csv
    path = f"{export.rows // 1_000}k cached rows exported as CSV" if export else "cached rows exported as CSV"
    yield Target(path, "CPU at most 0.4x a plain csv.writer's", export.ratio if export else None, 0.4)


def _growth(results: Results) -> Iterator[Target]:
    for is_walk, path in ((False, "in one answer"), (True, "walked through")):
        sizes = {growth.rows: growth for growth in results.growth if growth.is_walk is is_walk}
        low, high = sizes.get(10_000), sizes.get(100_000)
        if low is None and is_walk:
            continue
        time = high.microseconds_per_row / low.microseconds_per_row if low and high else None
        space = high.memory_bytes_per_row / low.memory_bytes_per_row if low and high else None
        yield Target(f"rows 10k -> 100k, {path}", "time per row at most 1.5x", time, 1.5)
        yield Target(f"rows 10k -> 100k, {path}", "memory per row at most 1.5x", space, 1.5)


def _memory(results: Results) -> Iterator[Target]:
    """Use the larger peak of the two processes with the default bound."""
    memory, mebibytes = results.memory, MEMORY_CONSTANT_BYTES / _MIB
    peak_bytes = max(memory.peak_bytes, results.peak_memory_bytes.get(GATEWAY, 0)) if memory else 0
    yield Target(
        f"memory, {memory.tokens:,} tokens x 10k rows, and all cases" if memory else "memory",
        f"peak at most GATEWAY_CACHE_MEMORY_BYTES and {mebibytes:.0f} MiB, MiB above the former",
        (peak_bytes - memory.bound_bytes) / _MIB if memory else None,
        mebibytes,
    )


def _second_look(results: Results) -> Iterator[Target]:
    look = results.second_look
    path = f"{look.tokens:,} tokens x 10k rows, read twice" if look else "many tokens, read twice"
    yield Target(path, "no upstream call the second time", float(look.second_calls) if look else None, 0)


def _export(results: Results) -> Iterator[Target]:
    export = results.slow_export
    path = f"250k rows exported, {export.call_seconds:g} s a call" if export else "250k rows exported"
    yield Target(path, "at most 0.34x the time without reading ahead", export.ratio if export else None, 0.34)
    first = export.first_byte_seconds / export.call_seconds if export else None
    yield Target(path, "first byte after at most 1.5 calls", first, 1.5)


def _views(results: Results) -> Iterator[Target]:
    views = results.views
    rows = f"{views.rows // 1_000}k cached rows" if views else "cached rows"
    yield Target(f"first order of {rows}", "at most 600 ms", views.first_ms if views else None, 600)
    yield Target(f"next page of ordered {rows}", "at most 10 ms", views.next_page_ms if views else None, 10)
    direction = views.further_ms["another direction"] if views else None
    yield Target(f"another direction of ordered {rows}", "at most 10 ms", direction, 10)
    beside = views.beside_ms if views else None
    yield Target(f"20 cached rows beside first orders of {rows}", "p99 at most 30 ms", beside, 30)
    space = views.bytes_per_row if views else None
    yield Target(f"memory of ordered {rows}", "at most 60 bytes a row", space, 60)


_PARTS: Sequence[Callable[[Results], Iterator[Target]]] = (
    *(_large, _small, _redis, _edges, _beside, _fairness),
    *(_growth, _memory, _second_look, _export, _csv, _views),
)
