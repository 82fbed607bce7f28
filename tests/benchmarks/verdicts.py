"""What the gateway is asked to reach, line by line, beside what was measured. A line is a figure, not a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks.contenders import CONSTANT, GATEWAY, GATEWAY_NODES, PEERS, PLAIN, PROXY, PROXY_1000
from tests.benchmarks.figures import Figure, ratio, short
from tests.benchmarks.results import Results

_MIB = 1_048_576
# What a process may take beside its cache: some 75 MiB at rest, four answers of 10,000 rows in the making at 25 MiB
# each (the upstream's body, rows, rendering, reply), 32 MiB at the heap's end, and what lies between objects.
MEMORY_CONSTANT_BYTES = 256 * _MIB

Finding = Figure | float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One demand: ``found`` is at least, or at most, ``bound``; None when it was not measured."""

    path: str
    demand: str
    found: Finding
    bound: float
    is_floor: bool = False

    @property
    def value(self) -> float | None:
        """The figure that counts."""
        return self.found.median if isinstance(self.found, Figure) else self.found

    @property
    def word(self) -> str:
        """PASS, FAIL or not measured."""
        if self.value is None:
            return "not measured"
        return "PASS" if (self.value >= self.bound if self.is_floor else self.value <= self.bound) else "FAIL"

    @property
    def figure(self) -> str:
        """What was found, as text."""
        return "-" if self.found is None else short(self.found) if isinstance(self.found, float) else str(self.found)


def verdicts(results: Results) -> list[Verdict]:
    """Every line, in the order of the project's list."""
    return [verdict for part in _PARTS for verdict in part(results)]


def _times(results: Results, case: str, over: str, under: str, name: str = "p50_ms") -> Figure | None:
    one, other = results.series(case, over), results.series(case, under)
    return ratio(one, other, name) if one and other else None


def _best_peer(results: Results, case: str) -> Figure | None:
    """How many times the gateway's p50 the quicker peer's is."""
    found = [_times(results, case, peer, GATEWAY) for peer in PEERS]
    return min((figure for figure in found if figure), key=lambda figure: figure.median, default=None)


def _large(results: Results) -> Iterator[Verdict]:
    seen, new, cold = "warm 10k", "warm 10k, new selection", "cold 10k"
    for case, plain, proxy, peer in ((seen, 150, 0.35, 10), (new, 30, 1.3, 0), (cold, 25, 2.5, 2)):
        path = f"{case}, 10 fields, one client"
        found = _times(results, case, PLAIN, GATEWAY)
        yield Verdict(path, f"plain Strawberry's p50 at least {plain}x as long", found, plain, True)
        found = _times(results, case, GATEWAY, PROXY)
        yield Verdict(path, f"p50 at most {proxy}x the REST proxy's", found, proxy)
        if peer:
            found = _best_peer(results, case)
            yield Verdict(path, f"the best Node peer's p50 at least {peer}x as long", found, peer, True)


def _small(results: Results) -> Iterator[Verdict]:
    warm, cold = "warm 20, 16 clients", "cold 20, 16 clients"
    for case, other, called, least in (
        (warm, PLAIN, "plain Strawberry's", 40),
        (warm, CONSTANT, "a constant ASGI reply's", 0.4),
        (cold, PROXY_1000, "the REST proxy's with top=1000", 0.5),
    ):
        found = _times(results, case, GATEWAY, other, "requests_per_second")
        yield Verdict(case, f"req/s at least {least}x {called}", found, least, True)


def _edges(results: Results) -> Iterator[Verdict]:
    for case in ("warm 10k, edges", "warm 10k, edges, new selection", "cold 10k, edges"):
        yield Verdict(case, "p50 at most 1.4x that of nodes", _times(results, case, GATEWAY, GATEWAY_NODES), 1.4)


def _beside(results: Results) -> Iterator[Verdict]:
    found = results.beside.get(GATEWAY)
    path = "warm 20 beside a loop of cold 10k"
    yield Verdict(path, "p99 at most 10x that alone", found.ratio if found else None, 10)


def _growth(results: Results) -> Iterator[Verdict]:
    for is_walk, path in ((False, "in one answer"), (True, "walked through")):
        found = {growth.rows: growth for growth in results.growth if growth.is_walk is is_walk}
        low, high = found.get(10_000), found.get(100_000)
        if low is None and is_walk:
            continue
        time = high.microseconds_per_row / low.microseconds_per_row if low and high else None
        space = high.memory_bytes_per_row / low.memory_bytes_per_row if low and high else None
        yield Verdict(f"rows 10k -> 100k, {path}", "time per row at most 1.5x", time, 1.5)
        yield Verdict(f"rows 10k -> 100k, {path}", "memory per row at most 1.5x", space, 1.5)


def _memory(results: Results) -> Iterator[Verdict]:
    """The worse of the two processes that had the default bound."""
    found, mebibytes = results.memory, MEMORY_CONSTANT_BYTES / _MIB
    peak_bytes = max(found.peak_bytes, results.peak_memory_bytes.get(GATEWAY, 0)) if found else 0
    yield Verdict(
        f"memory, {found.tokens:,} tokens x 10k rows, and all cases" if found else "memory",
        f"peak at most GATEWAY_CACHE_MEMORY_BYTES and {mebibytes:.0f} MiB, MiB above the former",
        (peak_bytes - found.bound_bytes) / _MIB if found else None,
        mebibytes,
    )


_PARTS: Sequence[Callable[[Results], Iterator[Verdict]]] = (_large, _small, _edges, _beside, _growth, _memory)
