"""Workers end with their supervisor, and leave the port to the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.gateway.running import QUIET, ROOT, Running, eventually, kill
from tests.ports import free_port

SLOW = {"query": "{ licenseDeployments(first: 5) { totalCount } }"}


@contextmanager
def two_workers(port: int) -> Iterator[Running]:
    """Run a gateway with two workers on ``port``."""
    running = Running(("--port", str(port), "--workers", "2"), QUIET)
    try:
        assert httpx.get(f"{running.url}/healthz", trust_env=False).status_code == 200
        yield running
    finally:
        kill(running.process)


def processes_of(session: int) -> list[int]:
    """Return the processes of a session, except ended ones whose parent has not collected them."""
    listing = subprocess.run(["ps", "-eo", "pid=,sid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return [int(pid) for pid, sid, state in rows if int(sid) == session and not state.startswith("Z")]


def test_workers_end_when_their_supervisor_is_killed_and_leave_the_port() -> None:
    port = free_port()
    with two_workers(port) as first:
        assert len(processes_of(first.process.pid)) >= 3
        first.process.kill()
        first.process.wait()
        eventually(lambda: processes_of(first.process.pid) == [])
        with two_workers(port) as second:
            assert second.process.poll() is None


def test_workers_that_start_slowly_are_not_replaced(tmp_path: Path) -> None:
    """Replacing them would take even longer. uvicorn's own limit is five seconds."""
    slow = 'import sys, time\nif any("spawn_main" in text for text in sys.orig_argv):\n    time.sleep(7)\n'
    (tmp_path / "sitecustomize.py").write_text(slow)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    running = Running(("--port", "0", "--workers", "2"), {"GATEWAY_LOG_LEVEL": "info", "PYTHONPATH": path})
    try:
        assert httpx.get(f"{running.url}/healthz", timeout=30, trust_env=False).status_code == 200
        workers = [pid for pid in processes_of(running.process.pid) if pid != running.process.pid]
        ages = subprocess.run(
            ["ps", "-o", "etimes=", "-p", ",".join(map(str, workers))], capture_output=True, text=True, check=True
        ).stdout.split()
        # All were started together, and none of them later.
        assert int(max(ages, key=int)) - int(min(ages, key=int)) < 4
    finally:
        kill(running.process)


def test_a_replaced_worker_ends_with_one_line_if_the_settings_have_become_invalid(tmp_path: Path) -> None:
    """Here a secret file has been removed, and the supervisor replaces a worker that was killed."""
    secret = tmp_path / "url"
    secret.write_text("memory://")
    running = Running(("--port", "0", "--workers", "2"), {"GATEWAY_CACHE_URL_FILE": str(secret)})
    try:
        assert httpx.get(f"{running.url}/healthz", trust_env=False).status_code == 200
        secret.unlink()
        workers = [pid for pid in processes_of(running.process.pid) if pid != running.process.pid]
        os.kill(max(workers), signal.SIGKILL)
        running.read_until(
            "\nError: Invalid settings: GATEWAY_CACHE_URL_FILE: the file cannot be read: no such file or directory\n"
        )
        assert b"Traceback" not in running.said
    finally:
        kill(running.process)


def test_a_request_in_flight_is_answered_after_the_supervisor_is_killed() -> None:
    """The port is free meanwhile."""
    port = free_port()
    with two_workers(port) as gateway, ThreadPoolExecutor(1) as pool:
        headers = {"Authorization": "Bearer sample+latency=3"}
        response = pool.submit(
            httpx.post, f"{gateway.url}/graphql", json=SLOW, headers=headers, timeout=30, trust_env=False
        )
        time.sleep(0.5)
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait()
        eventually(lambda: is_refused(port))
        assert not response.done()
        assert response.result().json() == {"data": {"licenseDeployments": {"totalCount": 2}}}


def is_refused(port: int) -> bool:
    """Return whether nothing listens on ``port``."""
    try:
        httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
    except httpx.ConnectError:
        return True
    return False
