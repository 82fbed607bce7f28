"""Build the files of a release from this checkout, and list their contents."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@dataclass(frozen=True, slots=True)
class Distributions:
    """The sdist and the wheel of one build."""

    sdist: Path
    wheel: Path


def finish(command: list[str], folder: Path, variables: dict[str, str] | None = None) -> str:
    """Run a command that must succeed; return its output."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


def build(folder: Path) -> Distributions:
    """Build both into ``folder`` as for a release; hatchling is a test dependency."""
    finish([sys.executable, "-m", "hatchling", "build", "-d", str(folder), "-t", "sdist", "-t", "wheel"], ROOT)
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Distributions(sdist, wheel)


def wheel_from(sdist: Path, folder: Path) -> Path:
    """Build a wheel without a package index and without npm."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("npm", "node"):
        (programs / name).write_text(f"#!/bin/sh\necho '{name} was started' >&2\nexit 1\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    options = ["--no-index", "--no-build-isolation", "--no-deps", "-w", str(folder)]
    path = os.pathsep.join([str(programs), os.defpath])
    finish([sys.executable, "-m", "pip", "wheel", *options, str(sdist)], folder, {**os.environ, "PATH": path})
    [wheel] = folder.glob("*.whl")
    return wheel


def files_of_sdist(sdist: Path) -> set[str]:
    """Return the files of an sdist, by their path in the checkout."""
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def files_of_wheel(wheel: Path) -> set[str]:
    """Return the files of a wheel; its metadata folder is named ``dist-info`` for any version."""
    with zipfile.ZipFile(wheel) as archive:
        return {"dist-info/" + name.partition("/")[2] if ".dist-info/" in name else name for name in archive.namelist()}


def metadata_file(wheel: Path, name: str) -> str:
    """Return the text of a file of the wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        [path] = [path for path in archive.namelist() if path.endswith(f".dist-info/{name}")]
        return archive.read(path).decode()


def metadata(wheel: Path) -> Message:
    """Return the metadata that a package index shows and pip uses."""
    return Parser().parsestr(metadata_file(wheel, "METADATA"))
