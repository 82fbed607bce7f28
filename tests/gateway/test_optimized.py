"""Real processes of ``python -OO``, which removes docstrings and assertions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.__main__ import build
from gateway.config.environment import read_settings
from tests.gateway.running import Running, environment, kill

COMMANDS = ("", "serve", "sandbox", "schema", "settings", "export", "token")


def output_of(*arguments: str, **variables: str) -> bytes:
    """Return the standard output of a command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments], env=environment(**variables), capture_output=True, check=True
    ).stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_texts_are_complete(command: str) -> None:
    arguments = [part for part in (command, "--help") if part]
    normal = output_of(*arguments)
    assert len(normal.splitlines()) > 6
    assert output_of(*arguments, PYTHONOPTIMIZE="2") == normal


def test_the_schema_keeps_its_descriptions() -> None:
    schema = output_of("schema", PYTHONOPTIMIZE="2")
    assert schema == output_of("schema")
    assert schema.count(b'"""') > 100


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    running = Running(("--port", "0"), {"PYTHONOPTIMIZE": "2"})
    try:
        yield running.url
    finally:
        kill(running.process)


QUERY = """{
    licenseDeployments(first: 2, filter: {channel: {ne: "x"}}, groupBy: [SERVICE_CODE]) {
        totalCount nodes { serviceCode licensesSold } pageInfo { endCursor } warnings: __typename
    }
}"""


@pytest.mark.parametrize("token", ["contoso", "tailspin", "contoso+truncate", "contoso+json", "nobody"])
@pytest.mark.parametrize("query", [QUERY, "{ __schema { types { description } } }", "{ nothing }", "{"])
async def test_answers_are_the_same(url: str, token: str, query: str) -> None:
    request: dict[str, Any] = {"json": {"query": query}, "headers": {"Authorization": f"Bearer {token}"}}
    app = build(read_settings({}))
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            normal = (await client.post("/graphql", **request)).json()
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
            optimized = (await client.post("/graphql", **request)).json()
    for error in [*normal.get("errors", []), *optimized.get("errors", [])]:
        error["extensions"].pop("correlationId", None)
        error["extensions"].get("upstream", {}).pop("requestId", None)
    assert optimized == normal
