"""The commands, run as separate processes."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings, variable
from gateway.version import DISTRIBUTION
from schema.build import sdl
from tests.gateway.running import END_SECONDS, QUIET, START_SECONDS, Running, environment, eventually, kill
from tests.ports import free_port


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    command = [sys.executable, "-m", "gateway", *arguments]
    return subprocess.run(
        command, env=environment(**variables), capture_output=True, text=True, timeout=60, check=False
    )


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start commands; those still running at the end are killed with all their children."""
    with ExitStack() as stack:

        def begin(*arguments: str, **variables: str) -> Running:
            running = Running(arguments, variables)
            stack.callback(kill, running.process)
            return running

        yield begin


def total_of(url: str) -> Any:
    """Return the total count from a gateway on the sandbox."""
    response = httpx.post(
        f"{url}/graphql",
        json={"query": "{ licenseDeployments(first: 0) { totalCount } }"},
        headers={"Authorization": "Bearer sample"},
        trust_env=False,
        timeout=30,
    )
    return response.json()["data"]["licenseDeployments"]["totalCount"]


def children_of(parent: int) -> set[int]:
    """Return the running child processes of ``parent``."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return {int(pid) for pid, of, state in rows if int(of) == parent and not state.startswith("Z")}


def has_ended(pid: int) -> bool:
    """Return True if a process has exited, or is a zombie."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return not state.strip() or state.startswith("Z")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        yield bound.getsockname()[1]


# Serving


@pytest.mark.parametrize("command", [(), ("serve",)], ids=["gateway", "gateway serve"])
def test_the_sandbox_is_served_by_default_with_a_banner(start: Start, command: tuple[str, ...]) -> None:
    port = free_port()
    running = start(*command, "--port", str(port), GATEWAY_LOG_FORMAT="text")
    assert running.url == f"http://127.0.0.1:{port}"
    running.read_until("Ctrl-C")
    said = running.said.decode()
    assert "/graphql" in said
    assert "Upstream   the embedded sandbox" in said
    assert "contoso" in said
    assert total_of(running.url) == 2
    assert httpx.get(running.url + "/healthz", trust_env=False).headers["X-Gateway-Upstream"] == "sandbox"
    assert running.end(signal.SIGTERM)[0] == 0


def test_an_open_address_needs_an_explicit_upstream() -> None:
    done = run("--host", "0.0.0.0", "--port", "0")
    assert done.returncode != 0
    assert "GATEWAY_UPSTREAM_URL: not set" in done.stderr
    assert "set it to `sandbox` or a URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_open_address_with_an_explicit_upstream_is_served(start: Start) -> None:
    running = start("--host", "0.0.0.0", "--port", "0", GATEWAY_UPSTREAM_URL="sandbox")
    running.read_until('"upstream":"sandbox"')
    assert total_of(running.url.replace("localhost", "127.0.0.1")) == 2


def test_the_banner_names_the_upstream(start: Start) -> None:
    upstream = start("sandbox", "--port", "0").url
    running = start("--port", "0", "--upstream", upstream, GATEWAY_LOG_FORMAT="text")
    running.read_until(f"Upstream   {upstream}\n")
    running.read_until("Ctrl-C")
    assert "Cache" not in running.said.decode()
    assert total_of(running.url) == 2


def test_the_banner_names_redis_but_neither_user_nor_password(start: Start) -> None:
    """Nobody listens there: Redis is never needed."""
    running = start("--port", "0", GATEWAY_CACHE_URL="redis://reader:hidden@127.0.0.1:9/2", GATEWAY_LOG_FORMAT="text")
    running.read_until("  Cache   memory and Redis at 127.0.0.1:9\n")
    running.read_until("Ctrl-C")
    assert "hidden" not in running.said.decode()
    assert "reader" not in running.said.decode()


