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
        settled = {pid: process.settled() for pid, process in self.processes.items()}
        for pid, process in self.processes.items():
            role = "supervisor" if pid == self.gateway.pid and self.gateway.size > 1 else "server"
            slopes = f", slope {slope([settled[pid]]):+.3f} MB/min" if len(settled[pid]) > 1 else ""
            print(f"memory of {role} {pid}: {len(process.samples)} samples, peak {process.peak:.1f} MB{slopes}")  # noqa: T201
            assert process.peak < MAX_PEAK_MB, f"{role} {pid} used {process.peak:.1f} MB"
        if seconds < LONG_SECONDS:
            return
        everyone = slope(settled.values())
        print(f"memory of all processes: slope {everyone:+.3f} MB/min per process")  # noqa: T201
        assert everyone < MAX_SLOPE_MB, f"memory grows by {everyone:.3f} MB per minute and process"
        oldest = slope([max(settled.values(), key=len)])
        assert oldest < MAX_SLOPE_MB, f"memory of the oldest server grows by {oldest:.3f} MB per minute"


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
