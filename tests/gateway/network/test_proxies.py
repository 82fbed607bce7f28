"""Outgoing connections through a real proxy process, which must never see a token."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.composition import build
from gateway.config.environment import SettingsError, read_settings
from gateway.config.upstream_proxy import upstream_proxy
from gateway.errors import GatewayError, UpstreamUnavailable
from gateway.network.proxies import ProxyAddress, proxy_address, proxy_for
from gateway.sandbox import create_sandbox
from tests.connect_proxy import CUT, GARBAGE, HANG_UP, SILENT, STALL, RunningProxy, connect_proxy
from tests.gateway.running import Running, environment, eventually, kill
from tests.gateway.upstream.scripted import RecordingObserver, caller, client, page_query
from tests.ports import free_port
from tests.tls_server import TLSServer, tls_server

PASSWORD = "p%40ss-word"
DECODED = "user:p@ss-word"
TOKEN = "sample"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TLSServer]:
    """The sandbox behind TLS; only tests that pass its authority trust it."""
    with tls_server(create_sandbox(), tmp_path_factory.mktemp("tls")) as server:
        yield server


@pytest.fixture
def trusted(upstream: TLSServer, monkeypatch: pytest.MonkeyPatch) -> TLSServer:
    monkeypatch.setenv("SSL_CERT_FILE", str(upstream.files.authority))
    return upstream


def ask(gateway: Running) -> Any:
    query = {"query": "{ licenseDeployments(first: 1) { totalCount } }"}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.post(f"{gateway.url}/graphql", json=query, headers=headers, trust_env=False, timeout=30).json()


async def called(server: TLSServer, proxy: RunningProxy, credentials: str = "", **changes: Any) -> RecordingObserver:
    """Make one call through ``proxy`` and return the observer. Raises GatewayError."""
    observer = changes.setdefault("observer", RecordingObserver())
    address = proxy_address(f"http://{credentials}{proxy.place}")
    async with client(server.url, proxy=address, **changes) as upstream_client:
        await upstream_client.call(page_query(), caller(TOKEN), deadline=float("inf"))
    assert isinstance(observer, RecordingObserver)
    return observer


# The gateway, an export and the sign-in


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "GATEWAY_UPSTREAM_PROXY"])
def test_the_gateway_reaches_its_upstream_through_a_blind_proxy(upstream: TLSServer, name: str, tmp_path: Path) -> None:
    """With a password, which neither the banner nor the log shows."""
    with connect_proxy(tmp_path, credentials=DECODED) as proxy:
        variables = {name: f"http://user:{PASSWORD}@{proxy.place}", "SSL_CERT_FILE": str(upstream.files.authority)}
        gateway = Running(("--port", "0", "--upstream", upstream.url), {**variables, "GATEWAY_LOG_LEVEL": "debug"})
        try:
            assert ask(gateway) == {"data": {"licenseDeployments": {"totalCount": 2}}}
            gateway.process.terminate()
            output = gateway.said + gateway.process.communicate()[1]
        finally:
            kill(gateway.process)
        proxy.assert_blind(TOKEN)
        assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{upstream.port} HTTP/1.1\r\n")
    assert f'"proxy":"{proxy.place}"' in output.decode()
    assert b"ss-word" not in output


@pytest.mark.parametrize("variables", [{"NO_PROXY": "127.0.0.0/8"}, {"GATEWAY_UPSTREAM_PROXY": "off"}], ids=str)
def test_exempt_upstreams_are_reached_directly(upstream: TLSServer, variables: dict[str, str], tmp_path: Path) -> None:
    with connect_proxy(tmp_path) as proxy:
        trust = {"SSL_CERT_FILE": str(upstream.files.authority), "HTTPS_PROXY": proxy.url}
        gateway = Running(("--port", "0", "--upstream", upstream.url), {**trust, **variables})
        try:
            assert ask(gateway) == {"data": {"licenseDeployments": {"totalCount": 2}}}
        finally:
            kill(gateway.process)
        assert proxy.events == []


def test_an_export_by_url_goes_through_the_proxy(tmp_path: Path) -> None:
    with connect_proxy(tmp_path) as proxy, tls_server(build(read_settings({})), tmp_path) as gateway:
        variables = {"SSL_CERT_FILE": str(gateway.files.authority), "HTTPS_PROXY": proxy.url}
        done = run("export", "--url", gateway.url, PARTNER_CENTER_TOKEN=TOKEN, **variables)
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 3), done.stderr
        proxy.assert_blind(TOKEN)


def test_an_export_names_the_proxy_that_wants_a_password(tmp_path: Path) -> None:
    """At once: waiting does not help."""
    with connect_proxy(tmp_path, credentials=DECODED) as proxy:
        done = run("export", "--url", "https://a.example", PARTNER_CENTER_TOKEN=TOKEN, HTTPS_PROXY=proxy.url)
    assert done.returncode == 1
    route, cause = f"a.example:443 through the proxy {proxy.place}", "the proxy wants another user name or password"
    remedy = "Put them into the proxy's address: http://user:password@proxy.example:8080."
    assert done.stderr == f"Error: Cannot reach {route}: {cause} (status 407). {remedy}\n"


@pytest.mark.parametrize("option", ["--url", "--upstream"])
def test_an_export_behind_a_dead_proxy_names_the_proxy_within_seconds(option: str) -> None:
    place = f"127.0.0.1:{free_port()}"
    variables = {"HTTPS_PROXY": f"http://user:{PASSWORD}@{place}", "GATEWAY_UPSTREAM_MAX_RETRIES": "0"}
    done = run("export", option, "https://a.example", PARTNER_CENTER_TOKEN=TOKEN, **variables)
    assert done.returncode == 4
    cause = "the proxy cannot be reached (connection refused)"
    problem = f"Cannot reach a.example:443 through the proxy {place}: {cause}"
    assert f"Error: {problem}. Check the proxy's address in HTTPS_PROXY. No" in done.stderr
    assert [line for line in done.stderr.splitlines() if "waiting" in line] == [
        f"{problem}; waiting {seconds} s." for seconds in (1, 2)
    ]


@pytest.mark.parametrize(
    ("mode", "cause", "remedy"),
    [
        ("refuse-504", "could not reach the host (status 504)", "Check that host's address, and whether"),
        (
            "refuse-405",
            "refused with status 405",
            "This address may not be a forward proxy. Check the proxy's address in",
        ),
        (
            "refuse-302",
            "refused with status 302",
            "This address may not be a forward proxy. Check the proxy's address in",
        ),
        ("refuse-500", "refused with status 500", ""),
        (
            "refuse-407 Negotiate, NTLM",
            "wants Negotiate or NTLM, which the gateway does not speak (status 407)",
            "Run a local proxy such as Px or cntlm in between, and name that one in https_proxy.",
        ),
        ('refuse-407 NTLM, Basic realm="x, Digest"', "wants another user name or password (status 407)", "Put them"),
        (
            GARBAGE,
            "does not speak HTTP",
            "Check the proxy's address in https_proxy. If the proxy itself speaks TLS, try",
        ),
    ],
)
async def test_each_refusal_of_a_proxy_ends_with_a_next_step(
    trusted: TLSServer, tmp_path: Path, mode: str, cause: str, remedy: str
) -> None:
    with connect_proxy(tmp_path, mode) as proxy:
        address = proxy_for(trusted.url, {"https_proxy": proxy.url})
        assert address is not None
        warning = await warning_about(trusted, address)
    assert warning["event"].endswith(f": the proxy {cause}")
    assert warning.get("remedy", "").startswith(remedy)
    assert bool(warning.get("remedy")) == bool(remedy)


async def test_a_plain_proxy_that_is_named_with_https_has_its_own_advice(trusted: TLSServer, tmp_path: Path) -> None:
    with connect_proxy(tmp_path) as proxy:
        address = upstream_proxy(f"https://{proxy.place}", trusted.url, {})
        assert address is not None
        warning = await warning_about(trusted, address, timeout_seconds=10)
    assert "(it does not speak TLS at this port)" in warning["event"]
    assert warning["remedy"] == "Try http:// in GATEWAY_UPSTREAM_PROXY."


async def test_the_log_names_a_proxy_in_trouble(trusted: TLSServer, tmp_path: Path) -> None:
    """Whether it is dead, silent, hangs up or refuses: not the upstream is the obstacle."""
    dead = f"127.0.0.1:{free_port()}"
    assert await problem_with(trusted, proxy_address(dead)) == "the proxy cannot be reached (connection refused)"
    for mode, cause in (
        (HANG_UP, "the proxy cannot be reached (connection closed)"),
        (STALL, "the proxy does not answer"),
        (SILENT, "timed out"),
        ("refuse-403", "the proxy refused with status 403"),
        ("refuse-502", "the proxy could not reach the host (status 502)"),
        (GARBAGE, "the proxy does not speak HTTP"),
    ):
        with connect_proxy(tmp_path, mode) as proxy:
            assert await problem_with(trusted, proxy_address(proxy.url)) == cause, mode


async def test_a_proxy_whose_certificate_is_not_trusted_is_told_from_the_upstream(
    trusted: TLSServer, tmp_path: Path
) -> None:
    (tmp_path / "proxy").mkdir()
    with tls_server(create_sandbox(), tmp_path / "proxy") as other:
        address = ProxyAddress("127.0.0.1", other.port, tls=True)
        assert await problem_with(trusted, address) == "the proxy cannot be reached (certificate not trusted)"


async def problem_with(server: TLSServer, proxy: ProxyAddress) -> str:
    """Return the cause that the log names for one failed attempt."""
    prefix = f"Cannot reach 127.0.0.1:{server.port} through the proxy {proxy.place}: "
    event = (await warning_about(server, proxy))["event"]
    assert event.startswith(prefix)
    return str(event.removeprefix(prefix))


async def warning_about(server: TLSServer, proxy: ProxyAddress, timeout_seconds: float = 0.5) -> Mapping[str, Any]:
    """Return the warning that the log has for one failed attempt."""
    with capture_logs() as lines:
        async with client(server.url, proxy=proxy, max_retries=0, timeout_seconds=timeout_seconds) as upstream_client:
            with pytest.raises(GatewayError):
                await upstream_client.call(page_query(), caller(TOKEN), deadline=float("inf"))
    return next(line for line in lines if line["log_level"] == "warning")


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *arguments]
    variables = environment(**variables)
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)


# Proxies in trouble


async def test_a_password_is_sent_to_the_proxy_alone(trusted: TLSServer, tmp_path: Path) -> None:
    with connect_proxy(tmp_path, credentials=DECODED) as proxy:
        observer = await called(trusted, proxy, f"user:{PASSWORD}@")
        assert observer.outcomes == ["ok"]
        proxy.assert_blind(TOKEN)


@pytest.mark.parametrize(
    ("mode", "code", "attempts", "is_permanent"),
    [
        ("refuse-407", "UPSTREAM_UNAVAILABLE", 1, True),
        ("refuse-403", "UPSTREAM_UNAVAILABLE", 1, True),
        (GARBAGE, "UPSTREAM_UNAVAILABLE", 1, True),
        ("refuse-502", "UPSTREAM_UNAVAILABLE", 3, None),
        (HANG_UP, "UPSTREAM_UNAVAILABLE", 3, None),
        (STALL, "UPSTREAM_TIMEOUT", 2, None),
        (SILENT, "UPSTREAM_TIMEOUT", 2, None),
    ],
)
async def test_a_proxy_in_trouble_is_a_coded_error_that_is_retried_if_that_can_help(
    trusted: TLSServer, tmp_path: Path, mode: str, code: str, attempts: int, is_permanent: bool | None
) -> None:
    """Every connection is closed afterwards, also one whose handshake was canceled."""
    observer = RecordingObserver()
    with connect_proxy(tmp_path, mode) as proxy:
        with pytest.raises(GatewayError) as caught:
            await called(trusted, proxy, observer=observer, timeout_seconds=0.5)
        await asyncio.to_thread(eventually, lambda: proxy.open_connections == 0)
        proxy.assert_blind(TOKEN)
    assert observer.outcomes == [code] * attempts
    assert caught.value.extensions().get("permanent") == is_permanent
    assert "proxy" not in caught.value.message


async def test_a_proxy_that_dies_in_the_middle_of_a_response_is_retried_once(
    trusted: TLSServer, tmp_path: Path
) -> None:
    observer = RecordingObserver()
    with connect_proxy(tmp_path, CUT) as proxy:
        async with client(trusted.url, proxy=proxy_address(proxy.url), observer=observer) as upstream_client:
            with pytest.raises(GatewayError):
                await upstream_client.call(page_query(top=1_000), caller("contoso"), deadline=float("inf"))
        proxy.assert_blind("contoso")
    assert len(observer.outcomes) == 2


async def test_failed_handshakes_behind_a_proxy_leave_the_pool_free(upstream: TLSServer, tmp_path: Path) -> None:
    """The HTTP library's own tunnels would fill the pool, and the third call would wait in vain."""
    with connect_proxy(tmp_path) as proxy:
        address = proxy_address(proxy.url)
        async with client(upstream.url, proxy=address, max_connections=2, timeout_seconds=5) as upstream_client:
            for _ in range(4):
                with pytest.raises(UpstreamUnavailable) as caught:
                    await upstream_client.call(page_query(), caller(TOKEN), deadline=float("inf"))
                assert caught.value.extensions()["permanent"] is True


