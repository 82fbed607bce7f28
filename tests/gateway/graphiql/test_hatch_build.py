"""The build hook: only listed files are added, and nothing is fetched twice. The tests need no network."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

import hatch_build
from hatch_build import AssetError, Package, bring_assets, digests, is_current, npm_pack, read_packages, take_files

ASSETS_FILE = Path(hatch_build.__file__).parent / "gateway" / "graphiql" / "assets.toml"


def make_tarball(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> str:
    """Write a tarball in npm's format; return its integrity digest."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def test_only_named_files_are_extracted(tmp_path: Path) -> None:
    tarball = tmp_path / "a.tgz"
    integrity = make_tarball(tarball, {"package/dist/a.js": b"1", "package/evil.js": b"2", "../up.js": b"3"})
    take_files(Package("@scope/a", "1.0.0", integrity, ("dist/a.js",)), tarball, tmp_path / "vendor")
    assert list(digests(tmp_path / "vendor")) == ["@scope/a/dist/a.js"]
    assert not (tmp_path / "up.js").exists()


def test_tampered_tarball_is_refused(tmp_path: Path) -> None:
    """One changed byte is enough; no file is written."""
    tarball = tmp_path / "a.tgz"
    integrity = make_tarball(tarball, {"package/a.js": b"good"})
    make_tarball(tarball, {"package/a.js": b"evil"})
    with pytest.raises(AssetError, match=r"a@1\.0\.0.*not the one"):
        take_files(Package("a", "1.0.0", integrity, ("a.js",)), tarball, tmp_path / "vendor")
    assert not (tmp_path / "vendor").exists()


def test_missing_file_and_link_are_refused(tmp_path: Path) -> None:
    tarball = tmp_path / "a.tgz"
    integrity = make_tarball(tarball, {"package/a.js": b"1"}, links={"package/link.js": "/etc/passwd"})
    for name in ("none.js", "link.js"):
        with pytest.raises(AssetError, match=f"no file {name}"):
            take_files(Package("a", "1.0.0", integrity, ("a.js", name)), tarball, tmp_path / "vendor")
    assert not (tmp_path / "vendor").exists()


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A list of one package, and the vendor folder made from it by a fake npm that copies a prepared tarball."""
    tarball = tmp_path / "prepared.tgz"
    integrity = make_tarball(tarball, {"package/a.js": b"1"})
    assets_file, vendor = tmp_path / "assets.toml", tmp_path / "vendor"
    assets_file.write_text(f'[[package]]\nname="a"\nversion="1.0.0"\nintegrity="{integrity}"\nfiles=["a.js"]\n')
    install_npm(tmp_path / "bin", f'cp "{tarball}" a-1.0.0.tgz', monkeypatch)
    bring_assets(assets_file, vendor)
    return assets_file, vendor


def install_npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a fake npm and a fake node first on the PATH."""
    folder.mkdir(exist_ok=True)
    for name in ("npm", "node"):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_an_up_to_date_folder_is_unchanged(
    built: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second build and a build from an sdist work without npm."""
    install_npm(tmp_path / "bin", "exit 1", monkeypatch)
    bring_assets(*built)
    assert (built[1] / "a" / "a.js").read_bytes() == b"1"


@pytest.mark.parametrize("change", ["another file", "a changed file", "a missing file", "another list", "no stamp"])
def test_a_changed_folder_is_rebuilt(built: tuple[Path, Path], change: str) -> None:
    assets_file, vendor = built
    assert is_current(assets_file, vendor)
    if change == "another file":
        (vendor / "b.js").write_text("2")
    elif change == "a changed file":
        (vendor / "a" / "a.js").write_text("2")
    elif change == "a missing file":
        (vendor / "a" / "a.js").unlink()
    elif change == "another list":
        assets_file.write_text(assets_file.read_text().replace("1.0.0", "1.0.1"))
    else:
        (vendor / "stamp.json").unlink()
    assert not is_current(assets_file, vendor)
    if change != "another list":
        bring_assets(assets_file, vendor)
        assert is_current(assets_file, vendor)
        assert list(digests(vendor)) == ["a/a.js"]


def test_failure_of_npm_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_npm(tmp_path / "bin", "echo npm error ECONNREFUSED; exit 1", monkeypatch)
    with pytest.raises(AssetError) as caught:
        npm_pack([Package("a", "1.0.0", "", ())], tmp_path)
    message = str(caught.value)
    assert "ECONNREFUSED" in message
    assert "npm ping" in message
    assert hatch_build.WITHOUT_GRAPHIQL in message


def test_node_from_pypi_is_requested_only_without_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hook's dynamic build requirements in an unbuilt tree depend on the PATH."""
    hook = object.__new__(hatch_build.GraphiqlBuildHook)
    monkeypatch.setattr(hatch_build.GraphiqlBuildHook, "root", str(tmp_path))
    install_npm(tmp_path / "bin", "exit 0", monkeypatch)
    assert hook.dependencies() == []
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hook.dependencies() == [hatch_build.NODE_REQUIREMENT]
    monkeypatch.setenv(hatch_build.WITHOUT_GRAPHIQL, "1")
    assert hook.dependencies() == []


def test_the_list_has_digests_and_no_urls() -> None:
    """npm's own configuration chooses the registry."""
    assert "://" not in ASSETS_FILE.read_text()
    for package in read_packages(ASSETS_FILE):
        assert package.integrity.startswith("sha512-")
        assert any(file == "LICENSE" or file == "package.json" for file in package.files)
