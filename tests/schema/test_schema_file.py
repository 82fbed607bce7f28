"""schema/schema.graphql is the published schema: tests detect changes and name breaking ones.

The schema of the newest release is in released/, under its version: a breaking change since then needs a new version.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
    get_named_type,
    is_enum_type,
)
from packaging.version import Version

from schema.build import DATASETS, sdl

ROOT = Path(__file__).parents[2]
FILE = ROOT / "schema" / "schema.graphql"
PUBLISHED = FILE.read_text(encoding="utf-8")
UNDESCRIBED = re.sub(r'^ *"""(?:.|\n)*?"""\n', "", PUBLISHED, flags=re.MULTILINE)
RELEASED = sorted((Path(__file__).parent / "released").glob("*.graphql"))
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

# A deprecation reason names the version and the replacement.
ADVICE = re.compile(r"Since \d+\.\d+\.\d+: use `[^`]+`.*\.")

# "Dangerous" for graphql-core, but harmless for our clients: enums occur only in input types.
ADDITIONS = {"OPTIONAL_ARG_ADDED", "OPTIONAL_INPUT_FIELD_ADDED", "VALUE_ADDED_TO_ENUM"}


def breaks(before: str, after: str) -> list[str]:
    """Return the breaking and dangerous changes from the schema ``before`` to ``after``, by name."""
    old, new = build_schema(before), build_schema(after)
    breaking = [f"{change.type.name}: {change.description}" for change in find_breaking_changes(old, new)]
    dangerous = [change for change in find_dangerous_changes(old, new) if change.type.name not in ADDITIONS]
    return breaking + [f"{change.type.name}: {change.description}" for change in dangerous]


def promise(version: str) -> tuple[int, ...]:
    """Return the compatible part of a version: the first number, or before 1.0 the first two."""
    changes = Version(version)
    return (changes.major,) if changes.major else (0, changes.minor)


def unannounced(released: str, before: str, version: str, after: str) -> list[str]:
    """Return the breaking changes since ``before``, unless ``version`` allows them."""
    return [] if promise(version) > promise(released) else breaks(before, after)


def deprecations(schema: GraphQLSchema) -> Iterator[tuple[str, str]]:
    """Return the deprecated elements, each with its reason."""
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLEnumType):
            members = dict(kind.values)
        elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            members = dict(kind.fields)
        else:
            continue
        for name, member in list(members.items()):
            members |= {f"{name}.{inner}": argument for inner, argument in getattr(member, "args", {}).items()}
        for name, member in members.items():
            if member.deprecation_reason is not None:
                yield f"{kind.name}.{name}", member.deprecation_reason


def test_no_schema_change_breaks_clients() -> None:
    changes = "\n  ".join(breaks(PUBLISHED, sdl()))
    assert not changes, (
        f"These changes break clients:\n  {changes}\n"
        "An intended change needs a new major version (before 1.0, a minor one) and a line in CHANGELOG.md. Then run:"
        " gateway schema > schema/schema.graphql"
    )


def test_a_breaking_change_since_the_newest_release_needs_another_version() -> None:
    """Regenerating schema.graphql does not hide the change. Before the first release, any change is allowed."""
    for file in RELEASED:
        changes = "\n  ".join(unannounced(file.stem, file.read_text(encoding="utf-8"), VERSION, sdl()))
        assert not changes, (
            f"Version {VERSION} does not announce these breaking changes since {file.stem}:\n  {changes}"
        )


@pytest.mark.parametrize(
    ("released", "version", "is_allowed"),
    [
        ("0.1.0", "0.1.0", False),
        ("0.1.0", "0.1.1", False),
        ("0.1.9", "0.2.0", True),
        ("0.9.0", "1.0.0", True),
        ("1.4.2", "1.5.0", False),
        ("1.4.2", "2.0.0", True),
        ("2.0.0", "1.9.0", False),
        ("0.9.0", "0.10.0", True),
    ],
)
def test_a_breaking_change_needs_a_new_version(released: str, version: str, is_allowed: bool) -> None:
    """A new major version, or before 1.0 a new minor version."""
    less = UNDESCRIBED.replace("  licensesSold: Long\n", "")
    assert bool(unannounced(released, UNDESCRIBED, version, less)) is not is_allowed
    assert unannounced(released, less, version, UNDESCRIBED) == []


def test_every_deprecation_names_its_version_and_replacement() -> None:
    assert [(name, reason) for name, reason in deprecations(build_schema(sdl())) if not ADVICE.fullmatch(reason)] == []


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("  serviceName: String", "LicenseDeployment.serviceName"),
        ("    offset: Int", "Query.licenseDeployments.offset"),
        ("  LICENSES_SOLD", "LicenseDeploymentOrderField.LICENSES_SOLD"),
        ("  notIn: [String!]", "StringFilter.notIn"),
    ],
)
@pytest.mark.parametrize(
    ("reason", "advises"), [("Since 0.3.0: use `rows`.", True), ("Use `rows`.", False), ("Since 0.3.0: gone.", False)]
)
def test_every_deprecatable_element_is_checked(line: str, name: str, reason: str, advises: bool) -> None:
    # Of several datasets, the first one.
    marked = UNDESCRIBED.replace(f"{line}\n", f'{line} @deprecated(reason: "{reason}")\n', 1)
    assert list(deprecations(build_schema(marked))) == [(name, reason)]
    assert bool(ADVICE.fullmatch(reason)) is advises


def test_gateway_schema_check_finds_the_file_up_to_date() -> None:
    command = [sys.executable, "-m", "gateway", "schema", "--check", str(FILE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}Renew it with: gateway schema > schema/schema.graphql"


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("  serviceName: String\n", "", ["FIELD_REMOVED: Field LicenseDeployment.serviceName was removed."]),
        ("  serviceName: String\n", "  serviceName: Int\n", ["FIELD_CHANGED_KIND: "]),
        ("  totalCount: Long\n", "  totalCount: Long!\n", []),
        ("  cursor: String!\n", "  cursor: String\n", ["FIELD_CHANGED_KIND: "]),
        ("    first: Int\n", "    first: Int!\n", ["ARG_CHANGED_KIND: "]),
        ("    offset: Int\n", "", ["ARG_REMOVED: "]),
        ("    offset: Int\n", "    offset: Int\n    sort: String\n", []),
        ("    offset: Int\n", "    offset: Int\n    sort: String!\n", ["REQUIRED_ARG_ADDED: "]),
        ("  LICENSES_SOLD\n", "", ["VALUE_REMOVED_FROM_ENUM: "]),
        ("  LICENSES_SOLD\n", "  LICENSES_SOLD\n  PRODUCT_SKU\n", []),
        ("  notIn: [String!]\n", "", ["FIELD_REMOVED: "]),
        ("  notIn: [String!]\n", "  notIn: [String!]\n  like: String!\n", ["REQUIRED_INPUT_FIELD_ADDED: "]),
        ("  notIn: [String!]\n", "  notIn: [String!]\n  like: String\n", []),
        ("  endCursor: String\n", "  endCursor: String\n  rows: Long\n", []),
    ],
)
def test_breaking_changes_are_named_and_additions_are_not(old: str, new: str, changes: list[str]) -> None:
    assert 1 <= UNDESCRIBED.count(old) <= len(DATASETS)
    names = breaks(UNDESCRIBED, UNDESCRIBED.replace(old, new, 1))
    assert len(names) == len(changes)
    assert all(name.startswith(start) for name, start in zip(names, changes, strict=True)), names


def test_enums_appear_only_in_input_types() -> None:
    """Otherwise a new enum value would reach clients that do not know it."""
    types = build_schema(sdl()).type_map
    outputs = [kind for name, kind in types.items() if isinstance(kind, GraphQLObjectType) and name[:2] != "__"]
    assert outputs
    assert not any(is_enum_type(get_named_type(field.type)) for kind in outputs for field in kind.fields.values())
