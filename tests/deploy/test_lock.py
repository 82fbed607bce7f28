"""The pins of requirements.lock, and that they fit pyproject.toml."""

from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
PINS = [Requirement(line) for line in LINES if line and not line.startswith("#")]
WANTED = [Requirement(text) for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]]

# Older versions have vulnerabilities: requests that exhaust time or memory (CVE-2026-47706 and -47707 in
# strawberry-graphql, CVE-2026-48710 in starlette), and request smuggling (CVE-2025-43859 in h11).
FLOORS = {"strawberry-graphql": "0.315.7", "starlette": "1.0.1", "h11": "0.16"}


def pinned(name: str) -> Version:
    """Return the version of ``name`` in the lock."""
    [match] = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(name)]
    return Version(str(match.specifier).removeprefix("=="))


def test_every_line_pins_one_version_and_names_no_index() -> None:
    """The lock has only names, versions and markers: users choose their own index."""
    for pin in PINS:
        assert str(pin.specifier).startswith("=="), pin
        assert pin.url is None, pin
    assert not [line for line in LINES if "://" in line or line.startswith("-")]


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: str(wanted.name))
def test_every_dependency_is_pinned_to_a_version_that_pyproject_allows(wanted: Requirement) -> None:
    """A new or raised dependency needs a new lock."""
    assert pinned(wanted.name) in wanted.specifier


@pytest.mark.parametrize(("name", "floor"), FLOORS.items())
def test_versions_with_known_faults_cannot_be_installed(name: str, floor: str) -> None:
    """Neither the lock nor pyproject.toml allows one, and the tests do not run with one."""
    assert Version(version(name)) >= Version(floor)
    assert pinned(name) >= Version(floor)
    [wanted] = [wanted for wanted in WANTED if wanted.name == name]
    lower = [Version(part.version) for part in wanted.specifier if part.operator == ">="]
    assert max(lower) >= Version(floor)
