"""Pinned Python packages for tests, each set in its own environment, cached outside the repository between runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


def environment(pins: Path) -> Path:
    """Return the programs' folder of an environment with the packages in ``pins``; skip the test if pip fails.

    The packages need other versions of graphql-core than the gateway, and than each other.
    """
    digest = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()[:12]
    user = os.getuid() if os.name == "posix" else 0
    place = Path(tempfile.gettempdir()) / f"{pins.parent.name}-{digest}-{user}"
    complete = place / "complete"
    if not complete.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "environment")], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(place / "environment"), "--disable-pip-version-check"]
        for command in (["install", "--only-binary", ":all:", "-r", str(pins)], ["check"]):
            done = subprocess.run([*pip, *command], capture_output=True, text=True, check=False)
            if done.returncode:
                _unavailable(
                    f"pip {command[0]} failed for {pins.parent.name}:\n{done.stdout[-500:]}{done.stderr[-500:]}"
                )
        complete.touch()
    return place / "environment" / "bin"


def _unavailable(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
