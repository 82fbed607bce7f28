"""Trusted proxies report the client's host and path; nobody else can. Health checks of proxies are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gateway.config.proxies import is_within, proxy_networks
from gateway.http.forwarded import is_host_of
from tests.schema.http.responses import check_error, exchange

if TYPE_CHECKING:
    from tests.conftest import Gateway, StartGateway

QUERY = {"query": "{ __typename }"}
PUBLIC = {"Origin": "https://graphql.example", "X-Forwarded-Host": "graphql.example"}


@pytest.fixture
def behind(start_gateway: StartGateway) -> Gateway:
    """A gateway that trusts proxies on loopback, where the tests are."""
    return start_gateway(trusted_proxies=("127.0.0.0/8", "::1"))


@pytest.mark.parametrize("host", ["graphql.example", "GraphQL.example:443", "graphql.example, 10.0.0.7:8000"])
def test_a_trusted_proxy_reports_the_host(behind: Gateway, host: str) -> None:
    headers = {**PUBLIC, "X-Forwarded-Host": host}
    assert behind.client.post("/graphql", json=QUERY, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host", ["elsewhere.example", "", "graphql.example/x", "user@graphql.example", "a b", "graphql.example:port"]
)
def test_another_or_a_malformed_host_is_refused(behind: Gateway, host: str) -> None:
    headers = {**PUBLIC, "X-Forwarded-Host": host}
    check_error(behind.client.post("/graphql", json=QUERY, headers=headers), "BAD_REQUEST", 403)


def test_a_forwarded_host_replaces_the_host(behind: Gateway) -> None:
    """A page at the proxy's internal address is another site."""
    own = str(behind.client.base_url).rstrip("/")
    headers = {"Origin": own, "X-Forwarded-Host": "graphql.example"}
    check_error(behind.client.post("/graphql", json=QUERY, headers=headers), "BAD_REQUEST", 403)


def test_a_forwarded_host_does_not_admit_a_cross_site_request(behind: Gateway) -> None:
    headers = {**PUBLIC, "Sec-Fetch-Site": "cross-site"}
    check_error(behind.client.post("/graphql", json=QUERY, headers=headers), "BAD_REQUEST", 403)


@pytest.mark.parametrize("networks", [(), ("10.0.0.0/8",)])
def test_other_peers_are_not_believed(start_gateway: StartGateway, networks: tuple[str, ...]) -> None:
    gateway = start_gateway(trusted_proxies=networks)
    check_error(gateway.client.post("/graphql", json=QUERY, headers=PUBLIC), "BAD_REQUEST", 403)
    assert gateway.client.get("/", headers={"X-Forwarded-Prefix": "/reports"}).headers["Location"] == "graphql"


@pytest.mark.parametrize(
    ("prefix", "location"),
    [
        ("/reports", "/reports/graphql"),
        ("/reports/licenses/", "/reports/licenses/graphql"),
        ("/", "graphql"),
        ("", "graphql"),
        ("//elsewhere.example", "graphql"),
        ("https://elsewhere.example", "graphql"),
        ("/a/../b", "graphql"),
        ("/a?b", "graphql"),
        ("/" + "a" * 300, "graphql"),
    ],
)
def test_a_trusted_proxy_reports_the_prefix(behind: Gateway, prefix: str, location: str) -> None:
    """Without it, ``/reports`` would lead to ``/graphql``: a relative address needs the slash at the end."""
    response = behind.client.get("/", headers={"X-Forwarded-Prefix": prefix})
    assert response.headers["Location"] == location


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("192.168.1.7", True),
        ("192.168.1.8", False),
        ("fe80::1%eth0", True),
        ("11.0.0.1", False),
        ("", False),
        ("/run/socket", False),
    ],
)
def test_a_peer_is_trusted_by_address_or_network(address: str, expected: bool) -> None:
    networks = proxy_networks(["10.0.0.0/8", "192.168.1.7", "fe80::/10"])
    assert is_within(address, networks) is expected


@pytest.mark.parametrize("origin", ["null", "", "file://", "graphql.example"])
def test_an_origin_without_a_host_is_at_no_host(origin: str) -> None:
    assert not is_host_of(origin, "")
    assert not is_host_of(origin, "graphql.example")


# Health checks


@pytest.mark.parametrize(
    ("target", "methods"),
    [
        ("/", {"GET", "HEAD", "OPTIONS"}),
        ("*", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/readyz", {"GET", "HEAD", "OPTIONS"}),
        ("/graphql", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/export/licenseDeployments.csv", {"GET", "OPTIONS"}),
    ],
)
def test_options_is_answered_with_the_methods_of_a_path(gateway: Gateway, target: str, methods: set[str]) -> None:
    """HAProxy's ``option httpchk`` sends ``OPTIONS / HTTP/1.0`` without Host."""
    response = exchange(gateway.url, f"OPTIONS {target} HTTP/1.0\r\n\r\n".encode())
    assert response.status == 204
    allowed = next(line for line in response.head.splitlines() if line.lower().startswith("allow:"))
    assert set(allowed.partition(": ")[2].split(", ")) == methods


@pytest.mark.parametrize(
    "path", ["/", "/readyz", "/metrics", "/graphql", "/schema.graphql", "/export/licenseDeployments.csv"]
)
def test_a_refused_method_gets_the_same_list_as_options(gateway: Gateway, path: str) -> None:
    """RFC 9110, section 15.5.6."""
    refused = gateway.client.delete(path)
    assert refused.status_code == 405
    assert refused.headers["Allow"] == gateway.client.options(path).headers["Allow"]


def test_options_of_an_unknown_path_is_not_found(gateway: Gateway) -> None:
    check_error(gateway.client.options("/nothing"), "BAD_REQUEST", 404)


@pytest.mark.parametrize(("path", "status"), [("/", 307), ("/healthz", 200), ("/readyz", 200)])
def test_head_is_answered_without_a_body(gateway: Gateway, path: str, status: int) -> None:
    response = exchange(gateway.url, f"HEAD {path} HTTP/1.0\r\n\r\n".encode())
    assert (response.status, response.body) == (status, b"")


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("OPTIONS / HTTP/1.0", "debug"),
        ("OPTIONS * HTTP/1.0", "debug"),
        ("HEAD / HTTP/1.0", "debug"),
        ("HEAD /readyz HTTP/1.0", "debug"),
        ("GET / HTTP/1.0", "info"),
        ("OPTIONS /graphql HTTP/1.0", "info"),
    ],
)
def test_health_checks_do_not_fill_the_log(gateway: Gateway, line: str, level: str) -> None:
    """HAProxy's defaults send one every two seconds."""
    with capture_logs() as lines:
        exchange(gateway.url, f"{line}\r\n\r\n".encode())
    assert [line["log_level"] for line in lines if line["event"] == "request"] == [level]