def events(said: str) -> list[dict[str, Any]]:
    """Return the lines of a JSON log. Fails if another line is among them."""
    return [json.loads(line) for line in said.splitlines()]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_json_log_has_events_for_start_and_end_and_no_banner(start: Start, workers: str) -> None:
    url = "redis://reader:hidden@127.0.0.1:9/2"
    running = start("--port", "0", "--workers", workers, GATEWAY_LOG_FORMAT="json", GATEWAY_CACHE_URL=url)
    address = running.url
    said = running.end(signal.SIGTERM)[1]
    lines = events(said)
    (started,) = [line for line in lines if line["event"] == "started"]
    assert (started["url"], started["upstream"], started["version"]) == (address, "sandbox", version(DISTRIBUTION))
    assert started["settings"] == {
        "GATEWAY_PORT": "0", "GATEWAY_WORKERS": workers, "GATEWAY_LOG_FORMAT": "json",
        "GATEWAY_CACHE_URL": "redis://***@127.0.0.1:9/2",
    }  # fmt: skip
    stopping = [line for line in lines if line["event"] == "stopping"]
    assert [(line["requests_in_flight"], line["grace_seconds"]) for line in stopping] == [(0, 25)] * int(workers)
    assert lines[-1]["event"] == "stopped"
    assert "hidden" not in said


def test_the_log_does_not_show_methods_that_callers_invent(start: Start) -> None:
    """It has OpenTelemetry's word for them, as metrics and traces have."""
    running = start("--port", "0", GATEWAY_LOG_FORMAT="text", FORCE_COLOR="")
    httpx.request("PROPFIND", f"{running.url}/graphql", trust_env=False)
    running.read_until("_OTHER /graphql 405")
    assert b"PROPFIND" not in running.said


def test_the_start_event_has_the_variables_that_affect_connections(start: Start) -> None:
    running = start("--port", "0", GATEWAY_LOG_FORMAT="json", **CONNECTIONS)
    assert running.url
    (started,) = [line for line in events(running.end(signal.SIGTERM)[1]) if line["event"] == "started"]
    assert started["environment"] == {"https_proxy": "http://***@proxy.example:3128", "NO_PROXY": ".local"}


def test_a_sandbox_logs_its_start_and_end_too(start: Start) -> None:
    running = start("sandbox", "--port", "0")
    address = running.url
    lines = events(running.end(signal.SIGTERM)[1])
    assert (lines[0]["event"], lines[0]["url"], lines[-1]["event"]) == ("started", address, "stopped")


@pytest.mark.parametrize("command", [("serve",), ("sandbox",)])
def test_a_port_in_use_gives_a_one_line_error(command: tuple[str, ...], taken_port: int) -> None:
    done = run(*command, "--port", str(taken_port))
    assert done.returncode == 1
    expected = f"Error: Cannot listen on 127.0.0.1 port {taken_port}: it is in use. Choose another with --port.\n"
    assert done.stderr == expected


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 300, "1.2.3"])
def test_an_invalid_host_gives_a_one_line_error(host: str) -> None:
    done = run("sandbox", "--host", host, "--port", "0")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Cannot listen on ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("serve",), ("settings",)])
def test_invalid_settings_prevent_startup_and_are_all_reported(command: tuple[str, ...]) -> None:
    done = run(*command, "--workers", "0", GATEWAY_PORT="eight", GATEWAY_PROT="1", GATEWAY_METRICS="perhaps")
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    for name in ("GATEWAY_PORT: ", "GATEWAY_PROT: ", "GATEWAY_METRICS: ", "--workers (GATEWAY_WORKERS): "):
        assert f"\n{name}" in done.stderr
    assert "did you mean GATEWAY_PORT?" in done.stderr


def test_variables_injected_by_kubernetes_are_logged_in_one_line(start: Start) -> None:
    injected = {"GATEWAY_SERVICE_HOST": "10.0.0.1", "GATEWAY_PORT_8000_TCP": "tcp://10.0.0.1:8000"}
    running = start("serve", "--port", "0", **injected, GATEWAY_LOG_FORMAT="json")
    assert total_of(running.url) == 2
    lines = [line for line in running.said.decode().splitlines() if "ignored injected" in line]
    assert len(lines) == 1
    assert all(name in lines[0] for name in injected)


