"""CHANGELOG.md follows Keep a Changelog, and agrees with the version and the releases."""

from __future__ import annotations

import re
import tomllib
from datetime import date

from packaging.version import Version

from gateway.cli.main import commands
from gateway.config.environment import SECRETS
from gateway.config.secret_files import SUFFIX
from gateway.config.settings import Settings, variable
from tests.docs.readme import README

ROOT = README.parent
TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
HEADINGS = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
RELEASES = re.findall(r"^## (\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)$", TEXT, re.MULTILINE)

# From Keep a Changelog 1.1.0.
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_every_heading_is_a_dated_release_except_unreleased_at_the_top() -> None:
    """The releases are in order, the newest first."""
    dated = [f"{version} - {day}" for version, day in RELEASES]
    assert HEADINGS in (dated, ["Unreleased", *dated])
    assert sorted(RELEASES, key=lambda release: Version(release[0]), reverse=True) == RELEASES
    days = [date.fromisoformat(day) for _, day in RELEASES]
    assert days == sorted(days, reverse=True)


def test_changes_are_sorted_by_their_kind() -> None:
    kinds = re.findall(r"^### (.+)$", TEXT, re.MULTILINE)
    assert kinds
    assert set(kinds) <= KINDS


def test_the_newest_release_is_this_version_or_has_unreleased_changes_above() -> None:
    """Its schema is stored under its version, to detect breaking changes."""
    newest = [version for version, _ in RELEASES[:1]]
    assert HEADINGS[0] == "Unreleased" or newest == [VERSION]
    assert all(Version(version) <= Version(VERSION) for version in newest)
    schemas = (ROOT / "tests" / "schema" / "released").glob("*.graphql")
    assert [file.stem for file in schemas] == newest, (
        "at a release: gateway schema > tests/schema/released/VERSION.graphql"
    )


def test_every_setting_file_and_command_that_is_named_exists() -> None:
    settings = {variable(name) for name in Settings.model_fields} | {variable(name) + SUFFIX for name in SECRETS}
    assert set(re.findall(r"GATEWAY_\w+", TEXT)) <= settings
    assert set(re.findall(r"`gateway (\w+)", TEXT)) <= set(commands.commands)
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", TEXT)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
