"""Regenerate README.md and docs/*.md: run every example, and rebuild every generated table.

A fenced block ``graphql TOKEN`` is a query. A block ``json variables`` below it holds its variables, and the next block
``json`` its result. ``after`` and ``before`` in variables are cursors from the previous result. A block
``graphql NAME.graphql`` is a file for the commands below it. A block ``console`` holds a command, including a
here-document that ends with QUERY, and its output. A block whose note is a path holds that file, or the part of it
between the lines ``README: begin`` and ``README: end``. Comments mark the place of each table.

``python -m tests.docs.readme`` rewrites the files.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from gateway.config.library_variables import LIBRARY_VARIABLES
from gateway.config.settings import Settings, variable
from gateway.sandbox.accounts import ACCOUNTS
from tests.deploy.processes import clean_environment, running
from tests.ports import free_port

README = Path(__file__).parents[2] / "README.md"
PAGES = [README, *sorted((README.parent / "docs").glob("*.md"))]
EXCERPT = re.compile(r"README: begin\n(.*?\n)\n*[/# ]*README: end$", re.MULTILINE | re.DOTALL)
WRITTEN_URL = "http://127.0.0.1:8000"
FENCE = re.compile(r"^```(\w+) ?(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# JSON that fits on a line of this length is not broken (our choice: GitHub shows about this much without scrolling).
ANSWER_WIDTH_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A gateway started as the README describes: its URL, its startup message, and a folder for the user's files."""

    url: str
    banner: str
    folder: Path

    def ask(self, query: str, token: str, variables: Any) -> Any:
        """Return the whole response to a query."""
        headers = {"Authorization": f"Bearer {token}"}
        body = {"query": query, "variables": variables}
        return httpx.post(f"{self.url}/graphql", json=body, headers=headers, trust_env=False).json()

    def curl(self, command: str) -> str:
        """Run a curl or gateway command of the README; return its output."""
        # The tests' programs may be installed elsewhere than in the README.
        command = command.replace(WRITTEN_URL, self.url).replace(".venv/bin/", "")
        done = subprocess.run(
            ["bash", "-c", command],
            env=clean_environment({}),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout if done.stdout.endswith("\n") else done.stdout + "\n"


# A newcomer starts it in a terminal, where this is the default.
TEXT_LOG = {"GATEWAY_LOG_FORMAT": "text"}


@contextmanager
def newcomer() -> Iterator[Newcomer]:
    """Run `gateway` without configuration on a free port."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with running(["gateway", "--port", str(port)], TEXT_LOG, Path(folder), log) as process:
            deadline = time.monotonic() + 60
            while "Ctrl-C" not in log.read_text(encoding="utf-8"):
                assert process.poll() is None and time.monotonic() < deadline, "the gateway did not start"  # noqa: PT018
                time.sleep(0.02)  # another process, so no fake clock is possible
            banner = log.read_text(encoding="utf-8").split("Ctrl-C.")[0] + "Ctrl-C."
            yield Newcomer(url, banner.strip("\n").replace(url, WRITTEN_URL) + "\n", Path(folder))


def pretty(value: Any, indent: str = "", taken: int = 0) -> str:
    """Return JSON with line breaks only if a line would be too long; a row stays on one line."""
    line = json.dumps(value, ensure_ascii=False)
    inners = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    is_row = isinstance(value, dict) and not any(isinstance(inner, dict | list) for inner in inners)
    if not inners or is_row or len(indent) + taken + len(line) <= ANSWER_WIDTH_CHARACTERS:
        return line
    inner = indent + "  "
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + pretty(item, inner) for item in value) + f"\n{indent}]"
    keys = {key: f"{json.dumps(key)}: " for key in value}
    items = [inner + keys[key] + pretty(item, inner, len(keys[key])) for key, item in value.items()]
    return "{\n" + ",\n".join(items) + f"\n{indent}}}"


def excerpt(path: Path) -> str:
    """Return the part of a file that the README shows."""
    text = path.read_text(encoding="utf-8")
    marked = EXCERPT.search(text)
    return marked[1] if marked else text


def _members(value: Any, name: str) -> Iterator[Any]:
    """Yield all members called ``name`` in a JSON value."""
    if isinstance(value, dict):
        yield from (member for key, member in value.items() if key == name)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _members(inner, name)


class Examples:
    """Regenerates the fenced blocks, in the order of the file."""

    def __init__(self, gateway: Newcomer) -> None:
        self._gateway = gateway
        self._question = ("", "")
        self._variables: Any = None
        self._answer: Any = None

    def renew(self, fence: re.Match[str]) -> str:
        """Return the block with its current content."""
        kind, note, body = fence.groups()
        if "/" in note:
            body = excerpt(README.parent / note)
        elif kind == "graphql" and note.endswith(".graphql"):
            (self._gateway.folder / note).write_text(body, encoding="utf-8")
        elif kind == "graphql":
            self._question, self._variables = (body, note), None
        elif kind == "json" and note == "variables":
            self._variables = json.loads(body)
            for argument, cursor in (("after", "endCursor"), ("before", "startCursor")):
                if argument in self._variables:
                    self._variables[argument] = next(_members(self._answer, cursor))
            body = pretty(self._variables) + "\n"
        elif kind == "json":
            query, token = self._question
            self._answer = self._gateway.ask(query, token, self._variables)
            body = pretty(self._answer) + "\n"
        elif kind == "console":
            command = re.match(r"\$ ((?:.*\\\n)*.*\n(?:(?<=<<'QUERY'\n)(?:.*\n)*?QUERY\n)?)", body)
            assert command, body
            body = command[0] + self._gateway.curl(command[1])
        elif kind == "text" and note == "banner":
            body = self._gateway.banner
        return f"```{kind}{f' {note}' if note else ''}\n{body}```"


def settings_table() -> str:
    """Return the table of all settings."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = ("on" if default else "off") if isinstance(default, bool) else str(default)
        lines.append(
            f"| `{variable(name)}` | {f'`{shown}`' if default not in ((), None) else 'none'} | {field.description} |"
        )
    return "\n".join(lines)


def accounts_table() -> str:
    """Return the table of the sandbox's tokens."""
    lines = ["| token | rows | latest processed date |", "|---|---|---|"]
    lines += [f"| `{one.name}` | {one.row_count:,} | {one.latest:%Y-%m-%d} |" for one in ACCOUNTS.values()]
    return "\n".join(lines)


def library_variables_table() -> str:
    """Return the table of the libraries' environment variables."""
    lines = ["| variable | read by | here | effect |", "|---|---|---|---|"]
    lines += [
        f"| {' '.join(f'`{name}`' for name in one.names)} | {one.library} | {one.handling} | {one.effect} |"
        for one in LIBRARY_VARIABLES
    ]
    return "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "accounts": accounts_table,
    "library_variables": library_variables_table,
}


def renewed(text: str, gateway: Newcomer) -> str:
    """Return a page's ``text`` with its examples and tables up to date."""
    text = FENCE.sub(Examples(gateway).renew, text)
    for name in re.findall(r"^<!-- table: (\w+) -->$", text, re.MULTILINE):
        before, mark, rest = text.partition(f"<!-- table: {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        assert end, f"the table {name} has no end"
        text = f"{before}{mark}{TABLES[name]()}\n{end}{after}"
    return text


if __name__ == "__main__":
    with newcomer() as started:
        for page in PAGES:
            page.write_text(renewed(page.read_text(encoding="utf-8"), started), encoding="utf-8")
