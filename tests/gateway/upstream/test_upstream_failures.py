"""The messages for operators and callers when the upstream cannot be reached, fails or refuses."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.errors import Forbidden, GatewayError, Unauthenticated, UpstreamRejected
from gateway.network.causes import TRUST_REMEDY
from gateway.query import Comparison
from gateway.sandbox import create_sandbox, tokens
from gateway.upstream.status import MAX_QUERY_CHARACTERS, UNKNOWN_FAULT
from tests.gateway.running import Running, environment, kill
from tests.gateway.upstream.scripted import GOOD, caller, client, hang, page_query, reset, respond, upstream
from tests.ports import free_port
from tests.tls_server import tls_server

QUERY = {"query": "{ licenseDeployments { totalCount } }"}

CHECK_PORT = "Check the host and the port in GATEWAY_UPSTREAM_URL, and that the server runs."
CHECK_NAME = "Check the spelling of the host in GATEWAY_UPSTREAM_URL, and DNS."
CHECK_NETWORK = "Check the network, and whether it needs a proxy (HTTPS_PROXY)."
TRY_HTTP = "Check the port in GATEWAY_UPSTREAM_URL. If the host is private, try http://."


async def failure(url: str, **changes: Any) -> tuple[GatewayError, list[Any]]:
    """Return the error of one call, and the lines of the log."""
    query = changes.pop("query", page_query())
    with capture_logs() as lines:
        async with client(url, **changes) as upstream_client:
            with pytest.raises(GatewayError) as caught:
                await upstream_client.call(query, caller(), deadline=float("inf"))
    return caught.value, lines


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """Accept connections and never say anything."""
    async with upstream(hang()) as scripted:
        yield int(scripted.url.rpartition(":")[2])


# Host and cause


async def check(url: str, cause: str, remedy: str = "", **changes: Any) -> None:
    """Check that log and operator read cause and remedy, and that remote callers read neither host nor cause."""
    place = url.removeprefix("https://").removeprefix("http://")
    place += "" if ":" in place else ":443"
    error, lines = await failure(url, **changes)
    warning = next(line for line in lines if line["log_level"] == "warning")
    assert (warning["event"], warning.get("remedy", "")) == (f"Cannot reach {place}: {cause}", remedy)
    assert place not in error.message
    assert cause not in error.message
    error, _ = await failure(url, names_host=True, **changes)
    assert error.message == f"Cannot reach {place}: {cause}. {remedy}".rstrip()


async def test_a_refused_connection_is_named() -> None:
    await check(f"http://127.0.0.1:{free_port()}", "connection refused", CHECK_PORT)


async def test_an_unknown_host_is_named() -> None:
    await check("https://nowhere.invalid", "name not found", CHECK_NAME)


async def test_a_server_that_does_not_answer_the_handshake_is_named() -> None:
    async with silent_server() as port:
        await check(f"https://127.0.0.1:{port}", "timed out", CHECK_NETWORK, timeout_seconds=0.3)


async def test_an_untrusted_certificate_is_named(tmp_path: Path) -> None:
    with tls_server(create_sandbox(), tmp_path) as server:
        await check(server.url, "certificate not trusted", TRUST_REMEDY)


async def test_a_certificate_for_another_host_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_server(create_sandbox(), tmp_path, "other.example") as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.files.authority))
        await check(server.url, "certificate is for another host")


async def test_a_port_without_tls_is_named() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await check(f"https://127.0.0.1:{port}", "it does not speak TLS at this port", TRY_HTTP)


async def test_plain_http_at_a_tls_port_has_its_own_advice() -> None:
    """As nginx, Apache and Go answer it."""

    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 13\r\n\r\n<html></html>")
        writer.close()

    server = await asyncio.start_server(refusing, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        (error, _), (remote, _) = await failure(url, names_host=True), await failure(url)
    assert error.code == remote.code == "UPSTREAM_REJECTED"
    assert error.message.endswith("If its port speaks TLS, try https:// in GATEWAY_UPSTREAM_URL.")
    assert "GATEWAY" not in remote.message


async def test_a_slow_response_is_not_taken_for_a_failed_connection() -> None:
    async with silent_server() as port:
        error, lines = await failure(f"http://127.0.0.1:{port}", timeout_seconds=0.2, names_host=True)
    assert (error.code, "Cannot reach" in error.message) == ("UPSTREAM_TIMEOUT", False)
    assert {(line["event"], line["cause"]) for line in lines if "cause" in line} == {
        ("an upstream attempt failed", "timed out")
    }


async def test_retries_are_announced_with_number_and_pause() -> None:
    async with upstream(reset(), respond(status=503), respond(status=503), GOOD) as scripted:
        with capture_logs() as lines:
            async with client(scripted.url, max_retries=3) as upstream_client:
                await upstream_client.call(page_query(), caller(), deadline=float("inf"))
    announced = [line for line in lines if line["event"] == "an upstream call is retried"]
    assert [(line["retry"], line["pause_seconds"] > 0) for line in announced] == [(1, False), (2, True), (3, True)]


@pytest.mark.parametrize("status", [500, 502, 599])
async def test_a_failed_upstream_is_a_warning_with_its_status(status: int) -> None:
    async with upstream(respond({"code": 2000}, status)) as scripted:
        _, lines = await failure(scripted.url, max_retries=0)
    assert [(line["log_level"], line["event"], line["status"], line["code"]) for line in lines] == [
        ("warning", "the upstream failed", status, 2000)
    ]


@pytest.mark.parametrize(("status", "warnings"), [(302, 1), (400, 1), (403, 1), (404, 1), (401, 0), (429, 0)])
async def test_a_refusal_is_a_warning_with_host_status_code_and_ids(status: int, warnings: int) -> None:
    """Refused tokens and throttling are the callers' business."""
    async with upstream(respond({"code": 2000}, status)) as scripted:
        error, lines = await failure(scripted.url, max_retries=0)
    facts = [line for line in lines if line["log_level"] == "warning"]
    assert [(line["event"], line["host"], line["status"], line["code"]) for line in facts] == [
        ("the upstream refused", scripted.url.removeprefix("http://"), status, 2000)
    ] * warnings
    assert error.upstream is not None
    assert all(line["request_id"] == error.upstream.request_id and line["correlation_id"] for line in facts)


