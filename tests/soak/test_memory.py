"""The soak test notices growing memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.soak.memory import (
    MAX_BLOCKS_SLOPE,
    MAX_PEAK_MB,
    MAX_SLOPE_MB,
    Memory,
    Process,
    least_of_each_minute,
    slope,
)
from tests.soak.processes import Gateway, blocks_in_use, reporting

SUPERVISOR, OLD, NEW = 1, 2, 3


def samples(value: float, growth: float, start: int = 0) -> list[tuple[float, float]]:
    """Return the samples of half an hour; ``growth`` is per minute."""
    return [(float(second), value + growth * (second - start) / 60) for second in range(start, 1_800)]


def test_the_slope_is_that_within_each_process() -> None:
    """A worker that replaces a killed one starts at another level."""
    assert slope([samples(80, 2), samples(200, 2, start=900)]) == pytest.approx(2)
    assert slope([samples(80, 0), samples(200, 0, start=900)]) == pytest.approx(0)


def memory_of(megabytes: dict[int, float], blocks: dict[int, float] | None = None) -> Memory:
    """Return the memory of three processes with this growth; the newest one replaced a killed one."""
    processes = {}
    for pid in (SUPERVISOR, OLD, NEW):
        start = 900 * (pid == NEW)
        grown = samples(200_000, (blocks or {}).get(pid, 0.0), start)
        processes[pid] = Process(pid != NEW, samples(80, megabytes.get(pid, 0.0), start), grown)
    return Memory(Gateway(SUPERVISOR, size=2), Path(), processes)


@pytest.mark.parametrize("growing", [SUPERVISOR, OLD])
def test_growth_of_one_process_fails_a_long_run(growing: int) -> None:
    """The others do not hide it."""
    memory = memory_of({growing: MAX_SLOPE_MB * 1.1})
    memory.check(seconds=60)
    with pytest.raises(AssertionError, match="memory grows"):
        memory.check(seconds=1_800)


def test_a_leak_of_less_than_an_object_for_each_request_fails_a_long_run() -> None:
    memory_of({}, {OLD: MAX_BLOCKS_SLOPE * 0.9}).check(seconds=1_800)
    with pytest.raises(AssertionError, match="objects leak"):
        memory_of({}, {OLD: MAX_BLOCKS_SLOPE * 1.1}).check(seconds=1_800)


def test_objects_in_use_for_a_moment_neither_hide_a_leak_nor_look_like_one() -> None:
    busy = [(moment, value + (moment % 7) * 5_000 * (moment > 1_200)) for moment, value in samples(200_000, 0)]
    assert slope([busy]) > 500
    assert abs(slope([least_of_each_minute(busy)])) < 1
    leaking = [(moment, value + (moment % 7) * 5_000 * (moment < 600)) for moment, value in samples(200_000, 1_000)]
    assert slope([leaking]) < 500
    assert slope([least_of_each_minute(leaking)]) == pytest.approx(1_000, rel=0.01)


def test_a_large_process_fails_every_run() -> None:
    memory = Memory(Gateway(SUPERVISOR, size=1), Path(), {SUPERVISOR: Process(True, samples(MAX_PEAK_MB, 0))})
    with pytest.raises(AssertionError, match="used"):
        memory.check(seconds=15)


def test_a_process_reports_its_objects_in_use(tmp_path: Path) -> None:
    program = "import time; kept = [str(number) for number in range(100_000)]; print(flush=True); time.sleep(60)"
    environment = {**os.environ, **reporting(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout
            child.stdout.readline()
            limit = time.monotonic() + 20
            while (blocks_in_use(tmp_path, child.pid) or 0) < 100_000:
                assert time.monotonic() < limit
                time.sleep(0.05)
        finally:
            child.kill()
    assert blocks_in_use(tmp_path, -1) is None
