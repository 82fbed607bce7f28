"""docker-compose.yml is valid by the specification's schema, and its commands work as processes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import yaml

from tests.deploy.processes import PROGRAMS, clean_environment, running
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
OURS = ("gateway", "sandbox")
# On a busy two-core machine, Python takes a second or two to start.
HEALTHY_WITHIN_SECONDS = 45


@dataclass
class Host:
    """A substitute for the container network: service names become loopback, and their ports free ports."""

    folder: Path
    ports: dict[str, str] = field(default_factory=lambda: {port: str(free_port()) for port in ("8000", "9000", "6379")})

    def here(self, text: str) -> str:
        """Return ``text`` of the compose file with defaults filled in and addresses of this machine."""
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
        text = text.replace("://sandbox:", "://127.0.0.1:").replace("://valkey:", "://127.0.0.1:")
        return re.sub(r"\b(8000|9000|6379)\b", lambda match: self.ports[match[0]], text)

    def command(self, service: str) -> list[str]:
        """Return the service's command."""
        return [self.here(part) for part in SERVICES[service]["command"]]

    def variables(self, service: str) -> dict[str, str]:
        """Return the environment of image and service, with another default port."""
        image = dict(re.findall(r"(GATEWAY_\w+)=(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8")))
        own = {name: self.here(str(value)) for name, value in SERVICES[service].get("environment", {}).items()}
        return {**image, **own, **({"GATEWAY_PORT": self.ports["8000"]} if service == "gateway" else {})}

    def is_healthy(self, service: str) -> bool:
        """Run the service's health check verbatim; return its result."""
        kind, *command = SERVICES[service]["healthcheck"]["test"]
        assert kind == "CMD"
        check = [self.here(part) for part in command]
        done = subprocess.run(check, env=clean_environment({}), cwd=self.folder, capture_output=True, check=False)
        return done.returncode == 0

    def wait_until_healthy(self, service: str) -> None:
        """Wait until the service is healthy, like ``depends_on`` with ``service_healthy``."""
        deadline = time.monotonic() + HEALTHY_WITHIN_SECONDS
        while not self.is_healthy(service):
            assert time.monotonic() < deadline, f"{service} is not healthy"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Start both of our services in the order of ``depends_on``, without Valkey, which is optional."""
    host = Host(tmp_path_factory.mktemp("containers"))
    assert SERVICES["gateway"]["depends_on"] == {
        "sandbox": {"condition": "service_healthy"},
        "valkey": {"condition": "service_started"},
    }
    assert not any(host.is_healthy(service) for service in OURS)
    with running(host.command("sandbox"), host.variables("sandbox"), host.folder):
        host.wait_until_healthy("sandbox")
        with running(host.command("gateway"), host.variables("gateway"), host.folder):
            host.wait_until_healthy("gateway")
            yield host


def test_the_file_follows_the_compose_specification() -> None:
    """Checked with the specification's JSON schema."""
    command = [str(PROGRAMS / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_gateway_answers_from_its_sandbox(host: Host) -> None:
    """Run commands, environment and health checks of both services as processes, and one query through both."""
    response = httpx.post(
        f"http://127.0.0.1:{host.ports['8000']}/graphql",
        json={"query": "{ licenseDeployments { totalCount nodes { customerName licensesSold } } }"},
        headers={"Authorization": "Bearer sample"},
        trust_env=False,
    )
    assert response.json()["data"]["licenseDeployments"] == {
        "totalCount": 2,
        "nodes": [
            {"customerName": "TEST COMPANY", "licensesSold": 9},
            {"customerName": "TEST COMPANY", "licensesSold": 5},
        ],
    }
    # The sandbox is not embedded here, so the rows came over the network.
    assert "X-Gateway-Upstream" not in response.headers


def test_services_write_no_files(host: Host) -> None:
    """They work with a read-only file system."""
    assert list(host.folder.iterdir()) == []


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_locked_down_and_has_a_health_check(name: str) -> None:
    """Each has a read-only file system, and neither capabilities nor new privileges."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]
    assert service["healthcheck"]["test"][0] == "CMD"


def test_valkey_has_the_same_settings_as_redis(tmp_path: Path) -> None:
    """The server reports a memory bound with LRU eviction, and no persistence."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        assert not os.environ.get("CI"), "redis-server is not installed"
        pytest.skip("neither valkey-server nor redis-server is installed")
    _, *options = SERVICES["valkey"]["command"]
    port = free_port()
    with running([program, *options, "--port", str(port)], {}, tmp_path), redis.Redis(port=port) as client:
        limit = time.monotonic() + HEALTHY_WITHIN_SECONDS
        while not _answers(client):
            assert time.monotonic() < limit
            time.sleep(0.02)
        match = client.config_get("maxmemory", "maxmemory-policy", "save", "appendonly")
    assert match == {
        "maxmemory": str(256 * 2**20),
        "maxmemory-policy": "allkeys-lru",
        "save": "",
        "appendonly": "no",
    }
    assert list(tmp_path.iterdir()) == []


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_nothing_can_be_reached_from_other_machines() -> None:
    """Requests carry tokens, and compose has no TLS."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_monitoring_needs_its_compose_profile() -> None:
    """`docker compose up` starts the services that answer queries, but no monitoring."""
    watching = {name for name, service in SERVICES.items() if service.get("profiles") == ["monitoring"]}
    assert watching == {"prometheus", "grafana"}
    # Each image has a version, so that later starts use the tested images.
    assert all(re.search(r":v?\d+\.\d+\.\d+$", SERVICES[name]["image"]) for name in watching)
