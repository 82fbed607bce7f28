"""Client libraries for Python, run against a gateway with the code of docs/clients.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.python_packages import environment
from tests.clients.whole_report import ARGUMENTS, DATASETS, check_codes, check_pages, turn_to

if TYPE_CHECKING:
    from tests.conftest import Gateway, StartGateway, Upstream

HERE = Path(__file__).parent
SCHEMA = HERE.parents[1] / "schema" / "schema.graphql"
PAGE = HERE.parents[1] / "docs" / "clients.md"

# The first test of each library waits for pip.
pytestmark = pytest.mark.timeout(300)

# For each library: the commands to run first.
CLIENTS: dict[str, list[str]] = {
    "gql": [],
    "sgqlc": [
        "python -m sgqlc.introspection http://127.0.0.1:8000/graphql schema.json",
        "sgqlc-codegen schema schema.json report.py",
    ],
    "ariadne": ["ariadne-codegen"],
}


class Project:
    """A folder with a client's program, the committed schema, the query, and the client's environment."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._programs = environment(HERE / name / "requirements.txt")
        shutil.copytree(HERE / name, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(SCHEMA, folder)
        shutil.copy(HERE / "rows.graphql", folder)

    def run(self, *command: str) -> str:
        """Return the output of a command that must succeed. A warning of a library is an error."""
        variables = {
            "PATH": os.pathsep.join([str(self._programs), os.environ["PATH"]]),
            "NO_PROXY": "127.0.0.1",
            "PYTHONWARNINGS": "error",
        }
        done = subprocess.run(
            command, cwd=self.folder, env=variables, capture_output=True, text=True, timeout=100, check=False
        )
        sys.stderr.write(done.stderr)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3_000:]}{done.stderr[-3_000:]}"
        return done.stdout


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_a_client_gets_every_row_once_and_in_order_in_both_directions(
    tmp_path: Path, start_gateway: StartGateway, upstream: Upstream, name: str, dataset: str
) -> None:
    """Thirteen pages in each direction read the report once. The program also gets the codes of two errors."""
    project, gateway = Project(tmp_path, name), start_gateway()
    turn_to(dataset, tmp_path)
    for command in CLIENTS[name]:
        project.run(*command.replace("http://127.0.0.1:8000", gateway.url).split())
    token = f"contoso+as=client-{name}-{dataset}"
    pages = json.loads(project.run("python", "rows.py", f"{gateway.url}/graphql", token, *ARGUMENTS))
    check_pages(pages, upstream, token, dataset)
    check_codes(pages)


def test_the_page_shows_the_commands_that_are_tested() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [command for commands in CLIENTS.values() for command in commands if f"`{command}`" not in text] == []


def test_ariadne_codegen_generates_the_same_client_from_the_gateway(tmp_path: Path, gateway: Gateway) -> None:
    """With remote_schema_url instead of schema_path. The files differ only in descriptions and their source."""
    project = Project(tmp_path, "ariadne")
    project.run("ariadne-codegen")
    shutil.move(project.folder / "report", project.folder / "expected")
    settings = (project.folder / "pyproject.toml").read_text(encoding="utf-8")
    remote = re.sub("^schema_path.*$", f'remote_schema_url = "{gateway.url}/graphql"', settings, flags=re.MULTILINE)
    assert remote != settings
    (project.folder / "pyproject.toml").write_text(remote)
    (project.folder / "schema.graphql").unlink()
    project.run("ariadne-codegen")
    for name in ("client.py", "rows.py"):
        texts = [(project.folder / folder / name).read_text(encoding="utf-8") for folder in ("expected", "report")]
        assert texts[0] == texts[1], name


@pytest.mark.parametrize("name", CLIENTS)
def test_the_pins_are_exact_and_name_no_package_index(name: str) -> None:
    """Each machine can use its own index."""
    lines = (HERE / name / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", line)] == []
