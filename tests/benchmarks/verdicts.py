"""What the gateway is asked to reach, line by line, beside what was measured. A line is a figure, not a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks.contenders import CONSTANT, GATEWAY, PEERS, PLAIN, PROXY, PROXY_1000
from tests.benchmarks.figures import Figure, Series, ratio, short
from tests.benchmarks.results import Results

# What a process may take beside its cache: about 90 MB at rest, and four answers of 10,000 rows in the making.
MEMORY_CONSTANT_BYTES = 192 * 1_024 * 1_024

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
        path = f"{case} x 10, one client"
        yield Verdict(path, f"{plain}x plain Strawberry", _times(results, case, PLAIN, GATEWAY), plain, True)
        yield Verdict(path, f"p50 at most {proxy}x the REST proxy", _times(results, case, GATEWAY, PROXY), proxy)
        if peer:
            yield Verdict(path, f"{peer}x the best Node peer", _best_peer(results, case), peer, True)


def _small(results: Results) -> Iterator[Verdict]:
    warm, cold, rate = "warm 20, 16 clients", "cold 20, 16 clients", "requests_per_second"
    yield Verdict(warm, "40x plain Strawberry, req/s", _times(results, warm, GATEWAY, PLAIN, rate), 40, True)
    yield Verdict(warm, "0.4x a constant ASGI reply, req/s", _times(results, warm, GATEWAY, CONSTANT, rate), 0.4, True)
    yield Verdict(
        cold, "0.5x the REST proxy with top=1000, req/s", _times(results, cold, GATEWAY, PROXY_1000, rate), 0.5, True
    )


def _edges(results: Results) -> Iterator[Verdict]:
    pairs = (
        ("warm 10k, edges", "warm 10k"),
        ("warm 10k, edges, new selection", "warm 10k, new selection"),
        ("cold 10k, edges", "cold 10k"),
    )
    for edges, nodes in pairs:
        one, other = results.series(edges, GATEWAY), results.series(nodes, GATEWAY)
        yield Verdict(edges, "at most 1.4x nodes, p50", _apart(one, other), 1.4)


def _apart(one: Series | None, other: Series | None) -> float | None:
    """Of two cases, which do not run side by side: the ratio of their medians."""
    return one.figure("p50_ms").median / other.figure("p50_ms").median if one and other else None


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
    found = results.memory
    mebibytes = MEMORY_CONSTANT_BYTES / 1_048_576
    yield Verdict(
        f"memory, {found.tokens:,} tokens x 10k rows" if found else "memory",
        f"peak at most {mebibytes:.0f} MiB above GATEWAY_CACHE_MEMORY_BYTES, in MiB",
        found.above_bound_bytes / 1_048_576 if found else None,
        mebibytes,
    )


_PARTS: Sequence[Callable[[Results], Iterator[Verdict]]] = (_large, _small, _edges, _beside, _growth, _memory)
