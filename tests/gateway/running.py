"""Run the serving commands as separate processes."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
ADDRESS = re.compile(r"http://[^\s\"]+?:\d+")

# Only the banner, which has the address, and errors.
QUIET = {"GATEWAY_LOG_LEVEL": "error", "GATEWAY_LOG_FORMAT": "text"}

# Enough for a loaded machine to start Python and import everything.
START_SECONDS = 30
# Time to stop without requests in progress, on a busy machine.
END_SECONDS = 20


def environment(**variables: str) -> dict[str, str]:
    """Return only the variables that Python needs, and ``variables``."""
    return {"PATH": os.defpath, "PYTHONPATH": str(ROOT), **variables}


class Running:
    """A serving command in a new process session: this checkout's gateway, or another ``program``."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        variables: dict[str, str],
        program: Sequence[str] = (sys.executable, "-m", "gateway"),
        folder: Path | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [*program, *arguments],
            cwd=folder,
            env=environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.said = b""

    def read_until(self, wanted: str) -> re.Match[str]:
        """Wait for ``wanted`` on standard error."""
        assert self.process.stderr is not None
        give_up = time.monotonic() + START_SECONDS
        while not (match := re.search(wanted, self.said.decode())):
            ready, _, _ = select.select([self.process.stderr], [], [], give_up - time.monotonic())
            more = os.read(self.process.stderr.fileno(), 65_536) if ready else b""
            assert more, f"no {wanted!r} in {self.said.decode()!r}"
            self.said += more
        return match

    @property
    def url(self) -> str:
        """Wait for the address on standard error, and return it."""
        return self.read_until(ADDRESS.pattern).group().replace("0.0.0.0", "127.0.0.1")

    def end(self, number: signal.Signals) -> tuple[int, str, float]:
        """Send a signal; return exit code, standard error, and the seconds until the end."""
        started_seconds = time.monotonic()
        if number is signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=30)
        return self.process.returncode, (self.said + rest).decode(), time.monotonic() - started_seconds


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def eventually(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until ``holds`` returns True."""
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.02)
