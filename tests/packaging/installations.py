"""Fresh environments with the wheel, without the checkout or the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.packaging.distributions import ROOT, finish


@dataclass(frozen=True, slots=True)
class Installation:
    """An environment with the wheel, and a working folder outside the checkout."""

    programs: Path
    folder: Path
    pip_output: str

    def run(self, name: str, *arguments: str) -> str:
        """Run a program of this environment that must succeed; return its output."""
        return finish([str(self.programs / name), *arguments], self.folder, {"PATH": os.defpath})


def find_python(version: str) -> str | None:
    """Return a Python of this version that starts: this one, one on the PATH, or one of pyenv's."""
    own = [sys.executable] if version == f"{sys.version_info.major}.{sys.version_info.minor}" else []
    for candidate in [*own, *_candidates(f"python{version}", version)]:
        # A name on the PATH may be a version manager's shim without a Python.
        if subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def _candidates(name: str, version: str) -> Iterator[str]:
    if path := shutil.which(name):
        yield path
    yield from map(str, sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}")))


def install(python: str, wheel: Path, folder: Path) -> Installation:
    """Install the wheel with the versions of the lock, all from wheels, so that no compiler is needed."""
    environment, work = folder / "environment", folder / "work"
    work.mkdir()
    finish([python, "-m", "venv", "--without-pip", str(environment)], work)
    pip = [sys.executable, "-m", "pip", "--python", str(environment), "--disable-pip-version-check"]
    lock = ["-c", str(ROOT / "requirements.lock")]
    pip_output = finish([*pip, "install", "--only-binary", ":all:", *lock, str(wheel)], work)
    finish([*pip, "check"], work)
    return Installation(environment / "bin", work, pip_output)
