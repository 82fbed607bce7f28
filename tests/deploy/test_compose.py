"""docker-compose.yml is valid by the specification's schema, and its commands work as processes."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from gateway.config.environment import read_settings
from tests.deploy import dockerfile
from tests.deploy.processes import clean_environment, lint, running
from tests.deploy.valkey import valkey_settings
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
OURS = ("gateway", "sandbox")
# What the head of the file sets for the profile `sandbox`.
WITH_SANDBOX = {"GATEWAY_UPSTREAM_URL": "http://sandbox:9000"}
# On a busy two-core machine, Python takes a second or two to start.
HEALTHY_WITHIN_SECONDS = 45


@dataclass
class Host:
    """A substitute for the container network: service names become loopback, and their ports free ports."""

    folder: Path
    given: dict[str, str] = field(default_factory=dict)
    ports: dict[str, str] = field(default_factory=lambda: {port: str(free_port()) for port in ("8000", "9000", "6379")})

    def here(self, text: str) -> str:
        """Return ``text`` of the compose file with its variables filled in and addresses of this machine."""
        text = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda match: self.given.get(match[1], match[2]), text)
        text = text.replace("://sandbox:", "://127.0.0.1:").replace("://valkey:", "://127.0.0.1:")
        return re.sub(r"\b(8000|9000|6379)\b", lambda match: self.ports[match[0]], text)

    def command(self, service: str) -> list[str]:
        """Return the service's command."""
        return [self.here(part) for part in SERVICES[service]["command"]]

    def variables(self, service: str) -> dict[str, str]:
        """Return the environment of image and service, with another default port."""
        own = {name: self.here(str(value)) for name, value in SERVICES[service].get("environment", {}).items()}
        port = {"GATEWAY_PORT": self.ports["8000"]} if service == "gateway" else {}
        return {**dockerfile.variables(), **own, **port}

    def is_healthy(self, service: str) -> bool:
        """Run the service's health check verbatim, with its environment; return its result."""
        kind, *command = SERVICES[service]["healthcheck"]["test"]
        assert kind == "CMD"
        check, environment = [self.here(part) for part in command], clean_environment(self.variables(service))
        done = subprocess.run(check, env=environment, cwd=self.folder, capture_output=True, check=False)
        return done.returncode == 0

    def wait_until_healthy(self, service: str) -> None:
        """Wait until the service is healthy, like ``depends_on`` with ``service_healthy``."""
        deadline = time.monotonic() + HEALTHY_WITHIN_SECONDS
        while not self.is_healthy(service):
            assert time.monotonic() < deadline, f"{service} is not healthy"

    def response(self) -> httpx.Response:
        """Return the response to a query for all rows of the sandbox's smallest account."""
        return httpx.post(
            f"http://127.0.0.1:{self.ports['8000']}/graphql",
            json={"query": "{ licenseDeployments { totalCount nodes { customerName licensesSold } } }"},
            headers={"Authorization": "Bearer sample"},
            trust_env=False,
        )


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Start both of our services in the order of ``depends_on``, without Valkey, which is optional."""
    host = Host(tmp_path_factory.mktemp("containers"), WITH_SANDBOX)
    assert SERVICES["gateway"]["depends_on"] == {
        "sandbox": {"condition": "service_healthy", "required": False},
        "valkey": {"condition": "service_started"},
    }
    assert not any(host.is_healthy(service) for service in OURS)
    with running(host.command("sandbox"), host.variables("sandbox"), host.folder):
        host.wait_until_healthy("sandbox")
        with running(host.command("gateway"), host.variables("gateway"), host.folder):
            host.wait_until_healthy("gateway")
            yield host


def _is_a_row_of_the_sandbox(response: httpx.Response) -> bool:
    rows = response.json()["data"]["licenseDeployments"]
    return (rows["totalCount"], rows["nodes"][0]) == (2, {"customerName": "TEST COMPANY", "licensesSold": 9})


def _schema_faults(path: Path) -> str:
    return lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(path))


def test_the_file_follows_the_compose_specification() -> None:
    """Checked with the specification's JSON schema."""
    assert _schema_faults(FILE) == ""


def test_the_specification_refuses_a_misspelled_name(tmp_path: Path) -> None:
    text = FILE.read_text(encoding="utf-8")
    (tmp_path / FILE.name).write_text(text.replace("mem_limit: 1152m", "memory_limit: 1152m"), encoding="utf-8")
    assert "memory_limit" in _schema_faults(tmp_path / FILE.name)


