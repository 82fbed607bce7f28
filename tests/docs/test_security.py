"""SECURITY.md and the table of limits in docs/errors.md name files, tests and settings that exist."""

from __future__ import annotations

import ast
import re

import pytest

from gateway.config.settings import Settings, variable
from schema.execution.cost import LONG_FILTERS, MAX_OBJECT_MEMBERS, VALUES_PER_ROW
from schema.execution.limits import (
    CHARACTERS_PER_TOKEN,
    LIST_FIELDS,
    MAX_ALIAS_CHARACTERS,
    MAX_INTROSPECTION_FIELDS,
    MAX_LINES,
)
from tests.benchmarks.worst import LIMITS
from tests.docs.readme import README

ROOT = README.parent
SECURITY = (ROOT / ".github" / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:gateway|schema|tests)/[^`]+|pyproject\.toml|requirements\.lock)`", SECURITY)))
PROMISES = [line.strip("|").split(" | ") for line in SECURITY.splitlines() if "::test_" in line]
TABLE = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (ROOT / "docs" / "errors.md")
    .read_text(encoding="utf-8")
    .split("\n## Limits of one operation\n")[1]
    .split("\n## ")[0]
    .splitlines()
    if line.startswith("| ") and not line.startswith("| limit ")
]


@pytest.mark.parametrize("named", NAMED)
def test_every_file_and_test_that_is_named_exists(named: str) -> None:
    path, _, test = named.partition("::")
    assert (ROOT / path).is_file()
    if test:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert test in tests


def test_every_promise_names_a_file_and_a_test() -> None:
    assert len(PROMISES) > 15
    for promise, files, tests in PROMISES:
        assert promise.strip()
        assert "::" not in files and "`" in files, promise  # noqa: PT018
        assert all("::test_" in name for name in re.findall(r"`([^`]+)`", tests)), promise


def test_security_covers_every_endpoint_that_returns_rows() -> None:
    """There are two: queries, and exports, which contain whole reports."""
    promised = "\n".join(promise for promise, _, _ in PROMISES)
    assert {"cache entries", "`/export/…`"} <= set(re.findall(r"cache entries|`/export/…`", promised))


def test_every_setting_that_security_names_exists() -> None:
    known = {variable(name) for name in Settings.model_fields}
    assert set(re.findall(r"GATEWAY_[A-Z_]+", SECURITY)) <= known


def test_the_table_of_limits_has_every_limit_with_default_and_code() -> None:
    """The last three columns are measurements, and are not compared."""
    assert [row[:4] for row in TABLE] == [
        [limit.name, limit.default, f"`{limit.code}`", limit.description] for limit in LIMITS
    ]
    for row in TABLE:
        assert all(re.fullmatch(r"[\d,.]+", figure) for figure in row[4:]), row
        assert len(row) == 7


def test_the_limits_are_those_of_the_code() -> None:
    """Settings are compared by name, derived limits with the values they are computed from."""
    default = {variable(name): field.default for name, field in Settings.model_fields.items()}
    filters, fields = default["GATEWAY_MAX_FILTER_BYTES"], default["GATEWAY_MAX_QUERY_ROOT_FIELDS"]
    derived = {
        "rows shown": default["GATEWAY_MAX_FIRST_ROWS"] * fields,
        "values shown": VALUES_PER_ROW * default["GATEWAY_MAX_FIRST_ROWS"] * fields,
        "characters of an alias": MAX_ALIAS_CHARACTERS,
        "lines of a document": MAX_LINES,
        "objects and list members in variables, at each use": filters // 10 * LONG_FILTERS,
        f"fields about the schema; a list counts {LIST_FIELDS} times": MAX_INTROSPECTION_FIELDS,
        "members of an object in variables": MAX_OBJECT_MEMBERS,
        "characters of a document with strings, comments or long numbers": (
            CHARACTERS_PER_TOKEN * default["GATEWAY_MAX_QUERY_TOKENS"]
        ),
    }
    for limit in LIMITS:
        name, _, _ = limit.name.partition(":")
        assert limit.default == f"{derived[name] if name in derived else default[name.strip('`')]:,}"