async def test_a_kept_tunnel_is_used_again(trusted: TLSServer, tmp_path: Path) -> None:
    """The sandbox echoes request ids, so that all calls after the first can share a connection."""
    with connect_proxy(tmp_path) as proxy:
        async with client(trusted.url, proxy=proxy_address(proxy.url)) as upstream_client:
            for skip in range(4):
                await upstream_client.call(page_query(skip=skip), caller(TOKEN), deadline=float("inf"))
        assert len(proxy.heads) == 2


# Addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://proxy.example:3128", ProxyAddress("proxy.example", 3128)),
        ("proxy.example:3128/", ProxyAddress("proxy.example", 3128)),
        ("https://proxy.example", ProxyAddress("proxy.example", 443, tls=True)),
        ("http://a%3Ab:c%40d@[::1]:8080", ProxyAddress("::1", 8080, "a:b", "c@d")),
        ("user@proxy.example", ProxyAddress("proxy.example", 80, "user")),
    ],
)
def test_addresses_are_read_as_other_programs_read_them(text: str, expected: ProxyAddress) -> None:
    assert proxy_address(text) == expected
    assert "c@d" not in repr(proxy_address(text))


@pytest.mark.parametrize("value", ["socks5://secret@p:1080", "http://secret@p:port", "http://", "http://secret@p/path"])
@pytest.mark.parametrize("name", ["GATEWAY_UPSTREAM_PROXY", "HTTPS_PROXY"])
def test_other_addresses_are_faults_that_do_not_quote_them(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: set it to a proxy's address") as caught:
        read_settings({name: value, "GATEWAY_UPSTREAM_URL": "https://a.example"})
    assert "secret" not in str(caught.value)


def test_a_proxy_for_a_plain_http_upstream_is_a_fault() -> None:
    """It would see the token."""
    with pytest.raises(SettingsError, match=r"^GATEWAY_UPSTREAM_PROXY: a proxy would see the token"):
        read_settings({"GATEWAY_UPSTREAM_PROXY": "http://p:1", "GATEWAY_UPSTREAM_URL": "http://127.0.0.1:9000"})
    assert proxy_for("http://127.0.0.1:9000", {"HTTPS_PROXY": "http://p:1"}) is None


@pytest.mark.parametrize(
    ("variables", "route"),
    [
        ({}, "directly"),
        ({"HTTPS_PROXY": "http://u:secret@p:1"}, "through the proxy p:1 (HTTPS_PROXY)"),
        ({"https_proxy": "p:1"}, "through the proxy p:1 (https_proxy)"),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": "a.example"}, "directly (NO_PROXY)"),
        ({"NO_PROXY": "a.example"}, "directly"),
        ({"HTTPS_PROXY": "p:1", "GATEWAY_UPSTREAM_PROXY": "off"}, "directly (GATEWAY_UPSTREAM_PROXY)"),
        ({"HTTPS_PROXY": "p:1", "GATEWAY_UPSTREAM_PROXY": "q:2"}, "through the proxy q:2 (GATEWAY_UPSTREAM_PROXY)"),
        ({"HTTPS_PROXY": "p:1", "GATEWAY_UPSTREAM_URL": "http://127.0.0.1:9000"}, "directly"),
        ({"HTTPS_PROXY": "p:1", "GATEWAY_UPSTREAM_URL": "sandbox"}, "embedded in this process"),
    ],
)
def test_the_settings_end_with_the_way_to_the_upstream(variables: dict[str, str], route: str) -> None:
    done = run("settings", **{"GATEWAY_UPSTREAM_URL": "https://a.example", **variables})
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == f"# The upstream: {route}"


@pytest.mark.parametrize("name", ["GATEWAY_UPSTREAM_PROXY", "GATEWAY_CACHE_URL"])
def test_the_settings_are_printed_without_passwords(name: str) -> None:
    value = {"GATEWAY_UPSTREAM_PROXY": "user:secret@p:1", "GATEWAY_CACHE_URL": "redis://:secret@p:1"}[name]
    done = run("settings", **{name: value})
    assert (done.returncode, "secret" in done.stdout + done.stderr) == (0, False)
    assert f"\n{name}=" in done.stdout
    assert "//***@p:1" in done.stdout


@pytest.mark.parametrize(
    ("exemptions", "is_direct"),
    [
        ("", False),
        ("*", True),
        ("api.example", True),
        ("API.EXAMPLE", True),
        ("example", True),
        (".example", True),
        ("*.example", True),
        ("other.example, api.example", True),
        ("i.example", False),
        ("api.example.", True),
        ("api.example:443", True),
        ("api.example:8443", False),
        ("10.0.0.0/8", False),
    ],
)
def test_hosts_are_exempt_by_name_domain_and_port(exemptions: str, is_direct: bool) -> None:
    found = proxy_for("https://api.example", {"HTTPS_PROXY": "p:1", "NO_PROXY": exemptions})
    assert (found is None) == is_direct


@pytest.mark.parametrize(
    ("host", "exemptions", "is_direct"),
    [("10.1.2.3", "10.0.0.0/8", True), ("11.1.2.3", "10.0.0.0/8", False), ("[fd00::1]", "fd00::/8", True),
     ("[::1]", "[::1]", True), ("127.0.0.1", "127.0.0.1", True), ("10.1.2.3", "10.*", True), ("10.1.2.3", "10.", True),
     ("10.1.2.3", "10.1.*.*", True), ("10.1.2.3", "10.1.2.*", True), ("10.1.2.3", "10.2.*", False),
     ("110.1.2.3", "10.*", False), ("10.12.2.3", "10.1.*", False), ("10.example", "10.*", False)],
)  # fmt: skip
def test_addresses_are_exempt_by_network(host: str, exemptions: str, is_direct: bool) -> None:
    found = proxy_for(f"https://{host}", {"HTTPS_PROXY": "p:1", "NO_PROXY": exemptions})
    assert (found is None) == is_direct


def test_an_empty_lower_case_name_switches_the_proxy_off() -> None:
    assert proxy_for("https://a.example", {"HTTPS_PROXY": "p:1", "https_proxy": ""}) is None
