"""Check before timing that every GraphQL contender returns the upstream's rows."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

from tests.benchmarks.contenders import GRAPHQL, TAILCALL
from tests.benchmarks.queries import FIELDS, UPSTREAM_PATH
from tests.benchmarks.servers import Server

_TIMEOUT_SECONDS = 120


def ask(server: Server, document: str, token: str = "agreement") -> dict[str, Any]:
    """Return the connection of a server's answer. Raises RuntimeError for errors."""
    return timed(server, document, token)[0]


def timed(
    server: Server, document: str, token: str, variables: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], float]:
    """Return the connection and the milliseconds until the last byte. Raises RuntimeError for errors."""
    body = json.dumps({"query": document, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    start = time.perf_counter()
    text = _read(urllib.request.Request(f"{server.url}/graphql", body, headers))
    took_ms = (time.perf_counter() - start) * 1_000
    result = json.loads(text)
    if result.get("errors"):
        raise RuntimeError(f"{server.name} returns errors: {str(result['errors'])[:500]}")
    return result["data"]["licenseDeployments"], took_ms


def _read(request: urllib.request.Request | str) -> bytes:
    # Ignore proxy settings of the environment: everything is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
        text: bytes = response.read()
    return text


def check(upstream: Server, servers: Mapping[str, Server], rows: int = 50) -> None:
    """Raise RuntimeError if a contender's rows differ from the upstream's."""
    page = json.loads(_read(f"{upstream.url}{UPSTREAM_PATH}?top={rows}&skip=0"))
    fields = " ".join(FIELDS)
    for name in GRAPHQL:
        if name in servers:
            # Tailcall's schema has no edges.
            edges = "" if name == TAILCALL else f"edges {{ cursor node {{ {fields} }} }}"
            document = f"{{ licenseDeployments(first: {rows}) {{ totalCount nodes {{ {fields} }} {edges} }} }}"
            connection = ask(servers[name], document)
            nodes = [edge["node"] for edge in connection["edges"]] if edges else page["Value"]
            if not (connection["nodes"] == nodes == page["Value"] and connection["totalCount"] == page["TotalCount"]):
                raise RuntimeError(f"{name} does not return the upstream's rows.")
