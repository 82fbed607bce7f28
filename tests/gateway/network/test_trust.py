"""One trust store for every outgoing connection, and what happens to those that it does not trust."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import truststore

from gateway.composition import build
from gateway.config.environment import SettingsError, read_settings
from gateway.errors import UpstreamUnavailable
from gateway.network.causes import TRUST_REMEDY
from gateway.network.trust import VARIABLES, TrustFault, trust_store
from gateway.observability.metrics import Metrics
from gateway.observability.opentelemetry import opentelemetry_for
from gateway.sandbox import create_sandbox
from tests.gateway.running import Running, environment, kill
from tests.gateway.upstream.scripted import RecordingObserver, caller, client, page_query
from tests.tls_server import TLSServer, tls_server

QUERY = {"query": "{ licenseDeployments(first: 1) { totalCount } }"}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TLSServer]:
    """The sandbox behind a private certificate authority."""
    with tls_server(create_sandbox(), tmp_path_factory.mktemp("tls")) as server:
        yield server


def named(server: TLSServer, name: str, folder: Path) -> dict[str, str]:
    """Return the variable that adds the server's authority. In a folder, its name is not a hash."""
    if name != "SSL_CERT_DIR":
        return {name: str(server.files.authority)}
    shutil.copy(server.files.authority, folder / "company.crt")
    (folder / "notes.txt").write_text("no certificate")
    return {name: f"{folder}"}


def answer(upstream: str, **variables: str) -> Any:
    """Return the response of a gateway process for ``upstream``."""
    gateway = Running(("--port", "0", "--upstream", upstream), variables)
    try:
        headers = {"Authorization": "Bearer sample"}
        return httpx.post(f"{gateway.url}/graphql", json=QUERY, headers=headers, trust_env=False, timeout=30).json()
    finally:
        kill(gateway.process)


def export(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "export", *arguments],
        env=environment(PARTNER_CENTER_TOKEN="sample", **variables),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", VARIABLES)
def test_each_variable_adds_an_authority_for_the_upstream(upstream: TLSServer, name: str, tmp_path: Path) -> None:
    found = answer(upstream.url, **named(upstream, name, tmp_path))
    assert found == {"data": {"licenseDeployments": {"totalCount": 2}}}


@pytest.mark.parametrize("name", VARIABLES)
def test_a_gateway_behind_a_private_authority_can_be_exported_from(name: str, tmp_path: Path) -> None:
    with tls_server(build(read_settings({})), tmp_path) as gateway:
        folder = tmp_path / "folder"
        folder.mkdir()
        done = export("--url", gateway.url, **named(gateway, name, folder))
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3), done.stderr


@pytest.mark.parametrize("option", ["--url", "--upstream"])
def test_an_untrusted_certificate_ends_an_export_at_once(upstream: TLSServer, option: str) -> None:
    """Exit code 1: running it again does not help. An outage would be waited for."""
    done = export(option, upstream.url)
    assert (done.returncode, done.stdout, "waiting" in done.stderr) == (1, "", False)


def test_the_error_of_an_export_by_url_names_host_and_cause(upstream: TLSServer) -> None:
    done = export("--url", upstream.url)
    problem = f"Error: Cannot reach 127.0.0.1:{upstream.port}: certificate not trusted."
    assert f"{problem} {TRUST_REMEDY}\n" in done.stderr
    assert "SSL_CERT_FILE" in TRUST_REMEDY


async def test_a_tls_fault_is_not_retried(upstream: TLSServer) -> None:
    observer = RecordingObserver()
    async with client(upstream.url, max_retries=5, observer=observer) as upstream_client:
        with pytest.raises(UpstreamUnavailable) as caught:
            await upstream_client.call(page_query(), caller(), deadline=float("inf"))
    assert observer.outcomes == ["UPSTREAM_UNAVAILABLE"]
    assert caught.value.extensions()["permanent"] is True
    assert "127.0.0.1" not in caught.value.message


async def test_a_server_that_hangs_up_during_the_handshake_is_retried() -> None:
    """That may be an outage."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        observer = RecordingObserver()

        def close_all() -> None:
            for _ in range(3):
                connection, _address = bound.accept()
                connection.recv(1)
                connection.close()

        async with client(f"https://127.0.0.1:{bound.getsockname()[1]}", observer=observer) as upstream_client:
            closing = asyncio.create_task(asyncio.to_thread(close_all))
            with pytest.raises(UpstreamUnavailable) as caught:
                await upstream_client.call(page_query(), caller(), deadline=float("inf"))
            await closing
    assert len(observer.outcomes) == 3
    assert "permanent" not in caught.value.extensions()


@pytest.mark.parametrize("signal", ["TRACES", "METRICS"])
async def test_collectors_of_opentelemetry_are_trusted_alike(
    signal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths: list[str] = []

    async def collector(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                await send({"type": (await receive())["type"] + ".complete"})
        paths.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with tls_server(collector, tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.files.authority))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        otel = opentelemetry_for({f"OTEL_{signal}_EXPORTER": "otlp"})
        if otel.tracing:
            with otel.tracing.phase("parse"):
                pass
        if otel.metering:
            otel.metering.start(Metrics(()), "http://a")
        await otel.aclose()
    assert paths == [f"/v1/{signal.lower()}"]


# The store itself


def handshake(context: ssl.SSLContext, server: TLSServer) -> str:
    with (
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted,
    ):
        return encrypted.version() or ""


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_an_added_authority_replaces_none_on_any_system(upstream: TLSServer, platform: str) -> None:
    """macOS and Windows verify with their own store, through truststore."""
    before = trust_store({}, platform)
    context = trust_store({"SSL_CERT_FILE": str(upstream.files.authority)}, platform)
    assert isinstance(context, truststore.SSLContext) == (platform != "linux")
    if platform == "linux":
        assert len(context.get_ca_certs()) == len(before.get_ca_certs()) + 1
    assert handshake(context, upstream).startswith("TLS")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(before, upstream)


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("text", [None, "no certificate"], ids=["missing", "other"])
def test_authorities_that_cannot_be_read_are_a_fault_of_the_settings(
    name: str, text: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "authority.pem"
    if text is not None:
        path.write_text(text)
    reason = f"cannot read {path}: no such file or directory" if text is None else "holds no certificate"
    with pytest.raises(TrustFault, match=re.escape(reason)):
        trust_store({name: str(path)})
    with pytest.raises(SettingsError, match=f"^{name}: .*{re.escape(reason)}"):
        read_settings({name: str(path)})
    done = export("--url", "https://127.0.0.1:1", **{name: str(path)})
    assert (done.returncode, reason in done.stderr) == (2, True)


def test_the_error_reaches_remote_callers_without_host_or_cause(upstream: TLSServer) -> None:
    [error] = answer(upstream.url)["errors"]
    assert error["extensions"]["code"] == "UPSTREAM_UNAVAILABLE"
    assert error["extensions"]["permanent"] is True
    assert "127.0.0.1" not in json.dumps(error)
    assert "ertificate" not in json.dumps(error)
