"""Resident memory and objects in use of the gateway's processes, and the slopes of straight lines through them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.load import Load
from tests.soak.processes import Gateway, blocks_in_use, resident_bytes

MB = 1_048_576

# The largest size of one process: about 70 MB when idle, 2 MB of cache, 32 MB that the allocator keeps, and several
# large responses at once. Short runs show no more than this.
MAX_PEAK_MB = 250.0

# Long runs: samples of the first minutes do not count, nor those of a process that replaced a killed one a minute ago.
LONG_SECONDS, SETTLING_SECONDS, WARM_UP_SECONDS = 600.0, 300.0, 60.0

# The printed curve shows whether growth ends.
CURVE_POINTS = 15

# The largest slope of one process's objects in use. A load of 50 requests a second makes 3,000 of them a minute, so
# this is less than half an object for each request: nothing leaks with a request.
MAX_BLOCKS_SLOPE = 1_500.0

# The largest slope of one process's resident memory. Freed memory is reused, but rarely returned to the system. So
# resident memory follows the highest demand of many large responses at once so far, which grows more and more slowly.
MAX_SLOPE_MB = 1.0

Samples = list[tuple[float, float]]


@dataclass
class Process:
    """Samples of one process: seconds since the start of the load with megabytes, and with blocks in use."""

    is_original: bool
    samples: Samples = field(default_factory=list)
    blocks: Samples = field(default_factory=list)

    @property
    def peak(self) -> float:
        """The largest sample in megabytes."""
        return max(resident for _, resident in self.samples)

    def settled(self, samples: Samples) -> Samples:
        """Return those of ``samples`` that count in a long run."""
        first = self.samples[0][0] + (0.0 if self.is_original else WARM_UP_SECONDS)
        return [sample for sample in samples if sample[0] >= max(first, SETTLING_SECONDS)]


@dataclass
class Memory:
    """Samples of the supervisor and all workers, or of the only process."""

    gateway: Gateway
    live_memory: Path
    processes: dict[int, Process] = field(default_factory=dict)

    async def sample(self, load: Load) -> None:
        """Take a sample of each process every second until the load ends."""
        start = load.now()
        while not load.is_over:
            for pid in (self.gateway.pid, *self.gateway.workers()):
                resident = resident_bytes(pid)
                if resident is not None:
                    process = self.processes.setdefault(pid, Process(is_original=not load.history.kills))
                    process.samples.append((load.now() - start, resident / MB))
                    blocks = blocks_in_use(self.live_memory, pid)
                    if blocks is not None:
                        process.blocks.append((load.now() - start, float(blocks)))
            await asyncio.sleep(1)

    def check(self, seconds: float) -> None:
        """Check that no process was too large, and after a long run of ``seconds`` that none grew."""
        for pid, process in self.processes.items():
            settled, role = process.settled(process.samples), "server" if pid in self._servers() else "supervisor"
            slopes = f", slope {slope([settled]):+.3f} MB/min" if len(settled) > 1 else ""
            print(f"memory of {role} {pid}: {len(process.samples)} samples, peak {process.peak:.1f} MB{slopes}")  # noqa: T201
            assert process.peak < MAX_PEAK_MB, f"{role} {pid} used {process.peak:.1f} MB"
        if seconds >= LONG_SECONDS:
            self._check_slopes()

    def _check_slopes(self) -> None:
        only, servers = self.processes[self.gateway.pid], list(self._servers().values())
        oldest = max(servers, key=lambda process: len(process.samples))
        resident = self._slopes("MB", {
            "supervisor or only server": [only.settled(only.samples)],
            "oldest server": [oldest.settled(oldest.samples)],
            "all servers": [process.settled(process.samples) for process in servers],
        })  # fmt: skip
        blocks = self._slopes("blocks in use", {
            "oldest server": [least_of_each_minute(oldest.settled(oldest.blocks))],
            "all servers": [least_of_each_minute(process.settled(process.blocks)) for process in servers],
        })  # fmt: skip
        assert max(resident.values()) < MAX_SLOPE_MB, f"resident memory grows, in MB per minute: {resident}"
        assert max(blocks.values()) < MAX_BLOCKS_SLOPE, f"objects leak, in blocks per minute: {blocks}"

    def _slopes(self, unit: str, everything: dict[str, list[Samples]]) -> dict[str, float]:
        """Print and return the slope of each, and print the curve of the longest."""
        samples = max(everything["oldest server"], key=len)
        curve = [f"{value:.1f}" for _, value in samples[:: max(1, len(samples) // CURVE_POINTS)]]
        print(f"{unit} of oldest server in the course of time: {' '.join(curve)}")  # noqa: T201
        slopes = {name: slope(samples) for name, samples in everything.items()}
        for name, value in slopes.items():
            print(f"{unit} of {name}: slope {value:+.3f} per minute and process")  # noqa: T201
        return slopes

    def _servers(self) -> dict[int, Process]:
        if self.gateway.size == 1:
            return self.processes
        return {pid: process for pid, process in self.processes.items() if pid != self.gateway.pid}


def least_of_each_minute(samples: Samples) -> Samples:
    """Return the smallest sample of each minute: leaked objects count in it, and those in use only for a moment do not.

    Large responses in progress are up to 25,000 objects, which would hide a leak or look like one. The last minute does
    not count: it may have only one sample.
    """
    least: dict[int, tuple[float, float]] = {}
    for moment, value in samples:
        minute = int(moment // 60)
        if minute not in least or value < least[minute][1]:
            least[minute] = moment, value
    return [least[minute] for minute in sorted(least)][:-1]


def slope(everything: Iterable[Samples]) -> float:
    """Return the least-squares slope per minute: the same for all processes, each with its own level."""
    products = squares = 0.0
    for samples in everything:
        if samples:
            mean_time = sum(moment for moment, _ in samples) / len(samples)
            mean = sum(value for _, value in samples) / len(samples)
            products += sum((moment - mean_time) * (value - mean) for moment, value in samples)
            squares += sum((moment - mean_time) ** 2 for moment, _ in samples)
    return products / squares * 60 if squares else 0.0
