"""README.md is true: its examples give what it says, and its tables leave nothing out."""

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
from gateway.commands import commands
from gateway.settings import read_settings
from gateway.wiring import build
from tests.deploy.processes import clean_environment
from tests.docs.readme import FENCE, README, Newcomer, newcomer, renewed

ROOT = README.parent
TEXT = README.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def gateway() -> Iterator[Newcomer]:
    """A gateway with no configuration, as a newcomer starts it."""
    with newcomer() as started:
        yield started


def masked(text: str) -> str:
    """``text`` without the cursors' characters, which are no promise."""
    return re.sub(r'("(?:endCursor|startCursor|after|before)": )"[^"]+"', r'\1"…"', text)


def table(heading: str) -> list[list[str]]:
    """The cells of the table in the section ``heading``, without its head."""
    section = re.split(r"^## ", TEXT.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def names(cells: list[list[str]]) -> list[str]:
    """What stands in code style in the first column."""
    return [name for row in cells for name in re.findall(r"`([^`]+)`", row[0])]


def codes(kind: type[errors.GatewayError]) -> set[str]:
    """The error codes of a class and all below it."""
    own = {kind.code} if "code" in vars(kind) else set()
    return own.union(*(codes(inner) for inner in kind.__subclasses__()))


def test_every_example_gives_the_answer_that_is_written_and_every_table_is_up_to_date(gateway: Newcomer) -> None:
    """Run against the very program that the first command starts."""
    if shutil.which("curl", path=clean_environment({})["PATH"]) is None and not os.environ.get("CI"):
        pytest.skip("no curl on this machine")
    old, new = (masked(text).splitlines(keepends=True) for text in (TEXT, renewed(TEXT, gateway)))
    changes = "".join(difflib.unified_diff(old, new, "README.md", "as it must be"))
    assert not changes, f"{changes}\nRenew it with: python -m tests.docs.readme"


def test_no_kind_of_block_goes_unchecked() -> None:
    """Shell commands that need an account or a container are the exception."""
    kinds = {kind for kind, note, _ in FENCE.findall(TEXT) if "/" not in note}
    assert kinds == {"sh", "text", "console", "graphql", "json"}


def test_code_is_code_that_the_tests_run() -> None:
    """Files of tests/clients, where each walks all rows of a report, and the script that signs in unattended."""
    shown = {note for _, note, _ in FENCE.findall(TEXT) if "/" in note}
    assert shown == {
        "tests/gateway/token/unattended.py",
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
            )
        ),
    }


def test_a_newcomer_sees_both_commands_soon() -> None:
    """The one that runs it in the first lines, the one that tests it behind the first answer, both whole."""
    setup = "python3 -m venv .venv && .venv/bin/pip install -c requirements.lock"
    run, test = (TEXT.index(f"\n{command}\n") for command in (
        f"{setup} . && .venv/bin/gateway", f"{setup} -e '.[test]' && .venv/bin/pytest",
    ))  # fmt: skip
    assert run < TEXT.index('{"data":') < test
    assert TEXT.count("\n", 0, run) < 25
    assert TEXT.count("\n", 0, test) < 60


def test_every_heading_in_the_contents_exists() -> None:
    headings = {
        re.sub(r"[^\w -]", "", name).lower().replace(" ", "-") for name in re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings
    assert headings <= set(re.findall(r"\]\(#([^)]+)\)", TEXT))


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """It takes it from this file, so that the two cannot differ; the pattern must find it and nothing else."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [pattern] = re.findall(r"grep -E '(.+)' README\.md", script)
    assert len(re.findall(pattern, TEXT, re.MULTILINE)) == 1


def test_the_picture_is_one_of_a_whole_screen() -> None:
    """PNG, 1280 by 800."""
    picture = (ROOT / ".github" / "screenshot.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (1280, 800)


def test_every_link_to_a_file_leads_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_command_is_told() -> None:
    written = {name.removeprefix("gateway").strip() or "gateway" for name in names(table("Commands"))}
    assert set(commands.commands) == {name for name in written if not name.startswith("-")} - {"gateway"}


def test_every_endpoint_is_told() -> None:
    """Files of the GraphiQL page are its own business."""
    routes = [route for route in build(read_settings({})).routes if isinstance(route, Route)]
    paths = {route.path for route in routes if not route.path.startswith("/graphiql")}
    assert set(names(table("Endpoints"))) == paths


def test_every_error_code_is_told_once() -> None:
    written = names(table("Errors"))
    assert len(written) == len(set(written))
    assert set(written) == codes(errors.GatewayError)


def test_the_floor_plan_shows_every_part() -> None:
    """Modules and packages at the top of both packages, no more and no fewer."""
    [plan] = [body for kind, note, body in FENCE.findall(TEXT) if (kind, note) == ("text", "floors")]
    drawn = set(re.findall(r"\b\w+(?:\.(?:py|graphql)\b|/)", plan)) - {"gateway/", "schema/"}
    found = {_drawn(path) for folder in ("gateway", "schema") for path in (ROOT / folder).iterdir()}
    assert drawn == found - {"__init__.py", "__pycache__/", "py.typed"}


def _drawn(path: Path) -> str:
    return f"{path.name}/" if path.is_dir() else path.name
