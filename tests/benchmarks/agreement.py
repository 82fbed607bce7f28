"""Before anything is timed: whoever answers in GraphQL must answer with the upstream's rows."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

from tests.benchmarks.contenders import GRAPHQL
from tests.benchmarks.questions import FIELDS, UPSTREAM_PATH
from tests.benchmarks.servers import Server

_TIMEOUT_SECONDS = 120


def ask(server: Server, document: str, token: str = "agreement") -> dict[str, Any]:
    """The connection that a server answers with. Raises RuntimeError when there are errors."""
    return timed(server, document, token)[0]


def timed(server: Server, document: str, token: str) -> tuple[dict[str, Any], float]:
    """The same, and the milliseconds until the last byte had come."""
    body = json.dumps({"query": document}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    start = time.perf_counter()
    text = _read(urllib.request.Request(f"{server.url}/graphql", body, headers))
    took_ms = (time.perf_counter() - start) * 1_000
    reply = json.loads(text)
    if reply.get("errors"):
        raise RuntimeError(f"{server.name} answers with errors: {str(reply['errors'])[:500]}")
    return reply["data"]["licenseDeployments"], took_ms


def _read(request: urllib.request.Request | str) -> bytes:
    # No proxy of the environment: everything is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_TIMEOUT_SECONDS) as reply:
        text: bytes = reply.read()
    return text


def check(upstream: Server, servers: Mapping[str, Server], rows: int = 50) -> None:
    """Raises RuntimeError when a contender's rows are not the upstream's."""
    page = json.loads(_read(f"{upstream.url}{UPSTREAM_PATH}?top={rows}&skip=0"))
    fields = " ".join(FIELDS)
    document = (
        f"{{ licenseDeployments(first: {rows})"
        f" {{ totalCount nodes {{ {fields} }} edges {{ cursor node {{ {fields} }} }} }} }}"
    )
    for name in GRAPHQL:
        if name in servers:
            found = ask(servers[name], document)
            edges = [edge["node"] for edge in found["edges"]]
            if not (found["nodes"] == edges == page["Value"] and found["totalCount"] == page["TotalCount"]):
                raise RuntimeError(f"{name} does not answer with the upstream's rows.")
