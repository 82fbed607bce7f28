"""The server processes of the soak: start, workers and resident memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_SECONDS = 60


@contextmanager
def process(log: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a server in a separate process; yield it and the address that it prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=clean | environment
        )
    try:
        limit = time.monotonic() + START_SECONDS
        while not (address := re.search(r"http://127[0-9.]+:\d+", log.read_text())):
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < limit
            time.sleep(0.02)
        yield child, address.group()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


@dataclass(frozen=True)
class Gateway:
    """A gateway process: a server, or the supervisor of several workers. ``size`` is the number of workers."""

    pid: int
    size: int

    def workers(self) -> list[int]:
        """Return the process ids of the workers, the newest last; a single server has none."""
        starts: dict[int, int] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            # A process may end meanwhile.
            with suppress(OSError):
                # proc(5): the second field after the name is the parent, the twentieth the start time.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == self.pid and b"spawn_main" in (folder / "cmdline").read_bytes():
                    starts[int(folder.name)] = int(fields[19])
        return sorted(starts, key=lambda pid: starts[pid])


LIVE_MEMORY_FOLDER = Path(__file__).parent / "live_memory"


def reporting(folder: Path) -> dict[str, str]:
    """Return the environment in which each Python process writes its blocks in use into ``folder``, and how it crashed.

    The latter goes to its log: the stacks of all threads.
    """
    path = os.pathsep.join(filter(None, (str(LIVE_MEMORY_FOLDER), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "LIVE_MEMORY": str(folder), "PYTHONFAULTHANDLER": "1"}


def blocks_in_use(folder: Path, pid: int) -> int | None:
    """Return the memory blocks of Python objects that a process uses; None if it has not written them."""
    with suppress(OSError, ValueError):
        return int((folder / str(pid)).read_text())
    return None


def resident_bytes(pid: int) -> int | None:
    """Return the resident memory of a process; None if it has ended."""
    with suppress(OSError):
        match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(match[1]) * 1_024 if match else None
    return None
