"""Processes of a run: how to start and stop them, and their CPU time and memory (Linux)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A process that listens on a port of loopback."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Return the server's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def cpu_seconds(self) -> float:
        """Return user and system CPU time of all threads (proc(5), stat), in steps of a hundredth of a second."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    @property
    def memory_bytes(self) -> int:
        """Return the present resident memory."""
        return self._status("VmRSS")

    @property
    def peak_memory_bytes(self) -> int:
        """The most resident memory so far."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1_024 for line in lines if line.startswith(f"{name}:"))


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without gateway settings, plus ``variables``."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")} | dict(variables)


@contextmanager
def running(
    name: str, command: Sequence[str], port: int, variables: Mapping[str, str] | None = None, folder: Path = ROOT
) -> Iterator[Server]:
    """Run ``command`` until the end of the block, and wait until it accepts connections. Raises RuntimeError."""
    # A new session: Ctrl-C reaches only this program, which then stops the others in order.
    process = subprocess.Popen(
        command, cwd=folder, env=environment(variables or {}), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _await_port(name, process, port)
        yield Server(name, port, process)
    finally:
        stop(process)


def _await_port(name: str, process: subprocess.Popen[bytes], port: int) -> None:
    limit = time.monotonic() + _START_SECONDS
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended during start with {process.returncode}: {process.args!r}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"{name} did not listen within {_START_SECONDS:g} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process, if necessary by force."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def module(name: str, *arguments: object) -> list[str]:
    """Return the command for a module of this folder."""
    return [sys.executable, "-m", f"tests.benchmarks.{name}", *map(str, arguments)]
