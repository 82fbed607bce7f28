"""The sdist and the wheel have exactly the expected files, and the wheel's metadata is correct."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import hatch_build
from tests.packaging.distributions import (
    PROJECT,
    ROOT,
    Distributions,
    files_of_sdist,
    files_of_wheel,
    metadata,
    metadata_file,
    wheel_from,
)

PAGE = Path("gateway/graphiql")
VENDORED = hatch_build.read_packages(ROOT / PAGE / "assets.toml")
# Files fetched by the build hook: those that assets.toml names, and the stamp for later builds.
FETCHED = {f"{PAGE}/vendor/{package.name}/{file}" for package in VENDORED for file in package.files}
FETCHED |= {f"{PAGE}/vendor/{hatch_build.STAMP_NAME}"}


def files_of_checkout() -> set[str]:
    """Return the files of this checkout that git tracks or does not ignore."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = [git, "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listing.split("\0") if name and (ROOT / name).is_file()}


def test_the_sdist_is_the_checkout_with_the_fetched_files(built: Distributions) -> None:
    """It contains tests and documents, so that packagers can check it, but no ignored files."""
    assert files_of_sdist(built.sdist) == files_of_checkout() | FETCHED | {"PKG-INFO"}


def test_the_wheel_has_both_packages_and_its_metadata(built: Distributions) -> None:
    """The wheel contains every file that the code may read, but neither tests nor caches."""
    own = {name for name in files_of_checkout() if name.startswith(("gateway/", "schema/"))}
    described = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert files_of_wheel(built.wheel) == own | FETCHED | {f"dist-info/{name}" for name in described}


def test_typed_packages_have_a_py_typed_marker(built: Distributions) -> None:
    """Type checkers look into a package only if it has this file."""
    assert "Typing :: Typed" in PROJECT["classifiers"]
    assert {"gateway/py.typed", "schema/py.typed"} <= files_of_wheel(built.wheel)


def test_every_license_is_included_with_its_package(built: Distributions) -> None:
    """Our license is in the metadata; licenses of fetched files are beside the files."""
    assert metadata_file(built.wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text(encoding="utf-8")
    with zipfile.ZipFile(built.wheel) as archive:
        for package in VENDORED:
            [name] = {"LICENSE", "package.json"} & set(package.files)
            text = archive.read(f"{PAGE}/vendor/{package.name}/{name}").decode()
            assert re.search(r"\bMIT\b", text), package.name


def test_a_wheel_built_from_the_sdist_is_identical_and_needs_no_npm(built: Distributions, tmp_path: Path) -> None:
    """The sdist contains GraphiQL's files, so that distributions can build without a network."""
    assert wheel_from(built.sdist, tmp_path).read_bytes() == built.wheel.read_bytes()


def test_the_metadata_describes_the_package_and_its_requirements(built: Distributions) -> None:
    fields = metadata(built.wheel)
    assert (fields["Name"], fields["Version"]) == ("partner-center-graphql", PROJECT["version"])
    assert (fields["License-Expression"], fields["License-File"]) == ("MIT", "LICENSE")
    assert (fields["Requires-Python"], fields["Description-Content-Type"]) == (">=3.11", "text/markdown")
    assert fields.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(fields.get_all("Provides-Extra", [])) == {"otel", "parquet", "test", "token"}
    assert built.wheel.name == f"partner_center_graphql-{PROJECT['version']}-py3-none-any.whl"


def test_every_listed_python_is_supported(built: Distributions) -> None:
    allowed = SpecifierSet(metadata(built.wheel)["Requires-Python"])
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(metadata(built.wheel).get_all("Classifier", [])))
    assert named
    assert all(version in allowed for version in named)
    assert "3.10" not in allowed


def test_without_extras_no_test_or_optional_package_is_required(built: Distributions) -> None:
    wanted = [Requirement(text) for text in metadata(built.wheel).get_all("Requires-Dist", [])]
    bare = {each.name for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})}
    assert len(bare) == len(PROJECT["dependencies"])
    assert not bare & {"pytest", "hatchling", "mypy", "pyarrow", "opentelemetry-sdk", "playwright"}


def test_the_wheel_installs_one_command_under_two_names(built: Distributions) -> None:
    """uvx runs the command that has the package's name."""
    points = ConfigParser()
    points.read_string(metadata_file(built.wheel, "entry_points.txt"))
    assert {name: dict(points[name]) for name in points.sections()} == {
        "console_scripts": dict.fromkeys(("gateway", PROJECT["name"]), "gateway.__main__:main")
    }
