"""The wheel, in a fresh environment outside the checkout, does everything that the README promises.

Run on each Python that pyproject.toml lists and this machine has.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from packaging.utils import canonicalize_name

from gateway.config.settings import Settings, variable
from tests.deploy.locks import read_lock
from tests.gateway.running import Running, kill
from tests.packaging.distributions import PROJECT, ROOT, Distributions, metadata
from tests.packaging.installations import Installation, find_python, install

VERSIONS = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
# RFC 9239 for JavaScript, RFC 2318 for CSS, and the SVG specification.
MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json"}

# Fetching about forty packages takes seconds on an ordinary connection, minutes on a slow one.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", params=VERSIONS)
def installed(
    request: pytest.FixtureRequest, built: Distributions, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """The wheel, installed for one Python; without a package index the tests are skipped, except in CI."""
    python = find_python(request.param)
    if python is None:
        pytest.skip(f"no Python {request.param} on this machine")
    try:
        return install(python, built.wheel, tmp_path_factory.mktemp("installed"))
    except AssertionError as error:
        if os.environ.get("CI") or "No matching distribution found" not in str(error):
            raise
        pytest.skip(f"the packages of requirements.lock cannot be had here:\n{error}")


@pytest.fixture
def served(installed: Installation) -> Iterator[Running]:
    """The installed gateway, serving on a free port."""
    running = Running(("--port", "0"), {"PYTHONPATH": ""}, [str(installed.programs / "gateway")], installed.folder)
    yield running
    kill(running.process)


def test_only_the_wheel_and_its_requirements_are_installed(installed: Installation, built: Distributions) -> None:
    """The environment has only packages and versions of the lock, and no test dependencies."""
    program = "import gateway, schema; print(gateway.__file__, schema.__file__, sep='\\n')"
    for place in installed.run("python", "-c", program).splitlines():
        assert Path(place).is_relative_to(installed.programs.parent)
    lock = {(pin.name, pin.version) for pin in read_lock(ROOT / "requirements.lock")}
    program = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    lines = installed.run("python", "-c", program).splitlines()
    here = {(canonicalize_name(name), version) for name, version in map(str.split, lines)}
    own = ("partner-center-graphql", str(metadata(built.wheel)["Version"]))
    assert own in here
    assert here - {own} <= lock
    assert "pytest" not in {name for name, _ in here}


def test_pip_check_reports_no_problems(installed: Installation) -> None:
    """Warnings about paths of this machine are ignored."""
    lines = [line for line in installed.pip_output.splitlines() if re.match("WARNING|DEPRECATION|ERROR", line)]
    assert [line for line in lines if not line.startswith("WARNING: Location ")] == []


def test_the_commands_that_answer_and_end_work(installed: Installation) -> None:
    """The schema is compared with the published file."""
    assert installed.run("gateway", "--version") == f"gateway, version {PROJECT['version']}\n"
    assert installed.run("partner-center-graphql", "--version") == installed.run("gateway", "--version")
    assert installed.run("gateway", "schema", "--check", str(ROOT / "schema" / "schema.graphql")) == ""
    *lines, _ = installed.run("gateway", "settings").splitlines()
    names = [line.partition("=")[0] for line in lines]
    assert names == [variable(name) for name in Settings.model_fields]
    assert installed.run("python", "-m", "gateway", "--version") == f"gateway, version {PROJECT['version']}\n"


def test_the_installed_gateway_serves_queries_page_and_metrics_and_shuts_down(served: Running) -> None:
    with httpx.Client(base_url=served.url, trust_env=False, timeout=30) as client:
        query = {"query": "{ licenseDeployments { totalCount nodes { productName } } }"}
        answer = client.post("/graphql", json=query, headers={"Authorization": "Bearer sample"}).json()
        assert answer["data"]["licenseDeployments"]["totalCount"] == 2
        check_page(client)
        metrics = client.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain")
        assert 'gateway_operations_total{cache="miss",operation="other",outcome="ok"} 1.0' in metrics.text
    status, said, _ = served.end(signal.SIGTERM)
    assert (status, "Traceback" in said, "Warning" in said) == (0, False, False), said


def check_page(client: httpx.Client) -> None:
    """Fetch GraphiQL's page, every file that it names, and every module that those import."""
    page = client.get("/graphql", headers={"Accept": "text/html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    wanted = [f"/{path}" for path in re.findall(r'(?:src|href)="([^"]+)"', page.text)]
    assert any("/vendor/react/" in path for path in wanted)
    fetched: set[str] = set()
    while wanted:
        path = wanted.pop()
        response = client.get(path)
        assert (response.status_code, bool(response.content)) == (200, True), path
        assert response.headers["content-type"].partition(";")[0] == MEDIA_TYPES[Path(path).suffix], path
        fetched.add(path)
        imported = re.findall(r'from "\./([^"]+)"', response.text) if "/static/" in path else []
        wanted += {f"{path.rpartition('/')[0]}/{name}" for name in imported} - fetched
    assert any(path.endswith("/fetcher.js") for path in fetched)
