"""A gateway whose caller has closed standard streams serves and ends as usual."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import httpx
import pytest

from tests.gateway.running import ROOT, START_SECONDS, environment
from tests.ports import free_port

CLOSED = ["2>&-", "<&- >&-", "<&- >&- 2>&-"]


def shell(redirections: str, *arguments: str) -> list[str]:
    """Return a shell's command that runs the gateway with closed streams."""
    return ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", "gateway", *arguments]


def answers(url: str) -> bool:
    """Return whether the gateway is ready."""
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("redirections", CLOSED)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_gateway_serves_and_ends_without_standard_streams(redirections: str, workers: str) -> None:
    port = free_port()
    command = shell(redirections, "--port", str(port), "--workers", workers)
    process = subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, start_new_session=True)
    try:
        give_up = time.monotonic() + START_SECONDS
        while not answers(f"http://127.0.0.1:{port}"):
            assert process.poll() is None, process.returncode
            assert time.monotonic() < give_up
            time.sleep(0.05)
        for _ in range(5):
            response = httpx.get(f"http://127.0.0.1:{port}/graphql?query={{__typename}}", trust_env=False)
            assert response.json() == {"data": {"__typename": "Query"}}
        process.send_signal(signal.SIGTERM)
        _, output = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert b"Traceback" not in output


@pytest.mark.parametrize("redirections", CLOSED)
def test_a_failure_to_start_without_standard_streams_has_an_exit_code(redirections: str) -> None:
    """The message is lost if standard error is closed; the exit code is not."""
    command = shell(redirections, "--port", "eight")
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, check=False, timeout=60)
    assert done.returncode == 2
    assert (b"eight" in done.stderr) is ("2>&-" not in redirections)


@pytest.mark.parametrize("redirections", CLOSED)
def test_a_command_without_standard_streams_succeeds(redirections: str) -> None:
    command = shell(redirections, "settings")
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