def test_without_settings_the_gateway_answers_with_made_up_data(tmp_path: Path) -> None:
    """`docker compose up` needs neither a setting nor the sandbox's container."""
    host = Host(tmp_path)
    with running(host.command("gateway"), host.variables("gateway"), host.folder):
        host.wait_until_healthy("gateway")
        response = host.response()
    assert _is_a_row_of_the_sandbox(response)
    # Shown to everybody who might mistake the data for real.
    assert "X-Gateway-Upstream" in response.headers


def test_with_the_profile_the_gateway_answers_from_the_sandboxs_container(host: Host) -> None:
    """Run commands, environment and health checks of both services as processes, and one query through both."""
    response = host.response()
    assert _is_a_row_of_the_sandbox(response)
    # The sandbox is not embedded here, so the rows came over the network.
    assert "X-Gateway-Upstream" not in response.headers


def test_the_head_of_the_file_shows_each_profile_and_the_oldest_versions() -> None:
    """It explains the variables of the file, too."""
    head = FILE.read_text(encoding="utf-8").partition("\nname:")[0]
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
    assert set(re.findall(r"--profile (\w+)", head)) == profiles == {"sandbox", "monitoring"}
    assert all(f"{name}={value} docker compose" in head for name, value in WITH_SANDBOX.items())
    # `start_interval` came with API 1.44, and `required` with Compose 2.20.
    assert "Docker Engine 25 and Docker Compose 2.24" in head


def test_services_write_no_files(host: Host) -> None:
    """They work with a read-only file system."""
    assert list(host.folder.iterdir()) == []


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_locked_down_and_has_a_health_check(name: str) -> None:
    """Each has a read-only file system, and neither capabilities nor new privileges. Nothing grows without bound."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp:size=64m"]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["pids_limit"] > 0
    assert _bytes(service["mem_limit"]) > 0
    assert service["logging"]["driver"] == "json-file"
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_of_others_has_an_exact_version(name: str) -> None:
    """Later starts use the tested images."""
    if name in OURS:
        assert SERVICES[name]["build"] == "."
    else:
        assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+(-alpine)?", SERVICES[name]["image"])


def test_the_containers_memory_fits_what_their_settings_allow() -> None:
    """docs/operations.md: the gateway's cache, its response buffer, and 634 MiB."""
    settings = read_settings(Host(Path()).variables("gateway"))
    wanted = settings.cache_memory_bytes + settings.max_response_buffer_bytes + 634 * 2**20
    assert _bytes(SERVICES["gateway"]["mem_limit"]) >= wanted
    _, *options = SERVICES["valkey"]["command"]
    maximum = options[options.index("--maxmemory") + 1]
    assert _bytes(SERVICES["valkey"]["mem_limit"]) >= 1.5 * _bytes(maximum)


def _bytes(text: str) -> int:
    units = {"k": 2**10, "m": 2**20, "g": 2**30}
    return int(text.rstrip("kmgb")) * units[text.rstrip("b")[-1]]


def test_the_gateways_health_check_is_the_images() -> None:
    assert SERVICES["gateway"]["healthcheck"]["test"] == ["CMD", *dockerfile.health_command()]


def test_a_stopping_gateway_has_longer_than_its_grace_period() -> None:
    settings = read_settings(Host(Path()).variables("gateway"))
    assert int(SERVICES["gateway"]["stop_grace_period"].rstrip("s")) >= settings.shutdown_grace_seconds + 5


def test_valkey_has_the_same_settings_as_redis(tmp_path: Path) -> None:
    """The server reports a memory bound with LRU eviction, and no persistence."""
    _, *options = SERVICES["valkey"]["command"]
    assert valkey_settings(options, tmp_path, "redis://localhost") == {
        "maxmemory": str(256 * 2**20),
        "maxmemory-policy": "allkeys-lru",
        "save": "",
        "appendonly": "no",
    }
    assert list(tmp_path.iterdir()) == []


def test_nothing_can_be_reached_from_other_machines() -> None:
    """Requests carry tokens, and compose has no TLS."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_sandbox_and_monitoring_need_their_compose_profiles() -> None:
    """`docker compose up` starts only the services that answer queries."""
    profiles = {name: service.get("profiles") for name, service in SERVICES.items()}
    assert profiles == {
        "gateway": None,
        "valkey": None,
        "sandbox": ["sandbox"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }
