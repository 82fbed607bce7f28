"""The soak test notices growing memory."""

from __future__ import annotations

import pytest

from tests.soak.memory import MAX_PEAK_MB, MAX_SLOPE_MB, Memory, Process, slope
from tests.soak.processes import Gateway

SUPERVISOR, OLD, NEW = 1, 2, 3


def samples(megabytes: float, growth: float, start: int = 0) -> list[tuple[float, float]]:
    """Return the samples of half an hour; ``growth`` is in MB per minute."""
    return [(float(second), megabytes + growth * (second - start) / 60) for second in range(start, 1_800)]


def test_the_slope_is_that_within_each_process() -> None:
    """A worker that replaces a killed one starts at another level."""
    assert slope([samples(80, 2), samples(200, 2, start=900)]) == pytest.approx(2)
    assert slope([samples(80, 0), samples(200, 0, start=900)]) == pytest.approx(0)


@pytest.mark.parametrize("growing", [SUPERVISOR, OLD])
def test_growth_of_one_process_fails_a_long_run(growing: int) -> None:
    """The others do not hide it."""
    growth = dict.fromkeys((SUPERVISOR, OLD, NEW), 0.0) | {growing: MAX_SLOPE_MB * 1.1}
    processes = {pid: Process(pid != NEW, samples(80, growth[pid], 900 * (pid == NEW))) for pid in growth}
    memory = Memory(Gateway(SUPERVISOR, size=2), processes)
    memory.check(seconds=60)
    with pytest.raises(AssertionError, match="memory grows"):
        memory.check(seconds=1_800)


def test_a_large_process_fails_every_run() -> None:
    memory = Memory(Gateway(SUPERVISOR, size=1), {SUPERVISOR: Process(True, samples(MAX_PEAK_MB, 0))})
    with pytest.raises(AssertionError, match="used"):
        memory.check(seconds=15)
