"""schema/schema.graphql is the schema that clients rely on: a change is seen, and one that breaks them is named."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from graphql import (
    GraphQLObjectType,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
    get_named_type,
    is_enum_type,
)

from schema.build import sdl

ROOT = Path(__file__).parents[2]
FILE = ROOT / "schema" / "schema.graphql"
KEPT = FILE.read_text(encoding="utf-8")
UNDESCRIBED = re.sub(r'^ *"""(?:.|\n)*?"""\n', "", KEPT, flags=re.MULTILINE)

# Dangerous by graphql-core's list, but no client of ours need change for them: enums stand in questions only.
ADDITIONS = {"OPTIONAL_ARG_ADDED", "OPTIONAL_INPUT_FIELD_ADDED", "VALUE_ADDED_TO_ENUM"}


def breaks(before: str, after: str) -> list[str]:
    """What breaks or endangers those who were given the schema ``before`` when it becomes ``after``, by name."""
    old, new = build_schema(before), build_schema(after)
    breaking = [f"{change.type.name}: {change.description}" for change in find_breaking_changes(old, new)]
    dangerous = [change for change in find_dangerous_changes(old, new) if change.type.name not in ADDITIONS]
    return breaking + [f"{change.type.name}: {change.description}" for change in dangerous]


def test_no_change_breaks_clients() -> None:
    found = "\n  ".join(breaks(KEPT, sdl()))
    assert not found, (
        f"These changes break clients:\n  {found}\nWhat is wanted all the same needs a new major version (before 1.0, a"
        " minor one) and a line in CHANGELOG.md. Then: gateway schema > schema/schema.graphql"
    )


def test_gateway_schema_check_finds_the_file_up_to_date() -> None:
    command = [sys.executable, "-m", "gateway", "schema", "--check", str(FILE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}Renew it with: gateway schema > schema/schema.graphql"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("  licensesSold: Long\n", "", ["FIELD_REMOVED: Field LicenseDeployment.licensesSold was removed."]),
        ("  licensesSold: Long\n", "  licensesSold: Int\n", ["FIELD_CHANGED_KIND: "]),
        ("  totalCount: Long\n", "  totalCount: Long!\n", []),
        ("  cursor: String!\n", "  cursor: String\n", ["FIELD_CHANGED_KIND: "]),
        ("    first: Int\n", "    first: Int!\n", ["ARG_CHANGED_KIND: "]),
        ("    offset: Int\n", "", ["ARG_REMOVED: "]),
        ("    offset: Int\n", "    offset: Int\n    sort: String\n", []),
        ("    offset: Int\n", "    offset: Int\n    sort: String!\n", ["REQUIRED_ARG_ADDED: "]),
        ("  PRODUCT_ID\n", "", ["VALUE_REMOVED_FROM_ENUM: "]),
        ("  PRODUCT_ID\n", "  PRODUCT_ID\n  PRODUCT_SKU\n", []),
        ("  notIn: [String!]\n", "", ["FIELD_REMOVED: "]),
        ("  notIn: [String!]\n", "  notIn: [String!]\n  like: String!\n", ["REQUIRED_INPUT_FIELD_ADDED: "]),
        ("  notIn: [String!]\n", "  notIn: [String!]\n  like: String\n", []),
        ("  endCursor: String\n", "  endCursor: String\n  rows: Long\n", []),
    ],
)
def test_what_breaks_is_named_and_what_only_adds_is_not(old: str, new: str, found: list[str]) -> None:
    assert UNDESCRIBED.count(old) == 1
    names = breaks(UNDESCRIBED, UNDESCRIBED.replace(old, new))
    assert len(names) == len(found)
    assert all(name.startswith(start) for name, start in zip(names, found, strict=True)), names


def test_enums_stand_in_questions_only() -> None:
    """Else a new value would reach clients that do not know it."""
    types = build_schema(sdl()).type_map
    outputs = [kind for name, kind in types.items() if isinstance(kind, GraphQLObjectType) and name[:2] != "__"]
    assert outputs
    assert not any(is_enum_type(get_named_type(field.type)) for kind in outputs for field in kind.fields.values())
