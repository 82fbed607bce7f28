"""`gateway doctor`: complete for every kind of upstream, and free of its data."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.access_token import AccessToken
from gateway.cli.doctor.examination import NOT_ASKED, Examination, Report
from gateway.cli.doctor.prober import Prober
from gateway.config.groups import UpstreamConfig
from gateway.network.causes import TRUST_REMEDY
from gateway.network.proxies import proxy_address
from gateway.query import PageQuery
from gateway.sandbox import FAULTS_HELP, create_sandbox
from gateway.upstream.transport import EmbeddedTransport
from schema.build import DATASETS
from tests.certificates import certificate
from tests.connect_proxy import STALL, connect_proxy
from tests.gateway.running import environment
from tests.ports import free_port
from tests.proxy_servers import nginx_serving
from tests.tls_server import tls_server

# One example of each switch, as `gateway sandbox --help` lists them.
FAULTS = re.findall(r"^  ([a-z][a-z-]*(?:=\S+)?)  +\S", FAULTS_HELP.partition("Add faults")[2], re.MULTILINE)

# These do not respond within a test's patience.
SLOW = ("latency", "hang", "hang-body", "trickle")

CONFIG = {"timeout_seconds": 10.0, "max_body_bytes": 1_000_000}

URL = "http://sandbox.invalid"

SANDBOX = create_sandbox()
"""One for all tests, because making its rows takes a while. Each token has a history of its own."""


async def examined(token: str, number: int = 0, **changes: Any) -> Report:
    """Return the report of the embedded sandbox with ``token``, about the dataset with this number."""
    config: dict[str, Any] = {**CONFIG, **changes}
    prober = Prober(UpstreamConfig(URL, **config), AccessToken(token), EmbeddedTransport(SANDBOX))
    try:
        return await Examination(prober, DATASETS[number][0]).run()
    finally:
        await prober.aclose()


async def data() -> set[str]:
    """Return all texts in the rows of contoso and sample."""
    texts = set()
    transport = httpx.ASGITransport(SANDBOX)
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        for token in ("contoso", "sample"):
            path = f"/v1/{DATASETS[0][0].path}?top=10000"
            response = await client.get(path, headers={"Authorization": f"Bearer {token}"})
            texts |= {value for row in response.json()["Value"] for value in row.values() if isinstance(value, str)}
    # Shorter ones, such as "null", are words of the report as well.
    return {text for text in texts if len(text) > 4} - {"reseller", "direct"}


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "doctor", *arguments]
    variables = environment(**variables)
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("number", range(len(DATASETS)))
async def test_the_report_of_the_sandbox_is_complete_in_about_twelve_calls(number: int) -> None:
    report = await examined("contoso", number)
    assert report.is_complete
    assert len(report.answers) == 12
    assert not [found for found in report.findings.values() if "unknown" in found or "not asked" in found]


def test_every_fault_of_the_sandbox_is_tried() -> None:
    assert len(FAULTS) > 45
    assert {"bom", "link=absolute", "hang", "headers=2000"} <= set(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_report_of_any_upstream_has_no_data(fault: str) -> None:
    """Neither names, ids, counts nor the token: only words, statuses, short codes and times."""
    patience: dict[str, Any] = {"timeout_seconds": 0.2} if fault.split("=")[0] in SLOW else {}
    token = f"contoso+{fault}+as=doctor"
    report = await examined(token, **patience)
    text = "\n".join(f"{subject}: {found}" for subject, found in report.findings.items() if subject != "time")
    assert token not in text
    assert [value for value in await data() if value in text] == []
    unexpected = re.sub(r"status \d{3}\b|code \d{1,6}\b|prefix /v1|query of \d,000 characters", "", text)
    assert re.findall(r"\d+", unexpected) == []
    subjects = {subject for subject in report.findings if not subject.startswith("query of")}
    if NOT_ASKED in report.findings.values():
        assert subjects == {"configured address", "everything else", "time"}
    else:
        complete = await examined("contoso+as=complete")
        assert subjects == {subject for subject in complete.findings if not subject.startswith("query of")}


@pytest.mark.parametrize(
    ("fault", "subject", "found"),
    [
        ("bom", "byte order mark", "yes"),
        ("link=absolute", "link to the next page", "absolute, to the same host"),
        ("link=foreign", "link to the next page", "absolute, to another host"),
        ("link=never", "link to the next page", "null"),
        ("total=missing", "TotalCount", "missing"),
        ("total-key=totalCount", "envelope", "Value, @nextLink, totalCount"),
        ("value-key=value", "envelope", "value, @nextLink, TotalCount"),
        ("counts=string", "counts", "text"),
        ("dates=z", "processed dates", "with a time zone"),
        ("keys=pascal", "keys of rows", "documented ones in another case, some missing"),
        ("extra-keys", "keys of rows", "further ones"),
        ("exact", "the same in another case", "no rows: case matters"),
        ("unstable", "same rows when asked again", "no"),
        ("over=5", "ten rows asked", "more"),
        ("cap=3", "ten rows asked", "fewer"),
        ("ids=none", "request ids", "MS-RequestId missing, MS-CorrelationId missing"),
        ("ids=other", "request ids", "MS-RequestId another, MS-CorrelationId another"),
        ("reprocess-after=7", "sums of groups", "different from the rows'"),
        ("prefix=partner", "with the prefix /v1", "status 404"),
        ("groupdate", "grouped rows", "dates: as documented"),
        ("mfa", "configured address", "status 401, code 900421"),
        ("status=503", "configured address", "status 503"),
        ("status-once=500", "configured address", "status 200"),
        ("redirect=302", "configured address", "status 302"),
        ("garbage", "configured address", "the body is not JSON"),
        ("truncate", "configured address", "malformed or cut response"),
        ("bomb", "configured address", "the body is too large or corrupt"),
    ],
)
async def test_each_difference_is_found(fault: str, subject: str, found: str) -> None:
    report = await examined(f"contoso+{fault}+as=found")
    assert found in report.findings[subject]


@pytest.mark.parametrize(
    ("token", "found"),
    [
        ("contoso", "another spelling that the page uses, too"),
        ("contoso+names=table", "as documented"),
        ("contoso+names=both", "another spelling that the page uses, too"),
    ],
)
async def test_another_spelling_of_a_measure_is_found(token: str, found: str) -> None:
    report = await examined(token, 1)
    assert (report.findings["keys of rows"], report.findings["counts"]) == (found, "whole numbers")
    assert report.findings["sums of groups"] == "equal to those of the rows"


@pytest.mark.parametrize("fault", ["hang", "throttle=30", "mfa", "status=500"])
async def test_after_a_failed_first_call_nothing_else_is_asked(fault: str) -> None:
    report = await examined(f"sample+{fault}+as=first", timeout_seconds=0.3)
    assert (report.is_complete, len(report.answers)) == (False, 1)
    assert report.findings["everything else"] == NOT_ASKED


# The command


def test_the_command_prints_a_table_without_the_token() -> None:
    done = run(PARTNER_CENTER_TOKEN="sample+as=secret")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("| subject | found |\n|---|---|\n| gateway |")
    assert "| upstream | sandbox |\n" in done.stdout
    assert "secret" not in done.stdout


def test_a_refused_token_is_exit_code_1() -> None:
    done = run(PARTNER_CENTER_TOKEN="unknown")
    assert (done.returncode, "| configured address | status 401" in done.stdout) == (1, True)


def test_without_a_token_the_usage_is_explained() -> None:
    done = run()
    assert (done.returncode, "PARTNER_CENTER_TOKEN" in done.stderr) == (2, True)


def test_it_goes_through_the_proxy_of_the_gateway(tmp_path: Path) -> None:
    """And names neither its address nor its password."""
    with connect_proxy(tmp_path, credentials="user:secret") as proxy, tls_server(create_sandbox(), tmp_path) as server:
        variables = {"GATEWAY_UPSTREAM_PROXY": f"http://user:secret@{proxy.place}", "PARTNER_CENTER_TOKEN": "sample"}
        done = run("--upstream", server.url, SSL_CERT_FILE=str(server.files.authority), **variables)
        proxy.assert_blind("sample")
    assert done.returncode == 0
    assert "| proxy | yes |\n" in done.stdout
    assert "secret" not in done.stdout
    assert proxy.place not in done.stdout


def test_an_untrusted_certificate_is_named_with_what_to_do(tmp_path: Path) -> None:
    with tls_server(create_sandbox(), tmp_path) as server:
        done = run("--upstream", server.url, PARTNER_CENTER_TOKEN="sample")
    assert (done.returncode, "| configured address | certificate not trusted |" in done.stdout) == (1, True)
    assert done.stderr == f"Cannot reach 127.0.0.1:{server.port}: certificate not trusted. {TRUST_REMEDY}\n"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_other_scheme_of_a_port_is_suggested(tmp_path: Path, scheme: str) -> None:
    """nginx refuses plain HTTP at a TLS port with 400."""
    files = certificate(tmp_path, "127.0.0.1")
    tls = f"listen 127.0.0.1:{{port}} ssl; ssl_certificate {files.chain}; ssl_certificate_key {files.key};"
    port = free_port()
    listen = tls.format(port=port) if scheme == "http" else f"listen 127.0.0.1:{port};"
    with nginx_serving(tmp_path / "nginx", port, f"server {{ {listen} return 200; }}"):
        done = run("--upstream", f"{scheme}://127.0.0.1:{port}", PARTNER_CENTER_TOKEN="sample")
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert f"try {'https' if scheme == 'http' else 'http'}://" in done.stderr


def test_a_dead_proxy_is_the_obstacle() -> None:
    """The report does not show its address, but standard error does."""
    place = f"127.0.0.1:{free_port()}"
    variables = {"GATEWAY_UPSTREAM_PROXY": f"http://user:secret@{place}", "PARTNER_CENTER_TOKEN": "sample"}
    done = run("--upstream", "https://a.example", **variables)
    cause = "the proxy cannot be reached (connection refused)"
    assert (done.returncode, f"| configured address | {cause} |" in done.stdout) == (1, True)
    remedy = "Check the proxy's address in GATEWAY_UPSTREAM_PROXY."
    assert done.stderr == f"Cannot reach a.example:443 through the proxy {place}: {cause}. {remedy}\n"
    assert place not in done.stdout


def test_a_refusing_proxy_is_the_obstacle(tmp_path: Path) -> None:
    with connect_proxy(tmp_path, "refuse-403") as proxy:
        done = run("--upstream", "https://a.example", HTTPS_PROXY=proxy.url, PARTNER_CENTER_TOKEN="sample")
    assert (done.returncode, "| configured address | the proxy refused with status 403 |" in done.stdout) == (1, True)
    problem = f"Cannot reach a.example:443 through the proxy {proxy.place}: the proxy refused with status 403."
    assert done.stderr.startswith(f"{problem} Ask the proxy's administrator")


async def test_a_silent_proxy_is_the_obstacle(tmp_path: Path) -> None:
    with connect_proxy(tmp_path, STALL) as proxy:
        config = UpstreamConfig("https://a.example", timeout_seconds=0.3, proxy=proxy_address(proxy.url))
        prober = Prober(config, AccessToken("sample"), None)
        answer = await prober.ask(PageQuery(DATASETS[0][0], top=1))
        await prober.aclose()
    assert answer.failure == "the proxy does not answer"
