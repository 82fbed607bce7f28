"""README.md and docs/*.md are correct: examples return the results shown, tables are complete, and links resolve."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.routing import Route

from gateway import errors
from gateway.cli.main import commands
from gateway.composition import build
from gateway.config.environment import read_settings
from gateway.graphiql.assets import load_examples
from tests.deploy.processes import clean_environment
from tests.docs.readme import FENCE, PAGES, README, TABLES, Newcomer, newcomer, renewed

ROOT = README.parent
TEXT = README.read_text(encoding="utf-8")
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
ALL = "\n".join(TEXTS.values())
LINKED = [*PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / ".github").glob("*.md"))]


@pytest.fixture(scope="module")
def gateway() -> Iterator[Newcomer]:
    """A gateway with no configuration, as a newcomer starts it."""
    with newcomer() as started:
        yield started


def masked(text: str) -> str:
    """Return ``text`` without cursors, whose format is not promised."""
    return re.sub(r'("(?:endCursor|startCursor|after|before)": )"[^"]+"', r'\1"…"', text)


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table in the section ``heading`` of any page, without the header."""
    assert ALL.count(f"\n## {heading}\n") == 1
    section = re.split(r"^##? ", ALL.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def names(cells: list[list[str]]) -> list[str]:
    """Return the names in code style in the first column."""
    return [name for row in cells for name in re.findall(r"`([^`]+)`", row[0])]


def codes(kind: type[errors.GatewayError]) -> set[str]:
    """Return the error codes of a class and of its subclasses."""
    own = {kind.code} if "code" in vars(kind) else set()
    return own.union(*(codes(inner) for inner in kind.__subclasses__()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_example_and_every_table_is_up_to_date(page: Path, gateway: Newcomer) -> None:
    """Run each example against the program that README's first command starts."""
    if shutil.which("curl", path=clean_environment({})["PATH"]) is None and not os.environ.get("CI"):
        pytest.skip("no curl on this machine")
    text = TEXTS[page]
    old, new = (masked(text).splitlines(keepends=True) for text in (text, renewed(text, gateway)))
    changes = "".join(difflib.unified_diff(old, new, page.name, "expected"))
    assert not changes, f"{changes}\nRegenerate it with: python -m tests.docs.readme"


def test_the_cookbook_counts_the_examples_of_graphiql() -> None:
    tabs = load_examples(ROOT / "gateway" / "graphiql" / "examples")
    assert len(tabs) == 11
    assert "In GraphiQL, eleven tabs show an example each." in TEXTS[ROOT / "docs" / "cookbook.md"]


def test_every_generated_table_is_on_one_page() -> None:
    assert sorted(re.findall(r"^<!-- table: (\w+) -->$", ALL, re.MULTILINE)) == sorted(TABLES)


def test_every_kind_of_block_is_checked() -> None:
    """Only shell commands that need an account or a container are not run."""
    kinds = {kind for kind, note, _ in FENCE.findall(ALL) if "/" not in note}
    assert kinds == {"sh", "text", "console", "graphql", "json"}


def test_code_in_the_documents_is_code_that_the_tests_run() -> None:
    """It is in tests/clients, whose tests read whole reports, and elsewhere with other tests."""
    shown = {note for _, note, _ in FENCE.findall(ALL) if "/" in note}
    assert shown == {
        "tests/gateway/cli/token/unattended.py",
        # Run by tests/deploy/test_proxies.py; the Ingress is compared with the other manifests.
        "deploy/nginx/gateway.conf",
        "deploy/nginx/prefix.conf",
        "deploy/haproxy/haproxy.cfg",
        "deploy/kubernetes/ingress.example.yaml",
        *(
            f"tests/clients/{name}"
            for name in (
                "rows.graphql",
                "apollo.mjs",
                "urql.mjs",
                "relay.config.json",
                "relay/Deployments.js",
                "codegen.yml",
                "typed.ts",
                "request.ts",
                "gql/rows.py",
                "sgqlc/rows.py",
                "ariadne/pyproject.toml",
                "ariadne/rows.py",
                "mcp/servers.json",
                "mcp/manifest.json",
            )
        ),
    }


def test_readme_shows_both_commands_near_the_top() -> None:
    """The command to run is in the first lines, the test command after the first response; both are complete."""
    setup = "python3 -m venv .venv && .venv/bin/pip install -c requirements.lock"
    run, test = (TEXT.index(f"\n{command}\n") for command in (
        f"{setup} . && .venv/bin/gateway", f"{setup} -e '.[test]' && .venv/bin/pytest",
    ))  # fmt: skip
    assert run < TEXT.index('{"data":') < test
    assert TEXT.count("\n", 0, run) < 25
    assert TEXT.count("\n", 0, test) < 60


def test_readme_is_short_and_links_every_page() -> None:
    """The README has at most 200 lines, and links every page."""
    assert len(TEXT.splitlines()) <= 200
    linked = set(re.findall(r"\]\((docs/[^)#]+)", TEXT))
    assert linked == {f"docs/{page.name}" for page in PAGES if page != README}


def test_readme_shows_the_first_output_by_line_20() -> None:
    assert TEXT[: TEXT.index('{"data":')].count("\n") < 20
    assert TEXT[: TEXT.index("```text banner")].count("\n") < 15


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """.ci/run reads the command from README.md; its pattern must match exactly one line."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [pattern] = re.findall(r"grep -E '(.+)' README\.md", script)
    assert len(re.findall(pattern, TEXT, re.MULTILINE)) == 1


def test_the_screenshot_shows_a_whole_screen() -> None:
    """A PNG of 1280 by 800 pixels."""
    picture = (ROOT / ".github" / "screenshot.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (1280, 800)


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.name))
def test_every_link_leads_to_a_file_and_heading_that_exist(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text(encoding="utf-8")):
        file = page.parent / target if target else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), f"{target}#{anchor}"


def test_all_documents_state_the_same_test_duration() -> None:
    """All pages state the same figure."""
    contributing = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "tests take about ten minutes on two cores" in TEXT
    assert "| `.venv/bin/pytest` | everything | about ten minutes on two cores |" in contributing


def test_every_command_is_documented() -> None:
    written = {name.removeprefix("gateway").strip() or "gateway" for name in names(table("Commands"))}
    assert set(commands.commands) == {name for name in written if not name.startswith("-")} - {"gateway"}


def test_every_endpoint_is_documented() -> None:
    """Files of the GraphiQL page are not endpoints to document."""
    routes = [route for route in build(read_settings({})).routes if isinstance(route, Route)]
    paths = {route.path for route in routes if not route.path.startswith("/graphiql")}
    assert set(names(table("Endpoints"))) == paths


def test_every_error_code_is_documented_once() -> None:
    written = names(table("Errors"))
    assert len(written) == len(set(written))
    assert set(written) == codes(errors.GatewayError)


def test_the_layout_shows_every_folder() -> None:
    """The tree in architecture.md has every folder of both packages, and every module in it exists."""
    [plan] = [body for kind, note, body in FENCE.findall(ALL) if (kind, note) == ("text", "layout")]
    drawn: set[str] = set()
    package = ""
    for line in plan.splitlines():
        paths = re.findall(r"[\w/]+(?:/(?=\s|$)|\.py\b|\.graphql\b)", line[:26])
        if not line.startswith(" "):
            [package] = paths
        else:
            drawn |= {f"{package}{path}" for path in paths}
    assert [path for path in sorted(drawn) if not (ROOT / path).exists()] == []
    top = [path for name in ("gateway", "schema") for path in (ROOT / name).iterdir()]
    folders = {f"{path.parent.name}/{path.name}/" for path in top if path.is_dir() and path.name != "__pycache__"}
    modules = {f"{path.parent.name}/{path.name}" for path in top if path.suffix == ".py" and path.stem != "__init__"}
    assert folders | modules <= drawn
