"""Commands that serve, each in a process of its own as a person runs it."""

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
ADDRESS = re.compile(r"http://\S+:\d+")

# What a loaded machine may take to start Python and import everything.
START_SECONDS = 30
# From the signal to the end when nothing is being answered: uvicorn looks ten times a second, a supervisor twice.
END_SECONDS = 5


def environment(**variables: str) -> dict[str, str]:
    """Nothing but what Python needs, and ``variables``."""
    return {"PATH": os.defpath, "PYTHONPATH": str(ROOT), **variables}


class Running:
    """A command that serves, in a session of its own: of this checkout, or another ``program``."""

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
        while not (found := re.search(wanted, self.said.decode())):
            ready, _, _ = select.select([self.process.stderr], [], [], give_up - time.monotonic())
            more = os.read(self.process.stderr.fileno(), 65_536) if ready else b""
            assert more, f"no {wanted!r} in {self.said.decode()!r}"
            self.said += more
        return found

    @property
    def url(self) -> str:
        """The address that the command tells, once it does."""
        return self.read_until(ADDRESS.pattern).group().replace("0.0.0.0", "127.0.0.1")

    def end(self, number: signal.Signals) -> tuple[int, str, float]:
        """Send a signal as a terminal or a supervisor does: exit code, all of standard error, seconds it took."""
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
    """Wait until ``holds``."""
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.02)