# The end


@pytest.mark.parametrize("command", [("serve",), ("serve", "--workers", "2"), ("sandbox",)], ids=" ".join)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_shut_down_cleanly(start: Start, command: tuple[str, ...], number: signal.Signals) -> None:
    running = start(*command, "--port", "0")
    url = running.url
    if command[0] == "serve":
        assert total_of(url) == 2
    children = children_of(running.process.pid)
    status, said, took_seconds = running.end(number)
    assert status == 0, said
    assert [word for word in ("Traceback", "Aborted", "Waiting", "exceeded") if word in said] == []
    assert took_seconds < END_SECONDS
    for pid in children:
        eventually(partial(has_ended, pid))
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


@pytest.mark.parametrize("module", ["click", "pydantic", "uvicorn", "schema.build"])
def test_ctrl_c_during_imports_exits_silently(start: Start, module: str) -> None:
    running = start("--port", "0", PYTHONPROFILEIMPORTTIME="1")
    running.read_until(rf"\| +{re.escape(module)}\b")
    status, said, took_seconds = running.end(signal.SIGINT)
    assert status in (0, 130), said
    assert [line for line in said.splitlines() if line and not line.startswith("import time:")] == []
    assert took_seconds < END_SECONDS


def test_ctrl_c_during_imports_of_workers_exits_silently(start: Start) -> None:
    """A terminal sends the signal to the workers, too."""
    running = start("--port", "0", "--workers", "2", **QUIET)
    # Python's resource tracker is the third.
    eventually(lambda: len(children_of(running.process.pid)) == 3, START_SECONDS)
    status, said, took_seconds = running.end(signal.SIGINT)
    assert status == 0, said
    # On a busy machine a worker may be ready before the signal; then the output is just the banner.
    lines = [line for line in said.splitlines() if line.strip()]
    assert len(lines) in (0, 3), said
    assert not lines or lines[-1].strip() == "Stop with Ctrl-C."
    assert took_seconds < END_SECONDS


def test_the_banner_appears_only_once_a_worker_accepts_connections(start: Start) -> None:
    running = start("--port", "0", "--workers", "2")
    url = running.url
    # Two workers and Python's resource tracker.
    assert len(children_of(running.process.pid)) == 3
    assert answers(url)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_in_flight_is_answered_after_sigterm(start: Start, workers: str) -> None:
    running = start("--port", "0", "--workers", workers)
    url = running.url
    assert total_of(url) == 2
    host, port = url.removeprefix("http://").split(":")
    body = b'{"query": "{ licenseDeployments { totalCount } }"}'
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"POST /graphql HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer sample+latency=1.5\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        eventually(lambda: answers(url))
        status, said, took_seconds = running.end(signal.SIGTERM)
        reply = connection.recv(65_536)
    assert reply.startswith(b"HTTP/1.1 200 "), said
    assert b'"totalCount":2' in reply.replace(b" ", b"")
    assert status == 0
    assert took_seconds < 1.5 + END_SECONDS


def answers(url: str) -> bool:
    """Send a later request, whose response shows that earlier requests have been read."""
    return httpx.get(f"{url}/healthz", trust_env=False).status_code == 200


@contextmanager
def hanging_request(url: str) -> Iterator[socket.socket]:
    """Open a connection whose request the sandbox never answers; yields once the gateway has read the request."""
    host, port = url.removeprefix("http://").split(":")
    body = b'{"query": "{ licenseDeployments { totalCount } }"}'
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"POST /graphql HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer sample+hang\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        eventually(lambda: "gateway_requests_in_flight 2.0" in httpx.get(f"{url}/metrics", trust_env=False).text)
        yield connection


