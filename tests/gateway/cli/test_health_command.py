"""`gateway health` says by its exit code whether a gateway is ready."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.gateway.running import Running, environment, kill
from tests.ports import free_port


@pytest.fixture
def started() -> Iterator[Running]:
    running = Running(("--host", "0.0.0.0", "--port", "0"), {"GATEWAY_UPSTREAM_URL": "sandbox"})
    yield running
    kill(running.process)


def health(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "health", *arguments]
    return subprocess.run(command, env=environment(**variables), capture_output=True, text=True, timeout=60)


def answering(body: bytes) -> int:
    """Return the port of a server that sends ``body`` to its only client."""
    bound = socket.create_server(("127.0.0.1", 0))
    port: int = bound.getsockname()[1]

    def serve() -> None:
        with bound, bound.accept()[0] as client:
            client.recv(65_536)
            client.sendall(body)

    threading.Thread(target=serve, daemon=True).start()
    return port


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "localhost"])
def test_a_running_gateway_is_ready(started: Running, host: str) -> None:
    port = started.url.rpartition(":")[2]
    done = health(GATEWAY_HOST=host, GATEWAY_PORT=port, GATEWAY_UPSTREAM_URL="sandbox")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ready\n", "")
    assert health("--host", host, "--port", port, GATEWAY_PORT="1").returncode == 0
    started.process.send_signal(signal.SIGSTOP)
    stopped = health("--port", port, "--timeout", "0.5")
    assert (stopped.returncode, stopped.stderr) == (
        1,
        f"Error: No gateway answers at 127.0.0.1 port {port}: timed out.\n",
    )
    started.process.send_signal(signal.SIGCONT)


def test_nobody_listening_is_not_ready() -> None:
    port = str(free_port())
    done = health("--port", port)
    assert done.returncode == 1
    assert done.stderr == f"Error: No gateway answers at 127.0.0.1 port {port}: connection refused.\n"


REASONS = b'{"status": "not ready", "reasons": ["The gateway is shutting down."]}'


@pytest.mark.parametrize(
    ("head", "body", "said"),
    [
        (b"HTTP/1.1 503 Service Unavailable", REASONS, "Not ready: The gateway is shutting down."),
        (b"HTTP/1.1 503 No", b'{"status": "", "reasons": ["\\u001b]0;x\\u0007", "y"]}', "Not ready: ?]0;x? y"),
        (b"HTTP/1.1 503 No", b'{"status": "ready", "reasons": []}', "Not ready: status 503"),
        (b"HTTP/1.1 200 OK", REASONS, "Not ready: The gateway is shutting down."),
    ],
)
def test_another_status_is_not_ready(head: bytes, body: bytes, said: str) -> None:
    port = answering(head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    done = health("--port", str(port))
    assert (done.returncode, done.stderr) == (1, f"Error: {said}\n")


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"HTTP/1.1 200 OK", b"ok"),
        (b"HTTP/1.1 200 OK", b"<html>Sign in</html>"),
        (b"HTTP/1.1 200 OK", b'{"status": "ok"}'),
        (b"HTTP/1.1 200 OK", b'{"status": "UP", "reasons": []}'),
        (b"HTTP/1.1 302 Found", b""),
        (b"HTTP/1.1 404 Not Found", b"[]"),
        (b"HTTP/1.1 503 No", b'{"reasons": "abc"}'),
        (b"HTTP/1.1 503 No", b"[" * 60_000),
    ],
)
def test_another_program_is_not_taken_for_a_gateway(head: bytes, body: bytes) -> None:
    """Such as one that has the port, or a proxy that signs users in."""
    port = answering(head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    done = health("--port", str(port))
    status = head.split()[1].decode()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: Something other than a gateway answers at 127.0.0.1 port {port} (status {status}). Check host and"
        " port.\n"
    )


@pytest.mark.parametrize("body", [b"SSH-2.0-x\r\n", b""])
def test_a_response_that_is_none_is_not_ready(body: bytes) -> None:
    done = health("--port", str(answering(body)))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No gateway answers at 127.0.0.1 port ")
    assert "Traceback" not in done.stderr


def test_a_server_that_sends_byte_by_byte_is_not_waited_for() -> None:
    bound = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        with bound, bound.accept()[0] as client, suppress(OSError):
            while True:
                client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                time.sleep(0.05)

    threading.Thread(target=drip, daemon=True).start()
    done = health("--port", str(bound.getsockname()[1]), "--timeout", "1")
    assert (done.returncode, done.stderr.endswith("timed out.\n")) == (1, True)


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "a b"])
def test_a_host_that_cannot_exist_is_not_ready(host: str) -> None:
    done = health("--host", host, "--port", "1")
    assert (done.returncode, done.stderr.startswith("Error: No gateway answers at")) == (1, True)
    assert "Traceback" not in done.stderr


def test_a_port_that_was_picked_must_be_passed() -> None:
    done = health(GATEWAY_PORT="0")
    assert (done.returncode, "Pass the one it picked with --port." in done.stderr) == (1, True)


def test_invalid_settings_are_named() -> None:
    done = health(GATEWAY_WORKERS="none")
    assert (done.returncode, "GATEWAY_WORKERS: set it to" in done.stderr) == (1, True)
