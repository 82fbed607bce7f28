"""Run the commands of containers as plain processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

# First on the PATH, as in the image: the folder of the interpreter that runs the tests.
PROGRAMS = Path(sys.executable).parent


def clean_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return a container's environment: a PATH, and ``variables``."""
    return {"PATH": os.pathsep.join([str(PROGRAMS), os.defpath]), **variables}


def lint(program: str, *arguments: str, text: str = "") -> str:
    """Run a linter of the test dependencies on ``arguments`` or ``text``; return its findings, empty if none."""
    if shutil.which(program, path=clean_environment({})["PATH"]) is None:
        assert not os.environ.get("CI"), f"{program} is not installed"
        pytest.skip(f"{program} is not installed: PyPI has no wheel for this platform")
    command = [program, *arguments]
    done = subprocess.run(
        command, input=text, env=clean_environment({}), capture_output=True, text=True, check=False, timeout=60
    )
    findings = done.stdout + done.stderr
    assert done.returncode == 0 or findings, f"{program} ended with {done.returncode}"
    return findings if done.returncode else ""


@contextmanager
def running(
    command: Sequence[str], variables: Mapping[str, str], folder: Path, log: Path = Path(os.devnull)
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` in ``folder`` during the block, then send SIGTERM, which must end it cleanly."""
    with log.open("wb") as lines:
        process = subprocess.Popen(
            command, cwd=folder, env=clean_environment(variables), stdout=subprocess.DEVNULL, stderr=lines
        )
    try:
        yield process
        assert process.poll() is None, f"{command} ended by itself with {process.returncode}"
        process.terminate()
        assert process.wait(timeout=20) in (0, -15), f"{command} ended with {process.returncode}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
