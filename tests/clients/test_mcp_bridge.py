"""An MCP bridge from npm reaches the gateway with the files of docs/neighbors.md, and runs trusted documents alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.test_clients import PINS, SCHEMA
from tests.conftest import Gateway, StartGateway
from tests.gateway.running import kill
from tests.schema.http.node_packages import installed

FILES = PINS / "mcp"
SERVER = json.loads((FILES / "servers.json").read_text(encoding="utf-8"))["mcpServers"]["licenses"]
MANIFEST = json.loads((FILES / "manifest.json").read_text(encoding="utf-8"))

# The first test to run waits for npm.
pytestmark = pytest.mark.timeout(300)


class Bridge:
    """The bridge as an AI tool runs it: JSON-RPC, one message a line, over standard input and output."""

    def __init__(self, folder: Path, url: str) -> None:
        [package] = SERVER["args"]
        name, _, version = package.partition("@")
        place = installed(PINS) / "node_modules"
        assert json.loads((place / name / "package.json").read_text(encoding="utf-8"))["version"] == version
        shutil.copy(SCHEMA, folder)
        variables = {**SERVER["env"], "ENDPOINT": f"{url}/graphql", "PATH": os.environ["PATH"]}
        self.process = subprocess.Popen(
            [str(place / ".bin" / name)],
            cwd=folder,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._number = 0
        client = {"name": "test", "version": "1"}
        self.request("initialize", protocolVersion="2025-03-26", capabilities={}, clientInfo=client)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def request(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of a request."""
        self._number += 1
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": parameters})
        assert self.process.stdout is not None
        response = json.loads(self.process.stdout.readline())
        assert response["id"] == self._number
        result: dict[str, Any] = response["result"]
        return result

    def call(self, tool: str, **arguments: Any) -> tuple[bool, str]:
        """Call a tool; return whether it succeeded, and its text."""
        result = self.request("tools/call", name=tool, arguments=arguments)
        [content] = result["content"]
        return not result.get("isError", False), content["text"]

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()


@pytest.fixture
def trusting(start_gateway: StartGateway) -> Gateway:
    """A gateway that runs the documents of the manifest alone."""
    return start_gateway(trusted_documents=str(FILES / "manifest.json"), introspection=False)


@pytest.fixture
def bridge(trusting: Gateway, tmp_path: Path) -> Iterator[Bridge]:
    """A bridge to that gateway."""
    started = Bridge(tmp_path, trusting.url)
    yield started
    kill(started.process)


def test_the_tools_and_the_schema_are_shown(bridge: Bridge) -> None:
    """The schema comes from the file, because introspection is off."""
    tools = bridge.request("tools/list")["tools"]
    assert {tool["name"] for tool in tools} == {"introspect-schema", "query-graphql"}
    assert bridge.call("introspect-schema") == (True, SCHEMA.read_text(encoding="utf-8"))


def test_trusted_documents_return_rows(bridge: Bridge) -> None:
    has_succeeded, text = bridge.call("query-graphql", query=MANIFEST["unused-licenses"])
    assert has_succeeded, text
    rows = json.loads(text)["data"]["licenseDeployments"]["nodes"]
    unassigned = [row["licensesUnassigned"] for row in rows]
    assert len(rows) == 5
    assert unassigned == sorted(unassigned, reverse=True)
    assert unassigned[0] > 0
    has_succeeded, text = bridge.call("query-graphql", query=MANIFEST["totals"])
    assert has_succeeded, text
    assert json.loads(text)["data"]["licenseDeployments"]["totals"]["licensesSold"] > 0


def test_other_documents_and_variables_are_refused_with_a_reason(bridge: Bridge) -> None:
    has_succeeded, text = bridge.call("query-graphql", query="{ licenseDeployments { totalCount } }")
    assert not has_succeeded
    assert "OPERATION_NOT_TRUSTED" in text
    has_succeeded, text = bridge.call("query-graphql", query=MANIFEST["totals"], variables='{"first": 1}')
    assert not has_succeeded
    assert "variables" in text
