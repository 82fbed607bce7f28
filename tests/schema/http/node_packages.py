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
    if _is_whole(place):
        return place
    # Test processes may install at the same time: each has its own folder, and the first one to end keeps it.
    own = Path(tempfile.mkdtemp(prefix=f"{place.name}-"))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(pins / name, own)
    command = [npm or "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=own, capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(own)
        _unavailable(f"npm could not install {pins.name}:\n{done.stderr[-500:]}")
    if place.exists() and not _is_whole(place):
        # An interrupted run of an earlier version has left it.
        shutil.rmtree(place, ignore_errors=True)
    try:
        own.rename(place)
    except OSError:
        shutil.rmtree(own)
    return place


def _is_whole(place: Path) -> bool:
    # npm writes this file last.
    return (place / "node_modules" / ".package-lock.json").exists()


def _unavailable(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
