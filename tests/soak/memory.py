"""Resident memory of the gateway's processes over time, and the slope of a straight line through it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.soak.load import Load
from tests.soak.processes import Gateway, resident_bytes

MB = 1_048_576

# The largest size of one process: about 70 MB when idle, 16 MB of cache, 32 MB that the allocator keeps, and several
# large responses at once. Short runs show no more than this.
MAX_PEAK_MB = 250.0

# Long runs: samples of the first minutes do not count, nor those of a process that replaced a killed one a minute ago.
LONG_SECONDS, SETTLING_SECONDS, WARM_UP_SECONDS = 600.0, 300.0, 60.0

# About two minutes: the printed curve shows whether growth ends.
CURVE_SAMPLES = 120

# The largest slope of one process. The heap moves up and down by up to 32 MB, because the allocator keeps that much;
# over 25 minutes this alone can look like 0.2 MB per minute. At 50 requests a second, 0.5 MB per minute are 175 bytes
# per request, less than the smallest thing that could leak with one: a token and its dictionary entry.
MAX_SLOPE_MB = 0.5


@dataclass
class Process:
    """Samples of one process: seconds since the start of the load, and megabytes."""

    is_original: bool
    samples: list[tuple[float, float]] = field(default_factory=list)

    @property
    def peak(self) -> float:
        """The largest sample in megabytes."""
        return max(resident for _, resident in self.samples)

    def settled(self) -> list[tuple[float, float]]:
        """Return the samples that count in a long run."""
        first = self.samples[0][0] + (0.0 if self.is_original else WARM_UP_SECONDS)
        return [sample for sample in self.samples if sample[0] >= max(first, SETTLING_SECONDS)]


@dataclass
class Memory:
    """Samples of the supervisor and all workers, or of the only process."""

    gateway: Gateway
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
            await asyncio.sleep(1)

    def check(self, seconds: float) -> None:
        """Check that no process was too large, and after a long run of ``seconds`` that none grew."""
        for pid, process in self.processes.items():
            settled, role = process.settled(), "server" if pid in self._servers() else "supervisor"
            slopes = f", slope {slope([settled]):+.3f} MB/min" if len(settled) > 1 else ""
            print(f"memory of {role} {pid}: {len(process.samples)} samples, peak {process.peak:.1f} MB{slopes}")  # noqa: T201
            assert process.peak < MAX_PEAK_MB, f"{role} {pid} used {process.peak:.1f} MB"
        if seconds >= LONG_SECONDS:
            self._check_slopes()

    def _check_slopes(self) -> None:
        servers = [process.settled() for process in self._servers().values()]
        curve = [f"{resident:.1f}" for _, resident in max(servers, key=len)[::CURVE_SAMPLES]]
        print(f"memory of oldest server, a value for every {CURVE_SAMPLES} samples, in MB: {' '.join(curve)}")  # noqa: T201
        print(f"workers started: {len(servers)}")  # noqa: T201
        slopes = {
            "supervisor or only server": slope([self.processes[self.gateway.pid].settled()]),
            "oldest server": slope([max(servers, key=len)]),
            "all servers": slope(servers),
        }
        for name, megabytes in slopes.items():
            print(f"memory of {name}: slope {megabytes:+.3f} MB/min per process")  # noqa: T201
        assert max(slopes.values()) < MAX_SLOPE_MB, f"memory grows, in MB per minute: {slopes}"

    def _servers(self) -> dict[int, Process]:
        if self.gateway.size == 1:
            return self.processes
        return {pid: process for pid, process in self.processes.items() if pid != self.gateway.pid}


def slope(everything: Iterable[list[tuple[float, float]]]) -> float:
    """Return the least-squares slope in MB per minute: the same for all processes, each with its own level."""
    products = squares = 0.0
    for samples in everything:
        if samples:
            mean_time = sum(moment for moment, _ in samples) / len(samples)
            mean = sum(resident for _, resident in samples) / len(samples)
            products += sum((moment - mean_time) * (resident - mean) for moment, resident in samples)
            squares += sum((moment - mean_time) ** 2 for moment, _ in samples)
    return products / squares * 60 if squares else 0.0
