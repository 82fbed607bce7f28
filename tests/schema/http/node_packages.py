"""Pinned npm packages for tests, cached outside the repository between runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def installed(pins: Path) -> Path:
    """Return a folder with the packages of ``pins`` in ``node_modules``; skip the test without node and npm."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        _unavailable("node and npm are not installed")
    digest = hashlib.sha256((pins / "package-lock.json").read_bytes()).hexdigest()[:12]
    user = os.getuid() if os.name == "posix" else 0
    place = Path(tempfile.gettempdir()) / f"{pins.name}-{digest}-{user}"
    # npm writes this file last.
    if not (place / "node_modules" / ".package-lock.json").exists():
        place.mkdir(mode=0o700, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(pins / name, place)
        command = [npm or "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True)
        if done.returncode:
            _unavailable(f"npm could not install {pins.name}:\n{done.stderr[-500:]}")
    return place


def _unavailable(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