def test_a_request_that_exceeds_the_grace_time_is_canceled(start: Start) -> None:
    running = start("--port", "0", GATEWAY_SHUTDOWN_GRACE_SECONDS="1")
    with hanging_request(running.url):
        status, said, took_seconds = running.end(signal.SIGTERM)
    assert (status, "Traceback" in said) == (0, False), said
    assert said.count("Waiting up to 1 s for 1 request; Ctrl-C again stops now.") == 1
    assert "Cancel 1 running task(s), timeout graceful shutdown exceeded" in said
    assert 1 <= took_seconds < 1 + END_SECONDS


def test_a_second_ctrl_c_waits_for_no_request(start: Start) -> None:
    running = start("--port", "0")
    with hanging_request(running.url):
        running.process.send_signal(signal.SIGINT)
        eventually(lambda: httpx.get(f"{running.url}/readyz", trust_env=False).status_code == 503)
        running.read_until("Waiting up to 25 s for 1 request; Ctrl-C again stops now.")
        assert running.process.poll() is None
        status, said, took_seconds = running.end(signal.SIGINT)
    assert (status, "Traceback" in said) == (0, False), said
    # No time was exceeded.
    assert "exceeded" not in said
    assert took_seconds < END_SECONDS


def test_a_stopping_sandbox_does_not_wait_for_hanging_requests(start: Start) -> None:
    running = start("sandbox", "--port", "0")
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"GET /v1/analytics/commercial/deployment/license HTTP/1.1\r\nHost: sandbox\r\n"
            b"Authorization: Bearer contoso+hang\r\n\r\n"
        )
        eventually(lambda: answers(running.url))
        status, said, took_seconds = running.end(signal.SIGTERM)
    assert (status, "Traceback" in said) == (0, False), said
    assert took_seconds < END_SECONDS


def test_several_workers_answer_behind_one_port(start: Start) -> None:
    """Each worker has its own request counter, with its number."""
    running = start("--port", "0", "--workers", "2")
    assert total_of(running.url) == 2
    seen: set[str] = set()

    def both_seen() -> bool:
        metrics = httpx.get(f"{running.url}/metrics", trust_env=False).text
        seen.update(
            re.findall(r"^gateway_requests_total\{.*route=\"/metrics\".*worker=\"(\d)\"\}", metrics, re.MULTILINE)
        )
        return len(seen) >= 2

    eventually(both_seen, seconds=30)
    assert len(children_of(running.process.pid)) >= 2


# The other commands


def test_a_sandbox_serves_the_upstreams_rest_contract(start: Start) -> None:
    running = start("sandbox", "--port", "0")
    response = httpx.get(
        f"{running.url}/partner/v1/analytics/commercial/deployment/license?top=1",
        headers={"Authorization": "Bearer sample"},
        trust_env=False,
    )
    assert (response.status_code, response.json()["TotalCount"]) == (200, 2)
    assert len(response.headers.get_list("Date")) <= 1
    assert httpx.get(f"{running.url}/healthz", trust_env=False).headers.get_list("Date") in (
        [],
        [response.headers["Date"]],
    )


def test_the_sandboxs_help_lists_tokens_and_faults_line_by_line() -> None:
    done = run("sandbox", "--help")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    for start_of_line in ("  contoso  ", "  sample  ", "  latency=2  ", "  bom  ", "The envelope:", "Which rows:"):
        assert any(line.startswith(start_of_line) for line in lines), start_of_line


@pytest.mark.parametrize("port", ["65536", "-1"])
def test_an_invalid_port_is_a_usage_error(port: str) -> None:
    done = run("sandbox", "--port", port)
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_the_schema_is_printed_verbatim() -> None:
    done = run("schema")
    assert (done.returncode, done.stdout, done.stderr) == (0, sdl(), "")


def test_a_schema_file_is_checked(tmp_path: Path) -> None:
    schema_file = tmp_path / "schema.graphql"
    schema_file.write_text(sdl(), encoding="utf-8")
    same = run("schema", "--check", str(schema_file))
    assert (same.returncode, same.stdout) == (0, "")
    schema_file.write_text(sdl().replace("scalar Long", "scalar Longer"), encoding="utf-8")
    other = run("schema", "--check", str(schema_file))
    assert other.returncode == 1
    assert "\n-scalar Longer\n+scalar Long\n" in other.stdout
    assert "Traceback" not in other.stderr


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_an_unreadable_schema_file_gives_a_one_line_error(tmp_path: Path, content: bytes | None) -> None:
    schema_file = tmp_path / "schema.graphql"
    if content is not None:
        schema_file.write_bytes(content)
    done = run("schema", "--check", str(schema_file))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: Cannot read {schema_file}: ")


