"""Checks of the Dockerfile that need no container engine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
FINAL = TEXT[TEXT.rindex("\nFROM ") :]


def copied() -> set[str]:
    """Return the paths that the build stage copies from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE)
    return {name for line in lines for name in line.split()}


def test_the_build_copies_existing_files_and_dockerignore_admits_exactly_those() -> None:
    """.dockerignore excludes everything else, such as .git and local environments."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == copied()
    assert all((ROOT / name).exists() for name in copied())


def test_the_build_copies_every_file_of_the_package() -> None:
    """A wheel is built from the packages, the build hook, and the texts that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    build = project["tool"]["hatch"]["build"]
    wanted = {*build["targets"]["wheel"]["packages"], build["hooks"]["custom"]["path"]}
    wanted |= {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert copied() == wanted | {"requirements.lock"}


def test_the_final_image_runs_unprivileged_without_build_tools() -> None:
    """The last stage installs no packages. A numeric user lets an orchestrator verify that it is not root."""
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", FINAL, re.MULTILINE)
    assert "\nRUN " not in FINAL
    assert "--without-pip" in TEXT


def test_the_image_listens_on_all_interfaces_at_its_exposed_port() -> None:
    """The default address, loopback, is unreachable from outside the container."""
    assert "GATEWAY_HOST=0.0.0.0" in FINAL
    assert re.search(r"^EXPOSE 8000$", FINAL, re.MULTILINE)
    assert re.search(r'^CMD \["gateway"\]$', FINAL, re.MULTILINE)
