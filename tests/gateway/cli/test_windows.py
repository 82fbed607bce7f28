"""The commands work without what Windows lacks. Real Windows may differ; see the limits in windows.py."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.cli.main import commands
from schema.build import sdl
from tests.gateway.running import START_SECONDS, Running, environment, eventually, kill

PROGRAM = [sys.executable, "-m", "tests.gateway.cli.windows"]
# The code page of Western Europe, and warnings for files that are opened in it.
VARIABLES = {"PYTHONIOENCODING": "cp1252", "PYTHONWARNDEFAULTENCODING": "1"}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds open files by /proc")


def run(*arguments: str, folder: Path | None = None, token: str = "contoso") -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    variables = environment(**{**VARIABLES, "PARTNER_CENTER_TOKEN": token})
    return subprocess.run(
        [*PROGRAM, *arguments], cwd=folder, env=variables, capture_output=True, text=True, timeout=100, check=False
    )


def succeed(*arguments: str, folder: Path | None = None, token: str = "contoso") -> str:
    """Return the output of a command that must succeed."""
    done = run(*arguments, folder=folder, token=token)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def served() -> Iterator[Running]:
    """A gateway on a free port."""
    running = Running(("--port", "0"), VARIABLES, PROGRAM)
    yield running
    kill(running.process)


def test_every_module_can_be_imported_and_every_command_shows_its_help() -> None:
    shown = succeed("import")
    assert all(f"Usage: gateway {name} " in shown for name in commands.commands)


PROBE = """
import os, signal, sys
from tests.gateway.cli import windows
windows.become_windows()
assert not hasattr(os, "O_NOFOLLOW") and not hasattr(signal, "SIGKILL") and sys.platform == "win32"
with open(sys.argv[1], "w"):
    try:
        os.unlink(sys.argv[1])
    except PermissionError:
        import fcntl
"""


def test_the_simulation_lacks_what_windows_lacks(tmp_path: Path) -> None:
    """Otherwise the tests here would show nothing."""
    command = [sys.executable, "-c", PROBE, str(tmp_path / "opened")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert "import of fcntl halted" in done.stderr


def test_the_schema_is_the_same() -> None:
    assert succeed("schema") == sdl()


def test_an_export_is_written_resumed_and_replaces_an_older_one(tmp_path: Path) -> None:
    """The partial file is locked, closed before it is moved, and nothing else stays in the folder."""
    arguments = ("export", "--output", "rows.csv", "--group-by", "SERVICE_NAME,CHANNEL")
    succeed(*arguments, folder=tmp_path)
    rows = (tmp_path / "rows.csv").read_bytes()
    assert rows.startswith(b"serviceCode,")
    assert rows.count(b"\r\n") > 2
    (tmp_path / "rows.csv").write_text("older and longer\n" * 1_000, encoding="utf-8")
    succeed(*arguments, folder=tmp_path)
    assert (tmp_path / "rows.csv").read_bytes() == rows
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    assert run("export", "--output", "rows.csv", "--filter", '{"no": 1}', folder=tmp_path).returncode != 0
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_parquet_export_and_standard_output_work(tmp_path: Path) -> None:
    succeed("export", "--output", "rows.parquet", "--group-by", "CHANNEL", folder=tmp_path)
    assert (tmp_path / "rows.parquet").read_bytes()[:4] == b"PAR1"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]
    assert succeed("export", "--group-by", "CHANNEL").startswith("serviceCode,")


def test_a_killed_export_can_be_resumed(tmp_path: Path) -> None:
    """Its lock ends with the process."""
    arguments = ("export", "--output", "rows.csv")
    token = "fabrikam+rows=40000"
    running = Running(
        arguments, {**VARIABLES, "PARTNER_CENTER_TOKEN": f"{token}+slow-page=30000:60"}, PROGRAM, tmp_path
    )
    try:
        eventually((tmp_path / "rows.csv.partial.json").exists, START_SECONDS)
        other = run(*arguments, "--resume", folder=tmp_path, token=token)
        assert "Another export is writing" in other.stderr
    finally:
        kill(running.process)
    succeed(*arguments, "--resume", folder=tmp_path, token=token)
    succeed("export", "--output", "whole.csv", folder=tmp_path, token=token)
    assert (tmp_path / "rows.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_one_worker_serves_requests_and_ends(served: Running) -> None:
    with httpx.Client(base_url=served.url, headers={"Authorization": "Bearer contoso"}, trust_env=False) as client:
        query = {"query": "{ licenseDeployments(first: 1) { totalCount } }"}
        assert client.post("/graphql", json=query).json()["data"]["licenseDeployments"]["totalCount"] == 12_000
        assert client.get("/readyz").status_code == 200
        assert "gateway_requests_total" in client.get("/metrics").text
        assert client.get("/graphql", headers={"Accept": "text/html"}).status_code == 200
    code, said, _ = served.end(signal.SIGTERM)
    assert code == 0, said
    assert "Traceback" not in said


def test_several_workers_are_refused_with_advice() -> None:
    done = run("serve", "--port", "0", "--workers", "2")
    assert done.returncode == 1
    assert "cannot run several workers. Set GATEWAY_WORKERS to 1" in done.stderr