def test_settings_are_shown_with_their_value_default_and_origin() -> None:
    done = run("settings", "--port", "8123", GATEWAY_CORS_ORIGINS="https://a.example, *", GATEWAY_GRAPHIQL="off")
    assert done.returncode == 0
    *lines, last = done.stdout.splitlines()
    assert last == "# The upstream: embedded in this process"
    assert [line.partition("=")[0] for line in lines] == [variable(name) for name in Settings.model_fields]
    assert "GATEWAY_PORT=8123  (default 8000; from command line)" in lines
    assert "GATEWAY_CORS_ORIGINS=https://a.example,*  (default none; from environment)" in lines
    assert "GATEWAY_GRAPHIQL=off  (default on; from environment)" in lines
    assert "GATEWAY_UPSTREAM_URL=sandbox  (default sandbox; from default)" in lines
    assert "GATEWAY_CACHE_FRESH_SECONDS=900  (default 900; from default)" in lines


CONNECTIONS = {
    "https_proxy": "http://user:hidden@proxy.example:3128", "HTTPS_PROXY": "http://other.example", "NO_PROXY": ".local",
    "REQUESTS_CA_BUNDLE": "", "HTTP_PROXY": "http://ignored.example",
}  # fmt: skip


def test_variables_that_affect_connections_are_shown_behind_the_settings(tmp_path: Path) -> None:
    """The lower-case name wins, as in other programs."""
    (tmp_path / "authorities").mkdir()
    done = run("settings", **CONNECTIONS, SSL_CERT_DIR=str(tmp_path / "authorities"))
    assert done.stdout.splitlines()[len(Settings.model_fields) : -1] == [
        "https_proxy=http://***@proxy.example:3128  (default none; from environment)",
        "NO_PROXY=.local  (default none; from environment)",
        f"SSL_CERT_DIR={tmp_path / 'authorities'}  (default none; from environment)",
    ]
    without_scheme = run("settings", HTTPS_PROXY="user:hidden@proxy.example:3128").stdout
    assert "HTTPS_PROXY=***@proxy.example:3128 " in without_scheme


def test_large_and_small_numbers_are_shown_in_full() -> None:
    shown = run("settings", GATEWAY_CACHE_FRESH_SECONDS="604799.25", GATEWAY_OPERATION_TIMEOUT_SECONDS="0.001").stdout
    assert "GATEWAY_CACHE_FRESH_SECONDS=604799.25 " in shown
    assert "GATEWAY_OPERATION_TIMEOUT_SECONDS=0.001 " in shown
    assert "GATEWAY_CACHE_MEMORY_BYTES=268435456 " in shown


def test_the_version_is_printed() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"gateway, version \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("arguments", [("nonsense",), ("serve", "nonsense"), ("--nonsense",)])
def test_an_unknown_command_or_option_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: gateway ")
    assert "nonsense" in done.stderr


def test_the_help_names_every_command() -> None:
    done = run("-h")
    assert done.returncode == 0
    for name in ("serve", "sandbox", "schema", "settings", "export", "token"):
        assert f"\n  {name} " in done.stdout


def test_the_help_imports_no_heavy_library() -> None:
    program = (
        "import sys\nfrom gateway.__main__ import main\nsys.argv = ['gateway', '--help']\n"
        "try:\n    main()\nfinally:\n    print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    loaded = done.stdout.splitlines()[-1]
    assert "'click'" in loaded
    for name in ("strawberry", "graphql", "httpx", "starlette", "uvicorn", "aiocache", "msgspec", "structlog", "msal"):
        assert f"'{name}'" not in loaded
