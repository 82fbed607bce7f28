"""Checks of the Dockerfile that need no container engine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.deploy.dockerfile import FILE, ROOT, TEXT, copied, health_command, read_stages
from tests.deploy.processes import lint

STAGES = {stage.name: stage for stage in read_stages()}
FINAL = read_stages()[-1]


def test_hadolint_accepts_the_dockerfile() -> None:
    assert lint("hadolint", str(FILE)) == ""


@pytest.mark.parametrize(
    ("line", "broken", "rule"),
    [
        ("RUN pip wheel", "RUN sudo pip wheel", "DL3004"),
        (":3.13.15-slim-trixie AS build", ":latest AS build", "DL3007"),
        ("WORKDIR /source", "WORKDIR source", "DL3000"),
    ],
)
def test_hadolint_reports_a_fault(line: str, broken: str, rule: str, tmp_path: Path) -> None:
    assert line in TEXT
    (tmp_path / "Dockerfile").write_text(TEXT.replace(line, broken), encoding="utf-8")
    assert rule in lint("hadolint", str(tmp_path / "Dockerfile"))


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
    assert copied() == wanted | {"deploy/image/build.lock", "deploy/image/runtime.lock"}


def test_every_base_is_one_exact_version() -> None:
    """The final image runs on the Python that its packages were installed with."""
    bases = {stage.base for stage in read_stages()} - {"scratch"}
    [base] = bases
    assert re.fullmatch(r"python:3\.13\.\d+-slim-[a-z]+", base)


def test_packages_come_from_locks_with_digests_and_from_the_wheel() -> None:
    """Other steps fetch no package, and these build none."""
    commands = [command for stage in STAGES.values() for run in stage.all("RUN") for command in run.split(" && ")]
    for command in [command for command in commands if re.search(r"\bpip\b.* install ", command)]:
        assert "--require-hashes -r" in command or "--no-index --no-deps /wheel/*.whl" in command
        assert "--only-binary :all:" in command or "--no-index" in command
    [wheel] = [command for command in commands if "pip wheel" in command]
    assert {"--no-build-isolation", "--no-deps"} <= set(wheel.split())


def test_a_wheel_from_elsewhere_can_replace_the_stage_that_has_it() -> None:
    """A build context named `wheel` takes the place of the stage with that name, as releases use it."""
    assert STAGES["wheel"].instructions == (("COPY", "--from=wheel-build /dist/ /"),)
    assert [rest for rest in STAGES["build"].all("COPY") if "--from" in rest] == ["--from=wheel /*.whl /wheel/"]


def test_the_final_image_runs_unprivileged_without_build_tools() -> None:
    """The last stage installs no packages. A numeric user lets an orchestrator verify that it is not root."""
    [user] = FINAL.all("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert FINAL.all("RUN") == []
    assert FINAL.all("COPY") == ["--from=build /opt/gateway /opt/gateway"]
    assert "--without-pip" in TEXT


def test_the_image_listens_on_all_interfaces_at_its_exposed_port() -> None:
    """The default address, loopback, is unreachable from outside the container."""
    [variables] = FINAL.all("ENV")
    assert "GATEWAY_HOST=0.0.0.0" in variables.split()
    assert FINAL.all("EXPOSE") == ["8000"]
    assert FINAL.all("CMD") == ['["gateway"]']


def test_the_image_has_the_health_check_of_its_command() -> None:
    assert health_command() == ["gateway", "health"]
