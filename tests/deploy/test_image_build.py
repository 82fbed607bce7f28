"""The steps of the Dockerfile, run as plain processes with the image's Python version, build a working environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.deploy.dockerfile import ROOT, health_command, read_stages, variables
from tests.deploy.locks import read_lock
from tests.deploy.processes import running
from tests.packaging.distributions import PROJECT, finish
from tests.packaging.installations import find_python
from tests.ports import free_port

STAGES = {stage.name: stage for stage in read_stages()}
RUNTIME = ROOT / "deploy" / "image" / "runtime.lock"
# arm64, by the tags that pip derives for the image's glibc (PEP 600).
ARM = [f"manylinux_2_{minor}_aarch64" for minor in range(17, 42)] + ["manylinux2014_aarch64"]
# Where to fetch packages from, and how.
_KEPT = re.compile(r"HOME|(?i:pip_|npm_config_|ssl_|requests_|node_extra_|(https?|no)_proxy)")
# Python takes a second or two to start on a busy machine.
HEALTHY_WITHIN_SECONDS = 45

# Sixty packages take seconds on an ordinary connection, minutes on a slow one.
pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True, slots=True)
class Machine:
    """A substitute for the stages' file systems: each absolute path of the Dockerfile lies below ``root``."""

    root: Path

    def here(self, text: str) -> str:
        """Return ``text`` with the Dockerfile's absolute paths below ``root``."""
        return re.sub(r"(?<=\s)(/(?:opt|source|build|dist|wheel)\b)", rf"{self.root}\1", f" {text}").strip()

    def run(self, name: str) -> None:
        """Carry out the copies and commands of a stage in its working folder."""
        stage = STAGES[name]
        [folder] = [Path(self.here(rest)) for rest in stage.all("WORKDIR")]
        folder.mkdir(parents=True)
        for keyword, rest in stage.instructions:
            if keyword == "COPY" and not rest.startswith("--from="):
                self._copy(rest.split()[:-1], folder / rest.split()[-1])
            elif keyword == "RUN":
                finish(["sh", "-c", self.here(rest)], folder, self._environment())

    def _copy(self, sources: list[str], target: Path) -> None:
        for source in sources:
            if (ROOT / source).is_dir():
                # The vendor folder is not in a clone: the build fetches its files.
                shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("vendor", "__pycache__"))
            else:
                shutil.copy(ROOT / source, target)

    def _environment(self) -> dict[str, str]:
        """Return the settings of pip and npm, and a PATH without npm, because the image has none."""
        kept = {name: value for name, value in os.environ.items() if re.match(_KEPT, name)}
        return {**kept, "PATH": os.pathsep.join(map(str, [self.root / "python" / "bin", self.root / "bin"]))}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Run the stages; without a package index the tests are skipped, except in CI."""
    [version] = {re.findall(r"python:(3\.\d+)", stage.base)[0] for stage in STAGES.values() if "python" in stage.base}
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    root = tmp_path_factory.mktemp("image")
    finish([python, "-m", "venv", str(root / "python")], root)
    (root / "bin").mkdir()
    (root / "bin" / "sh").symlink_to("/bin/sh")
    machine = Machine(root)
    try:
        machine.run("wheel-build")
        shutil.copytree(root / "dist", root / "wheel")
        machine.run("build")
    except AssertionError as error:
        if os.environ.get("CI") or "No matching distribution found" not in str(error):
            raise
        pytest.skip(f"the packages of deploy/image cannot be had here:\n{error}")
    return machine


def test_the_image_has_the_wheel_and_exactly_the_packages_of_the_lock(machine: Machine) -> None:
    program = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    python = str(machine.root / "opt" / "gateway" / "bin" / "python")
    listed = finish([python, "-c", program], machine.root, {}).splitlines()
    installed = {str(canonicalize_name(name)): version for name, version in map(str.split, listed)}
    assert installed.pop("partner-center-graphql") == PROJECT["version"]
    assert installed == {pin.name: pin.version for pin in read_lock(RUNTIME)}
    assert "opentelemetry-sdk" in installed


def test_the_image_serves_its_page_and_passes_its_health_check(machine: Machine, tmp_path: Path) -> None:
    """The command and the health check of the image, with its settings."""
    programs = machine.root / "opt" / "gateway" / "bin"
    assert (programs.parent / "lib").glob("python3*/site-packages/gateway/graphiql/vendor/stamp.json")
    environment = {**variables(), "GATEWAY_UPSTREAM_URL": "sandbox", "GATEWAY_PORT": str(free_port())}
    environment |= {"PATH": os.pathsep.join([str(programs), os.defpath])}
    program, *arguments = health_command()
    check = [str(programs / program), *arguments]
    assert subprocess.run(check, env=environment, cwd=tmp_path, capture_output=True, check=False).returncode == 1
    with running([str(programs / "gateway")], environment, tmp_path):
        deadline = time.monotonic() + HEALTHY_WITHIN_SECONDS
        while subprocess.run(check, env=environment, cwd=tmp_path, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, "the image is not healthy"


def test_every_package_of_the_lock_has_a_wheel_for_arm64(tmp_path: Path) -> None:
    """pip resolves them for that platform, with their digests, without installing anything."""
    platforms = [f"--platform={name}" for name in ARM]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--target", str(tmp_path), *platforms]
    command += ["--python-version=3.13", "--only-binary=:all:", "--no-deps", "--require-hashes", "-r", str(RUNTIME)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and not os.environ.get("CI") and "from versions: none" in done.stderr:
        pytest.skip(f"the packages of deploy/image cannot be had here:\n{done.stderr}")
    assert done.returncode == 0, done.stderr
