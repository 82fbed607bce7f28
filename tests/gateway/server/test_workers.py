"""Workers end with their supervisor, and leave the port to the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx

from tests.deploy.processes import free_port
from tests.gateway.running import Running, eventually, kill

SLOW = {"query": "{ licenseDeployments(first: 5) { totalCount } }"}


@contextmanager
def two_workers(port: int) -> Iterator[Running]:
    """Run a gateway with two workers on ``port``."""
    running = Running(("--port", str(port), "--workers", "2"), {"GATEWAY_LOG_LEVEL": "error"})
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


def test_a_worker_that_is_short_of_processor_time_is_not_replaced() -> None:
    """It would need even more time to start. uvicorn's own limit is five seconds."""
    with two_workers(free_port()) as gateway:
        processes = processes_of(gateway.process.pid)
        workers = [pid for pid in processes if pid != gateway.process.pid]
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(7)
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        assert httpx.get(f"{gateway.url}/healthz", timeout=30, trust_env=False).status_code == 200
        assert processes_of(gateway.process.pid) == processes


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
