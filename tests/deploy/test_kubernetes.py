"""The manifests match the gateway, and a pod has minimal privileges."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.settings import Settings, read_settings, variable
from gateway.http.health import Health

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
DOCKERFILE = (Path(__file__).parents[2] / "Dockerfile").read_text(encoding="utf-8")
DOCUMENTS: dict[str, dict[str, Any]] = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.yaml")
}
DEPLOYMENT = DOCUMENTS["deployment.yaml"]["spec"]
POD = DEPLOYMENT["template"]["spec"]
CONTAINER = POD["containers"][0]
SELECTED = {"app.kubernetes.io/component": "gateway"}


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
    image = dict(re.findall(r"(GATEWAY_\w+)=(\S+)", DOCKERFILE))
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
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}" in DOCKERFILE
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
    policy = DOCUMENTS["networkpolicy.yaml"]["spec"]
    assert SELECTED.items() <= DEPLOYMENT["template"]["metadata"]["labels"].items()
    assert DEPLOYMENT["selector"]["matchLabels"] == SELECTED
    assert DOCUMENTS["service.yaml"]["spec"]["selector"] == SELECTED
    assert DOCUMENTS["pdb.yaml"]["spec"]["selector"]["matchLabels"] == SELECTED
    assert policy["podSelector"]["matchLabels"] == SELECTED
    assert DOCUMENTS["hpa.yaml"]["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": DOCUMENTS["deployment.yaml"]["metadata"]["name"],
    }


def test_a_pod_reaches_only_dns_redis_and_the_public_internet() -> None:
    policy = DOCUMENTS["networkpolicy.yaml"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    ports = [tuple(sorted({str(port["port"]) for port in rule["ports"]})) for rule in policy["egress"]]
    assert ports == [("53",), ("6379",), ("443",)]
    # Especially cloud metadata.
    assert "169.254.0.0/16" in policy["egress"][2]["to"][0]["ipBlock"]["except"]
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == ["http"]


def test_all_manifests_but_the_examples_are_applied_and_only_the_autoscaler_sets_replicas() -> None:
    applied = DOCUMENTS["kustomization.yaml"]["resources"]
    assert set(applied) == DOCUMENTS.keys() - {"kustomization.yaml", "secret.example.yaml", "ingress.example.yaml"}
    assert "replicas" not in DEPLOYMENT
    disruption = DOCUMENTS["pdb.yaml"]["spec"]["maxUnavailable"]
    assert DOCUMENTS["hpa.yaml"]["spec"]["minReplicas"] > disruption


def test_kustomize_renders_the_manifests_without_changing_foreign_selectors() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run([kubectl, "kustomize", str(FOLDER)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rendered = {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}
    assert set(rendered) == {DOCUMENTS[name]["kind"] for name in DOCUMENTS} - {"Kustomization", "Secret", "Ingress"} | {
        "ConfigMap"
    }
    assert rendered["NetworkPolicy"]["spec"] == DOCUMENTS["networkpolicy.yaml"]["spec"]
    assert rendered["ConfigMap"]["data"] == settings_file()
    name = rendered["Deployment"]["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    assert name == [{"configMapRef": {"name": rendered["ConfigMap"]["metadata"]["name"]}}]
