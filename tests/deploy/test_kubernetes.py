"""The manifests match the gateway, and a pod has minimal privileges."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from gateway.config.environment import read_settings
from gateway.config.settings import Settings, variable
from gateway.http.health import Health
from tests.deploy import dockerfile
from tests.deploy.processes import lint
from tests.deploy.valkey import valkey_settings

FOLDER = dockerfile.ROOT / "deploy" / "kubernetes"
DOCUMENTS: dict[str, dict[str, Any]] = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.yaml")
}
DEPLOYMENT = DOCUMENTS["deployment.yaml"]["spec"]
POD = DEPLOYMENT["template"]["spec"]
CONTAINER = POD["containers"][0]
SELECTED = {"app.kubernetes.io/component": "gateway"}
POLICY = DOCUMENTS["networkpolicy.yaml"]["spec"]
VALKEY: dict[str, dict[str, Any]] = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (FOLDER / "valkey").glob("*.yaml")
}
VALKEY_POD = VALKEY["deployment.yaml"]["spec"]["template"]["spec"]
COMPOSE = yaml.safe_load((dockerfile.ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
# The oldest version that kustomization.yaml and docs/operations.md name, and the newest one known to the linter.
VERSIONS = ["1.27", "1.37"]
# Private, shared, loopback, multicast, broadcast.
PRIVATE = ["10.0.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "127.0.0.1", "224.0.0.251", "255.255.255.255"]
# Of AWS and most others, Azure, Alibaba, Oracle; of AWS and Google over IPv6.
METADATA = ["169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"]
# Loopback, link-local, unique local, multicast, and NAT64 of private networks (RFC 8215).
LOCAL = ["::1", "fe80::1", "fc00::1", "ff02::1", "64:ff9b:1::1"]
# RFC 6052: the addresses under which an IPv6-only cluster reaches IPv4.
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def settings_file() -> dict[str, str]:
    """Return the names and values in settings.env."""
    lines = (FOLDER / "settings.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_image_is_that_of_this_version() -> None:
    """The manifests of a release start that release."""
    [image] = DOCUMENTS["kustomization.yaml"]["images"]
    project = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (image["name"], image["newTag"]) == (CONTAINER["image"], project["version"])


def test_the_compose_settings_start_a_gateway() -> None:
    """They are read as the gateway reads them, together with variables of the image and the secret."""
    image = dockerfile.variables()
    own = {entry["name"] for entry in CONTAINER["env"]}
    assert own <= {variable(field) for field in Settings.model_fields}
    secret = DOCUMENTS["secret.example.yaml"]
    reference = CONTAINER["env"][0]["valueFrom"]["secretKeyRef"]
    assert reference["name"] == secret["metadata"]["name"]
    environment = {**image, **settings_file(), CONTAINER["env"][0]["name"]: secret["stringData"][reference["key"]]}
    settings = read_settings(environment)
    assert settings.upstream_url == "https://api.partnercenter.microsoft.com"
    assert settings.workers == 1
    assert settings.port == CONTAINER["ports"][0]["containerPort"]


def test_the_pods_grace_period_exceeds_the_gateways_shutdown_time() -> None:
    settings = read_settings({**settings_file(), "GATEWAY_HOST": "0.0.0.0"})
    pause_seconds = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    # Kubernetes counts both together toward the grace period.
    assert POD["terminationGracePeriodSeconds"] >= pause_seconds + settings.shutdown_grace_seconds + 5


def test_a_pods_memory_fits_the_cache_and_the_process() -> None:
    """By SECURITY.md and the benchmarks: the cache bound plus a few hundred megabytes."""
    settings = read_settings({**settings_file(), "GATEWAY_HOST": "0.0.0.0"})
    bytes_of = {"Mi": 2**20, "Gi": 2**30}
    requested, limit = (
        int(CONTAINER["resources"][kind]["memory"][:-2]) * bytes_of[CONTAINER["resources"][kind]["memory"][-2:]]
        for kind in ("requests", "limits")
    )
    assert requested >= settings.cache_memory_bytes + 200 * 2**20
    assert limit >= requested + 200 * 2**20


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_probes_use_existing_paths(probe: str) -> None:
    paths = {route.path for route in Health().routes}
    request = CONTAINER[probe]["httpGet"]
    assert request["path"] in paths
    assert request["port"] == CONTAINER["ports"][0]["name"]
    # A stopping gateway fails only readiness: a failed liveness probe would kill it before it finishes.
    assert request["path"] == ("/readyz" if probe == "readinessProbe" else "/healthz")


def test_a_pod_has_no_more_privileges_than_the_image() -> None:
    """It meets Kubernetes' `restricted` standard, which its namespace enforces, and has a read-only file system."""
    namespace = DOCUMENTS["namespace.yaml"]["metadata"]
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert namespace["name"] == DOCUMENTS["kustomization.yaml"]["namespace"]
    user = POD["securityContext"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}" in dockerfile.TEXT
    assert user["runAsNonRoot"] is True
    assert user["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["automountServiceAccountToken"] is False
    # Otherwise Kubernetes would inject GATEWAY_PORT=tcp://….
    assert POD["enableServiceLinks"] is False


def test_all_manifests_select_the_same_pods() -> None:
    assert SELECTED.items() <= DEPLOYMENT["template"]["metadata"]["labels"].items()
    assert DEPLOYMENT["selector"]["matchLabels"] == SELECTED
    assert DOCUMENTS["service.yaml"]["spec"]["selector"] == SELECTED
    assert DOCUMENTS["pdb.yaml"]["spec"]["selector"]["matchLabels"] == SELECTED
    assert POLICY["podSelector"]["matchLabels"] == SELECTED
    assert DOCUMENTS["hpa.yaml"]["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": DOCUMENTS["deployment.yaml"]["metadata"]["name"],
    }


def test_a_pod_reaches_only_dns_redis_and_the_public_internet() -> None:
    assert POLICY["policyTypes"] == ["Ingress", "Egress"]
    ports = [{(port["port"], port["protocol"]) for port in rule["ports"]} for rule in POLICY["egress"]]
    dns = {(port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")}
    assert ports == [dns, {(6379, "TCP")}, {(443, "TCP")}]
    assert [port for rule in POLICY["ingress"] for port in rule["ports"]] == [{"port": "http", "protocol": "TCP"}]


def test_dns_is_reached_in_every_usual_place() -> None:
    """By namespace, because not every cluster labels its DNS pods `kube-dns`, and by NodeLocal DNSCache's address."""
    places = POLICY["egress"][0]["to"]
    names = {place["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for place in places[:2]}
    assert names == {"kube-system", "openshift-dns"}
    assert places[2:] == [{"ipBlock": {"cidr": "169.254.20.10/32"}}]


def _blocked(address: str) -> bool:
    """Return whether the rule for the internet leaves the address out."""
    at = ipaddress.ip_address(address)
    blocks = [place["ipBlock"] for place in POLICY["egress"][2]["to"]]
    [block] = [block for block in blocks if ipaddress.ip_network(block["cidr"]).version == at.version]
    return any(at in ipaddress.ip_network(network) for network in block["except"])


@pytest.mark.parametrize("address", [*PRIVATE, *METADATA, *LOCAL])
def test_private_addresses_and_metadata_are_unreachable(address: str) -> None:
    """An IPv4 address in its NAT64 form, too."""
    assert _blocked(address)
    if (at := ipaddress.ip_address(address)).version == 4:
        assert _blocked(str(NAT64[int(at)]))


@pytest.mark.parametrize("address", ["20.190.128.1", "40.126.0.1", "2603:1000::1", "64:ff9b::14be:8001"])
def test_public_addresses_are_reachable_over_both_protocols(address: str) -> None:
    """Those of Microsoft, and one of them through NAT64, as clusters with IPv6 only reach it."""
    assert not _blocked(address)


def test_kubernetes_accepts_the_exceptions() -> None:
    """Each lies inside its block, has no host bits, and is no IPv4-mapped address."""
    mapped = ipaddress.ip_network("::ffff:0:0/96")
    for place in POLICY["egress"][2]["to"]:
        versions = {ipaddress.ip_network(network).version for network in place["ipBlock"]["except"]}
        assert versions == {ipaddress.ip_network(place["ipBlock"]["cidr"]).version}
        assert not any(ipaddress.ip_network(network).overlaps(mapped) for network in place["ipBlock"]["except"])


def test_ipv4_addresses_are_left_out_in_their_nat64_form_too() -> None:
    ipv4, ipv6 = (place["ipBlock"]["except"] for place in POLICY["egress"][2]["to"])
    translated = {
        ipaddress.IPv6Network((NAT64[int(network.network_address)], 96 + network.prefixlen))
        for network in map(ipaddress.IPv4Network, ipv4)
    }
    assert translated == {network for network in map(ipaddress.IPv6Network, ipv6) if network.subnet_of(NAT64)}


def _rendered(folder: Path) -> str:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yaml")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_kubernetes_accepts_each_manifest(path: Path, version: str) -> None:
    """By the schema of its API, without unknown fields. kubectl checks the two files of kustomize."""
    if path.name != "kustomization.yaml":
        assert lint("kubernetes-validate", "--strict", "--kubernetes-version", version, str(path)) == ""


@pytest.mark.parametrize(
    ("name", "text", "broken"),
    [
        ("deployment.yaml", "runAsNonRoot: true", "runAsNonRoot: yes please"),
        ("pdb.yaml", "maxUnavailable", "maxUnavailible"),
        ("networkpolicy.yaml", "port: 443", "ports: 443"),
    ],
)
def test_the_schemas_refuse_a_fault(name: str, text: str, broken: str, tmp_path: Path) -> None:
    manifest = (FOLDER / name).read_text(encoding="utf-8")
    assert text in manifest
    (tmp_path / name).write_text(manifest.replace(text, broken), encoding="utf-8")
    assert "did not validate" in lint("kubernetes-validate", "--strict", str(tmp_path / name))


def test_the_oldest_version_is_named() -> None:
    """By the fields used: matchLabelKeys and unhealthyPodEvictionPolicy are on by default since Kubernetes 1.27."""
    assert f"Needs Kubernetes {VERSIONS[0]} or later." in (FOLDER / "kustomization.yaml").read_text(encoding="utf-8")
    page = (dockerfile.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert f"*Kubernetes* ({VERSIONS[0]} or later)" in page


def test_all_manifests_but_the_examples_are_applied_and_only_the_autoscaler_sets_replicas() -> None:
    applied = DOCUMENTS["kustomization.yaml"]["resources"]
    assert set(applied) == DOCUMENTS.keys() - {"kustomization.yaml", "secret.example.yaml", "ingress.example.yaml"}
    assert "replicas" not in DEPLOYMENT
    disruption = DOCUMENTS["pdb.yaml"]["spec"]["maxUnavailable"]
    assert DOCUMENTS["hpa.yaml"]["spec"]["minReplicas"] > disruption


def test_kustomize_renders_the_manifests_without_changing_foreign_selectors() -> None:
    rendered = {document["kind"]: document for document in yaml.safe_load_all(_rendered(FOLDER))}
    assert set(rendered) == {DOCUMENTS[name]["kind"] for name in DOCUMENTS} - {"Kustomization", "Secret", "Ingress"} | {
        "ConfigMap"
    }
    assert rendered["NetworkPolicy"]["spec"] == POLICY
    assert rendered["ConfigMap"]["data"] == settings_file()
    name = rendered["Deployment"]["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    assert name == [{"configMapRef": {"name": rendered["ConfigMap"]["metadata"]["name"]}}]


def test_the_line_in_the_kustomization_adds_valkey_to_the_same_namespace(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "kubernetes"))
    text = (folder / "kustomization.yaml").read_text(encoding="utf-8")
    assert "\n# components: " in text
    (folder / "kustomization.yaml").write_text(text.replace("\n# components: ", "\ncomponents: "), encoding="utf-8")
    documents = [each for each in yaml.safe_load_all(_rendered(folder)) if each["metadata"]["name"] == "redis"]
    assert {document["kind"] for document in documents} == {"Deployment", "Service", "NetworkPolicy"}
    namespace = DOCUMENTS["namespace.yaml"]["metadata"]["name"]
    assert {document["metadata"]["namespace"] for document in documents} == {namespace}


def test_the_gateway_reaches_valkey_and_nobody_else_does() -> None:
    """By its labels, its service, its port and the password of the secret."""
    selected = VALKEY["deployment.yaml"]["spec"]["selector"]["matchLabels"]
    assert selected == VALKEY["deployment.yaml"]["spec"]["template"]["metadata"]["labels"]
    assert selected == VALKEY["service.yaml"]["spec"]["selector"]
    assert POLICY["egress"][1]["to"] == [{"podSelector": {"matchLabels": selected}}]
    policy = VALKEY["networkpolicy.yaml"]["spec"]
    assert policy["podSelector"]["matchLabels"] == selected
    assert (policy["policyTypes"], policy.get("egress")) == (["Ingress", "Egress"], None)
    assert [rule["from"] for rule in policy["ingress"]] == [[{"podSelector": {"matchLabels": SELECTED}}]]
    secret = DOCUMENTS["secret.example.yaml"]["stringData"]
    [password] = VALKEY_POD["containers"][0]["env"]
    service = VALKEY["service.yaml"]
    address = f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert secret["url"] == f"redis://:{secret[password['valueFrom']['secretKeyRef']['key']]}@{address}"
    assert VALKEY_POD["containers"][0]["args"][-2:] == ["--requirepass", f"$({password['name']})"]


def test_valkey_has_the_version_settings_and_limits_of_compose_and_the_privileges_of_the_gateway() -> None:
    [container], compose = VALKEY_POD["containers"], COMPOSE["valkey"]
    assert container["image"] == compose["image"]
    assert container["args"][:-2] == compose["command"]
    assert container["resources"]["limits"]["memory"].rstrip("Mi") == compose["mem_limit"].rstrip("m")
    assert container["securityContext"] == CONTAINER["securityContext"]
    user = VALKEY_POD["securityContext"]
    assert f"{user['runAsUser']}:{user['runAsGroup']}" == compose["user"]
    assert (user["runAsNonRoot"], user["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    assert (VALKEY_POD["automountServiceAccountToken"], VALKEY_POD["enableServiceLinks"]) == (False, False)


def test_valkey_needs_the_password_of_the_secret(tmp_path: Path) -> None:
    """Its arguments, with the variable filled in as the kubelet does, and the secret's URL on this machine."""
    secret = DOCUMENTS["secret.example.yaml"]["stringData"]
    _, *arguments = VALKEY_POD["containers"][0]["args"]
    options = [argument.replace("$(PASSWORD)", secret["password"]) for argument in arguments]
    url = secret["url"].replace("@redis:6379", "@localhost")
    assert valkey_settings(options, tmp_path, url)["maxmemory-policy"] == "allkeys-lru"
    with pytest.raises(redis.AuthenticationError):
        valkey_settings(options, tmp_path, "redis://localhost")
