"""The proxies' configurations in docs/proxies.md work, with the real programs in front of real gateways."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tests.certificates import Certificate, certificate
from tests.docs.readme import FENCE, README
from tests.gateway.running import Running, eventually, kill
from tests.ports import free_port
from tests.proxy_servers import haproxy_serving, nginx_serving

PAGE = (README.parent / "docs" / "proxies.md").read_text(encoding="utf-8")
SHOWN = {note: body for _, note, body in FENCE.findall(PAGE)}
NGINX, PREFIX = SHOWN["deploy/nginx/gateway.conf"], SHOWN["deploy/nginx/prefix.conf"]
HAPROXY = SHOWN["deploy/haproxy/haproxy.cfg"]
INGRESS = yaml.safe_load(SHOWN["deploy/kubernetes/ingress.example.yaml"])

HOST = "graphql.example.com"
TOKENS = [f"sample+as=proxied{number}" for number in range(12)]
QUERY = {"query": "{ licenseDeployments { totalCount } }"}


@contextmanager
def gateway(**variables: str) -> Iterator[Running]:
    running = Running(("serve", "--port", "0"), variables)
    try:
        yield running
    finally:
        kill(running.process)


@pytest.fixture(scope="module")
def replicas() -> Iterator[list[str]]:
    """The addresses of two gateways without a common cache."""
    with gateway() as one, gateway() as other:
        yield [one.url.removeprefix("http://"), other.url.removeprefix("http://")]


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("tls"), HOST, "127.0.0.1")


def here(configuration: str, replicas: list[str], changes: dict[str, str]) -> str:
    """Return ``configuration`` with the addresses and files of this machine; everything in ``changes`` occurs once."""
    changes = {"10.0.0.11:8000": replicas[0], "10.0.0.12:8000": replicas[-1], **changes}
    for written, own in changes.items():
        assert configuration.count(written) == 1, written
        configuration = configuration.replace(written, own)
    return configuration


@contextmanager
def nginx(folder: Path, replicas: list[str], pem: Certificate) -> Iterator[str]:
    port = free_port()
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/nginx/tls/certificate.pem": str(pem.chain),
        "/etc/nginx/tls/key.pem": str(pem.key),
    }
    with nginx_serving(folder, port, here(NGINX, replicas, changes)):
        yield f"https://127.0.0.1:{port}"


@contextmanager
def haproxy(folder: Path, replicas: list[str], pem: Certificate, configuration: str = HAPROXY) -> Iterator[str]:
    port, both = free_port(), folder / "both.pem"
    both.write_bytes(pem.chain.read_bytes() + pem.key.read_bytes())
    changes = {"bind :443": f"bind 127.0.0.1:{port}", "/etc/haproxy/graphql.pem": str(both)}
    with haproxy_serving(folder, port, here(configuration, replicas, changes)):
        yield f"https://127.0.0.1:{port}"


PROXIES = {"nginx": nginx, "haproxy": haproxy}


@pytest.fixture(params=PROXIES)
def proxy(
    request: pytest.FixtureRequest, tmp_path: Path, replicas: list[str], pem: Certificate
) -> Iterator[httpx.Client]:
    """A client of each proxy in front of both replicas."""
    with (
        PROXIES[request.param](tmp_path, replicas, pem) as url,
        client_of(url, pem) as client,
    ):
        eventually(lambda: client.get("/readyz").status_code == 200)
        yield client


def client_of(url: str, pem: Certificate) -> httpx.Client:
    trust = ssl.create_default_context(cafile=str(pem.authority))
    return httpx.Client(base_url=url, verify=trust, timeout=30, trust_env=False)


def post(client: httpx.Client, token: str, **headers: str) -> httpx.Response:
    return client.post("/graphql", json=QUERY, headers={"Authorization": f"Bearer {token}", **headers})


def test_a_token_stays_with_one_replica(proxy: httpx.Client, replicas: list[str]) -> None:
    """The second request is answered from the memory of the replica that has the rows; both replicas get tokens."""
    before = [served_by(replica) for replica in replicas]
    for token in TOKENS:
        first, *others = (post(proxy, token).headers["X-Cache"] for _ in range(4))
        assert others == ["hit"] * 3, first
    shares = [served_by(replica) - count for replica, count in zip(replicas, before, strict=True)]
    assert sum(shares) == 4 * len(TOKENS)
    assert all(shares)


def served_by(replica: str) -> int:
    """Return the number of operations of a replica."""
    text = httpx.get(f"http://{replica}/metrics", trust_env=False).text
    counts = re.findall(r"^gateway_operations_total\{[^}]*\} ([0-9.e+]+)$", text, re.MULTILINE)
    return int(sum(float(count) for count in counts))


def test_a_page_of_the_public_address_may_post_even_without_sec_fetch_site(proxy: httpx.Client) -> None:
    """As over plain http inside a company network."""
    own = {"Host": f"{HOST}:8443"}
    assert post(proxy, "sample", Origin=f"https://{HOST}:8443", **own).status_code == 200
    assert post(proxy, "sample", Origin=f"https://elsewhere.{HOST}", **own).status_code == 403


def test_exports_pass_through_a_proxy_whole(proxy: httpx.Client) -> None:
    response = proxy.get("/export/licenseDeployments.csv", headers={"Authorization": f"Bearer {TOKENS[0]}"})
    assert response.status_code == 200
    assert len(response.text.splitlines()) == 1 + int(response.headers["X-Total-Count"])


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD"])
def test_probes_through_a_proxy_are_answered(proxy: httpx.Client, method: str) -> None:
    assert proxy.request(method, "/").is_error is False


@pytest.mark.parametrize(
    "probe",
    [
        "option httpchk",
        "option httpchk HEAD /readyz",
        "option httpchk\n  http-check send meth OPTIONS uri / ver HTTP/1.1 hdr Host gateway",
    ],
)
def test_haproxys_usual_probes_find_the_replicas_up(
    tmp_path: Path, replicas: list[str], pem: Certificate, probe: str
) -> None:
    """Without an answer to the probe, all replicas are down and requests get 503."""
    # Without a separate limit, probes would have to be answered within the interval, also on a busy machine.
    probing = f"timeout check 10s\n  {probe}"
    usual = re.sub(r"option httpchk\n  http-check send .*", probing, HAPROXY).replace("inter 2s", "inter 50ms fall 1")
    with haproxy(tmp_path, replicas, pem, usual) as url, client_of(url, pem) as client:
        give_up = time.monotonic() + 1
        while time.monotonic() < give_up:
            assert client.get("/readyz").status_code == 200
            time.sleep(0.02)


def test_haproxy_leaves_a_stopped_replica_out(tmp_path: Path, pem: Certificate) -> None:
    with gateway() as one, gateway() as other:
        replicas = [running.url.removeprefix("http://") for running in (one, other)]
        quick = HAPROXY.replace("inter 2s", "inter 50ms fall 1")
        with haproxy(tmp_path, replicas, pem, quick) as url, client_of(url, pem) as client:
            kill(one.process)
            eventually(lambda: all(post(client, token).status_code == 200 for token in TOKENS))


@pytest.mark.parametrize("is_trusted", [True, False])
def test_nginx_may_serve_the_gateway_below_a_path(tmp_path: Path, is_trusted: bool) -> None:
    """Only a trusted proxy's host and prefix count."""
    port = free_port()
    trusted = {"GATEWAY_TRUSTED_PROXIES": "127.0.0.1"} if is_trusted else {}
    with gateway(**trusted) as running:
        location = PREFIX.replace("10.0.0.11:8000", running.url.removeprefix("http://"))
        server = f"server {{ listen 127.0.0.1:{port};\n{location} }}"
        with nginx_serving(tmp_path, port, server), httpx.Client(trust_env=False) as client:
            url = f"http://127.0.0.1:{port}"
            assert client.get(f"{url}/reports/").headers["Location"] == (
                "/reports/graphql" if is_trusted else "graphql"
            )
            assert client.get(f"{url}/reports").headers["Location"] == f"{url}/reports/"
            page = client.get(f"{url}/reports/graphql", headers={"Accept": "text/html"})
            script = re.search(r'src="(graphiql/[^"]+main.js)"', page.text)
            assert script, page.text
            answers = [
                client.get(f"{url}/reports/{script[1]}", headers={"Origin": url}),
                client.post(f"{url}/reports/graphql", json={"query": "{ __typename }"}, headers={"Origin": url}),
            ]
            assert [answer.status_code for answer in answers] == ([200, 200] if is_trusted else [403, 403])


def test_the_ingress_leads_to_the_service() -> None:
    folder = README.parent / "deploy" / "kubernetes"
    service = yaml.safe_load((folder / "service.yaml").read_text(encoding="utf-8"))
    [rule] = INGRESS["spec"]["rules"]
    [path] = rule["http"]["paths"]
    backend = path["backend"]["service"]
    assert backend["name"] == service["metadata"]["name"]
    assert backend["port"]["name"] == service["spec"]["ports"][0]["name"]
    assert INGRESS["spec"]["tls"][0]["hosts"] == [rule["host"]]
    annotations = INGRESS["metadata"]["annotations"]
    assert annotations["nginx.org/lb-method"] == "hash $http_authorization consistent"
    # The same values as in the example for nginx.
    assert f"proxy_read_timeout {annotations['nginx.org/proxy-read-timeout']};" in SHOWN["deploy/nginx/gateway.conf"]
    assert (
        f"client_max_body_size {annotations['nginx.org/client-max-body-size']};" in SHOWN["deploy/nginx/gateway.conf"]
    )