def test_the_log_calls_the_embedded_sandbox_by_its_name() -> None:
    gateway = Running(("--port", "0"), {})
    try:
        headers = {"Authorization": "Bearer sample+status=404"}
        httpx.post(f"{gateway.url}/graphql", json=QUERY, headers=headers, trust_env=False, timeout=30)
        gateway.read_until('"event":"request"')
        (refused,) = [line for line in gateway.said.decode().splitlines() if "the upstream refused" in line]
    finally:
        kill(gateway.process)
    assert '"host":"embedded sandbox"' in refused


@pytest.mark.parametrize("fault", ["bogus=3", "latency=soon"])
def test_an_unknown_fault_of_the_sandbox_is_named_with_the_known_ones(fault: str) -> None:
    gateway = Running(("--port", "0"), {})
    try:
        headers = {"Authorization": f"Bearer contoso+{fault}"}
        response = httpx.post(f"{gateway.url}/graphql", json=QUERY, headers=headers, trust_env=False, timeout=30)
    finally:
        kill(gateway.process)
    message = response.json()["errors"][0]["message"]
    assert message.startswith("The sandbox refuses this token: ")
    assert fault.partition("=")[0] in message
    assert ("hang-body, " in message) == (fault == "bogus=3")


async def test_the_text_of_another_sandbox_is_not_shown() -> None:
    """Any host could claim to be one."""
    body = {"code": UNKNOWN_FAULT, "description": "secret"}
    async with upstream(respond(body, 400)) as scripted:
        error, _ = await failure(scripted.url)
    assert "secret" not in error.message
    assert "gateway sandbox --help" in error.message
    assert UNKNOWN_FAULT == tokens.UNKNOWN_FAULT


def test_a_gateway_logs_the_cause_and_its_caller_does_not_read_it() -> None:
    port = free_port()
    gateway = Running(("--port", "0", "--upstream", f"https://127.0.0.1:{port}"), {"GATEWAY_UPSTREAM_MAX_RETRIES": "1"})
    try:
        headers = {"Authorization": "Bearer sample"}
        body = httpx.post(f"{gateway.url}/graphql", json=QUERY, headers=headers, trust_env=False, timeout=30).text
        gateway.read_until(f"Cannot reach 127.0.0.1:{port}: connection refused")
        gateway.read_until('"retry":1')
    finally:
        kill(gateway.process)
    assert json.loads(body)["errors"][0]["message"] == "The upstream cannot be reached. Retry later."


def test_an_export_reads_the_cause_and_waits() -> None:
    """The operator of the gateway inside the command is its user."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "export", "--upstream", f"https://127.0.0.1:{port}"],
        env=environment(PARTNER_CENTER_TOKEN="sample", GATEWAY_UPSTREAM_MAX_RETRIES="0"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    line = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert line.decode() == f"Cannot reach 127.0.0.1:{port}: connection refused; waiting 1 s.\n"


# Codes and long queries


@pytest.mark.parametrize(
    ("code", "status", "kind", "words"),
    [
        (900421, 401, Unauthenticated, "Multi-factor authentication"),
        (900420, 401, Unauthenticated, "retired audience"),
        (900329, 403, Forbidden, "app-only"),
        (900308, 403, Forbidden, "privileges"),
        (900309, 403, Forbidden, "Conditional Access"),
        (900000, 403, Forbidden, "required role"),
    ],
)
async def test_a_refused_token_gets_advice_by_code(code: int, status: int, kind: type[Exception], words: str) -> None:
    async with upstream(respond({"code": str(code)}, status)) as scripted:
        error, _ = await failure(scripted.url)
    assert type(error) is kind
    assert words in error.message
    assert error.extensions()["upstream"]["code"] == code


@pytest.mark.parametrize("status", [400, 404, 414])
@pytest.mark.parametrize("is_long", [True, False])
async def test_a_refused_long_query_blames_the_filter(status: int, is_long: bool) -> None:
    """IIS refuses query strings of more than 2,048 characters with 404."""
    empty = len(page_query(filter=Comparison("channel", "eq", "")).query_string)
    value = "x" * (MAX_QUERY_CHARACTERS - empty + is_long)
    query = page_query(filter=Comparison("channel", "eq", value))
    async with upstream(respond({"code": 1000}, status)) as scripted:
        error, _ = await failure(scripted.url, query=query)
    assert type(error) is UpstreamRejected
    assert ("filter may be too long" in error.message) == is_long
    assert ("GATEWAY_UPSTREAM_PATH_PREFIX" in error.message) == (status == 404 and not is_long)
