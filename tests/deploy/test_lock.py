"""The pins of requirements.lock and of the image's locks, and that they fit pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hatch_build import NODE_REQUIREMENT
from tests.deploy.locks import Pin, read_lock

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
PINS = [Requirement(line) for line in LINES if line and not line.startswith("#")]
WANTED = [Requirement(text) for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]]

IMAGE = ROOT / "deploy" / "image"
RUNTIME, BUILD = read_lock(IMAGE / "runtime.lock"), read_lock(IMAGE / "build.lock")
# The image's Python and platforms, as environment markers see them (PEP 508).
ON_THE_IMAGE = {"python_version": "3.13", "python_full_version": "3.13.0", "sys_platform": "linux", "os_name": "posix"}
ON_THE_IMAGE |= {"platform_system": "Linux", "platform_python_implementation": "CPython"}
MACHINES = ["x86_64", "aarch64"]

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


def closure(wanted: list[Requirement], machine: str) -> set[str]:
    """Return the names of all packages that ``wanted`` needs on the image, by the metadata of the installed ones."""
    names, waiting = set[tuple[str, str]](), [(requirement, "") for requirement in wanted]
    while waiting:
        requirement, extra = waiting.pop()
        applies = {**ON_THE_IMAGE, "platform_machine": machine, "extra": extra}
        if requirement.marker is not None and not requirement.marker.evaluate(applies):
            continue
        for each in ["", *requirement.extras]:
            if (key := (canonicalize_name(requirement.name), each)) not in names:
                names.add(key)
                waiting += [(Requirement(text), each) for text in requires(requirement.name) or []]
    return {name for name, _ in names}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_image_has_what_the_gateway_and_the_extra_otel_need_and_nothing_else(machine: str) -> None:
    """A new dependency needs new locks. Both platforms of the image need the same packages."""
    texts = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["otel"]]
    assert closure([Requirement(text) for text in texts], machine) == {pin.name for pin in RUNTIME}


@pytest.mark.parametrize("pin", [*RUNTIME, *BUILD], ids=lambda pin: str(pin.name))
def test_the_image_has_the_versions_of_the_lock(pin: Pin) -> None:
    """All but npm, which only the image needs."""
    if pin.name == Requirement(NODE_REQUIREMENT).name:
        assert pin.version in Requirement(NODE_REQUIREMENT).specifier
    else:
        assert str(pinned(pin.name)) == pin.version


@pytest.mark.parametrize("pin", [*RUNTIME, *BUILD], ids=lambda pin: str(pin.name))
def test_every_line_of_the_images_locks_has_digests_and_applies_to_every_platform(pin: Pin) -> None:
    assert pin.digests
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in pin.digests)
    assert pin.requirement.marker is None


def test_the_images_locks_name_no_index() -> None:
    """Options other than digests could add one."""
    for path in IMAGE.glob("*.lock"):
        text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert "://" not in text
        assert {word.partition("=")[0] for word in text.split() if word.startswith("-")} == {"--hash"}


def test_the_wheel_in_the_image_is_built_with_the_build_system_of_the_project() -> None:
    """With npm beside it, which the build hook would otherwise install."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    lines = (IMAGE / "build.in").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == [*build, NODE_REQUIREMENT]
    assert {Requirement(text).name for text in [*build, NODE_REQUIREMENT]} <= {pin.name for pin in BUILD}
