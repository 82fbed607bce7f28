"""CONTRIBUTING.md and the issue forms name only commands, files, terms and options that exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.deploy.processes import PROGRAMS
from tests.docs.readme import README
from tests.test_code_quality import MODULES

ROOT = README.parent
GITHUB = ROOT / ".github"
TEXT = (GITHUB / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# The libraries that users install: those of every installation, and those of the extras for users.
LIBRARIES = [
    Requirement(text).name
    for extra, texts in {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}.items()
    for text in texts
    if extra != "test"
]
BLOCKS = re.findall(r"^ *```sh\n(.*?)^ *```$", TEXT, re.MULTILINE | re.DOTALL)
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```$", "", TEXT, flags=re.MULTILINE | re.DOTALL))
LINES = [line.strip() for block in BLOCKS for line in block.splitlines()]
RUN = (".venv/", ".ci/")
COMMANDS = dict.fromkeys(text for text in [*LINES, *SPANS] if text.startswith(RUN) or "=" in text.split()[0])
NAMED = dict.fromkeys(
    span for span in SPANS if re.fullmatch(r"[\w.-]*(?:/[\w.-]+)*/?", span) and re.search("[./]", span)
)

# Created by following the page, and not in a clone.
MADE = {"gateway/graphiql/vendor/"}
# Placeholders that readers replace.
STAND_IN = "VERSION"


def words(command: str) -> tuple[dict[str, str], str, list[str]]:
    """Return the variables, the program and the arguments of a command, without redirections."""
    parts = shlex.split(command.partition(" > ")[0])
    split = next(place for place, part in enumerate(parts) if not re.match(r"\w+=", part))
    return dict(part.split("=", 1) for part in parts[:split]), parts[split], parts[split + 1 :]


def test_the_set_up_matches_the_readme() -> None:
    """There is one command: the README's test command without the tests."""
    [command] = [line for line in LINES if "venv .venv" in line]
    assert f"\n{command} && .venv/bin/pytest\n" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_run(command: str) -> None:
    """Programs are installed, files and modules exist, markers are declared, and variables are read."""
    variables, program, arguments = words(command)
    assert (PROGRAMS / Path(program).name).exists() if program.startswith(".venv/") else (ROOT / program).is_file()
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert all(f'os.environ.get("{name}"' in tests for name in variables)
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if before == "-m" and program.endswith("/python"):
            assert importlib.util.find_spec(argument), argument
        elif before == "-m":
            assert re.search(
                rf'^markers = \["{argument.split()[-1]}:', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
            )
        elif argument.startswith("tests/"):
            assert (ROOT / argument).exists(), argument


@pytest.mark.parametrize("name", sorted(NAMED.keys() - COMMANDS.keys() - set(LIBRARIES)))
def test_every_file_that_is_named_exists(name: str) -> None:
    assert name in MADE or (ROOT / name).exists()


def test_every_link_leads_somewhere() -> None:
    headings = {name.lower().replace(" ", "-") for name in re.findall(r"^## (.+)$", TEXT, re.MULTILINE)}
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert links
    for link in links:
        target, _, part = link.partition("#")
        assert (GITHUB / target).exists(), link
        assert target or part in headings, link


def test_every_dependency_is_justified_in_one_line() -> None:
    """The table has the dependencies in the order of pyproject.toml, each with its use and an alternative."""
    section = TEXT.partition("\n## Dependencies\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == LIBRARIES
    assert [row for row in rows if len(row) != 3 or not all(map(str.strip, row))] == []
    extras = {extra for extra in PROJECT["optional-dependencies"] if extra != "test"}
    assert set(re.findall(r"\(extra `(\w+)`\)", section)) == extras


def test_every_term_of_the_vocabulary_exists_in_the_code() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in MODULES.values())
    named = {span for span in SPANS if re.fullmatch(r"(?:[A-Z][a-z]+)+", span) and span != STAND_IN}
    assert "PageQuery" in named
    assert [name for name in named if not re.search(rf"^(?:class )?{name}\b(?: =|:|\()", code, re.MULTILINE)] == []


@pytest.mark.parametrize("form", sorted((GITHUB / "ISSUE_TEMPLATE").iterdir()), ids=lambda form: str(form.name))
def test_github_can_show_the_form(form: Path) -> None:
    command = [str(PROGRAMS / "check-jsonschema"), "--builtin-schema", "vendor.github-issue-forms", str(form)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_issue_form_warns_about_secrets() -> None:
    """Issues are public."""
    for form in (GITHUB / "ISSUE_TEMPLATE").iterdir():
        text = form.read_text(encoding="utf-8")
        assert "no access token" in text
        assert text.rstrip().endswith("required: true")
