"""Checks of the whole code: lint, types, and allowed imports between parts."""

from __future__ import annotations

import ast
import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from schema.build import DATASETS

ROOT = Path(__file__).parents[1]

# Top to bottom. A module imports from its own part and from the layers below it, never from the layers above it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("gateway.__main__",),
    ("gateway.cli",),
    ("gateway.composition",),
    ("gateway.app", "gateway.server"),
    ("schema.export",),
    ("schema.http",),
    ("schema",),
    ("gateway.observability",),
    ("gateway.scanning",),
    ("gateway.cache", "gateway.upstream", "gateway.paging", "gateway.single_flight"),
    ("gateway.http", "gateway.views"),
    ("gateway.page",),
    ("gateway.snapshots",),
    ("gateway.caller",),
    ("gateway.held_rows",),
    ("gateway.access_token",),
    ("gateway.query", "gateway.errors", "gateway.config", "gateway.sandbox", "gateway.graphiql"),
    ("gateway.clocks", "gateway.scheduling", "gateway.network"),
    ("gateway.dataset", "gateway.row_marks", "gateway.version"),
)

PARTS = [part for parts in LAYERS for part in parts]

# Imports between two parts of one layer.
SIDEWAYS: set[tuple[str, str]] = set()

# Modules that a part must never import, even if the layers allow it: our own and third-party ones.
NEVER: dict[str, tuple[str, ...]] = {
    "gateway": ("strawberry", "graphql"),
    "schema": (
        "httpx",
        "aiocache",
        "starlette.testclient",
        "gateway.app",
        "gateway.http.health",
        "gateway.server.graceful_shutdown",
        "gateway.server.listener",
    ),
    "gateway.app": ("schema",),
    "gateway.http.health": ("schema",),
    "gateway.server.listener": ("schema",),
}

MAX_FILE_LINES, MAX_FUNCTION_LINES = 260, 40

# All entries of the top level; entries that start with a dot configure tools.
TOP_LEVEL = {
    "gateway", "schema", "tests",
    # Templates for operators: manifests, rules and a dashboard that no program of this repository reads.
    "deploy",
    # One page per reader's question; README.md links each of them.
    "docs",
    "README.md", "CHANGELOG.md", "LICENSE",
    "pyproject.toml", "hatch_build.py", "requirements.lock",
    "Dockerfile", "docker-compose.yml",
}  # fmt: skip


def module_name(path: Path) -> str:
    """Return the module name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for folder in ("gateway", "schema") for path in (ROOT / folder).rglob("*.py")}


def imports(module: str) -> Iterator[str]:
    """Yield everything that a module imports, including imports in functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module} has a relative import"  # noqa: PT018
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from inner & MODULES.keys()
            if inner - MODULES.keys():
                yield node.module


GRAPH = {module: set(imports(module)) for module in MODULES}


def within(name: str, part: str) -> bool:
    """Return whether ``name`` is ``part`` or inside it."""
    return name == part or name.startswith(f"{part}.")


def part_of(module: str) -> tuple[int, str]:
    """Return the layer of a module (0 is the top) and its part: the longest prefix in LAYERS."""
    places = [(number, part) for number, parts in enumerate(LAYERS) for part in parts if within(module, part)]
    return max(places, key=lambda place: len(place[1]))


def run(*command: str) -> None:
    """Run a tool that must succeed."""
    result = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", ".")


def test_every_file_is_formatted() -> None:
    run("ruff", "format", "--check", ".")


@pytest.mark.timeout(300)
def test_all_types_hold_in_strict_mode() -> None:
    """mypy checks gateway, schema and tests with the options in pyproject.toml."""
    run("mypy")


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_files_and_functions_stay_small(path: Path) -> None:
    """See CONTRIBUTING. A file or function beyond its limit has a second subject."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_FILE_LINES
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lines = {function.name: (function.end_lineno or 0) - function.lineno + 1 for function in functions}
    assert {name: count for name, count in lines.items() if count > MAX_FUNCTION_LINES} == {}


def test_every_module_has_a_layer() -> None:
    """Add a new part to LAYERS. The package ``gateway`` itself imports nothing, so it needs no layer."""
    assert [module for module in MODULES if module != "gateway" and not any(within(module, p) for p in PARTS)] == []
    assert GRAPH["gateway"] == set()


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"gateway"}))
def test_imports_point_down(module: str) -> None:
    """An import inside a function or under TYPE_CHECKING counts like any other."""
    layer, part = part_of(module)
    wrong = []
    for name in GRAPH[module] & MODULES.keys() - {"gateway"}:
        its_layer, its_part = part_of(name)
        if its_part != part and its_layer <= layer and (part, its_part) not in SIDEWAYS:
            wrong.append(f"{module} imports {name}")
    assert wrong == []


def test_each_sideways_import_is_needed() -> None:
    """Delete an exception from SIDEWAYS when no module needs it."""
    pairs = {(part_of(a)[1], part_of(b)[1]) for a, bs in GRAPH.items() if a != "gateway" for b in bs & MODULES.keys()}
    assert SIDEWAYS - pairs == set()


def test_no_import_cycles_exist() -> None:
    """The message of a failure names the cycle."""
    order = TopologicalSorter({module: names & MODULES.keys() for module, names in GRAPH.items()}).static_order()
    assert set(order) == MODULES.keys()


@pytest.mark.parametrize("part", NEVER)
def test_a_part_imports_no_forbidden_module(part: str) -> None:
    """The parts can then be read, tested and replaced separately."""
    wrong = [
        f"{module} imports {name}"
        for module, names in GRAPH.items()
        if within(module, part)
        for name in names
        for never in NEVER[part]
        if within(name, never)
    ]
    assert wrong == []


def test_the_sandbox_shares_no_code_with_the_gateway() -> None:
    """If both used the same code, tests of the gateway against the sandbox could not detect its faults."""
    own = [module for module in MODULES if within(module, "gateway.sandbox")]
    shared = [
        f"{module} imports {name}"
        for module in own
        for name in GRAPH[module]
        if name.split(".")[0] in ("gateway", "schema") and not within(name, "gateway.sandbox")
    ]
    assert own
    assert shared == []


def test_every_file_of_a_dataset_is_served() -> None:
    """A file in schema/datasets that DATASETS does not list would be dead code."""
    files = sorted((ROOT / "schema" / "datasets").glob("[!_]*.py"))
    served = [id(field) for _, field in DATASETS]
    assert files
    assert [file.name for file in files if id(importlib.import_module(module_name(file)).FIELD) not in served] == []


def test_the_top_level_has_only_the_listed_entries() -> None:
    """Committed files only. Each new entry is one more thing for newcomers to understand."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        [git, "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    entries = {path.split("/")[0] for path in listing.split("\0") if path}
    assert {entry for entry in entries if not entry.startswith(".")} == TOP_LEVEL
