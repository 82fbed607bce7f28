"""Shared by all clients: the gateway's address, the history, and counted results."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from tests.soak.history import History
from tests.soak.upstream import VERSION_STEP, row_count, rows

CANARY = "kanarienvogel9c1e"

FIELDS = ("customerName", "licensesSold", "processedDateTime")
ARGUMENTS = "first: $first, last: $last, offset: $offset, after: $after, before: $before"
CONNECTION = f"""licenseDeployments({ARGUMENTS}) {{
    totalCount pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} nodes {{ {" ".join(FIELDS)} }}
  }}"""
QUERY = f"""query Q($first: Int, $last: Int, $offset: Int, $after: String, $before: String) {{
  {CONNECTION} }}"""


class BrokenByKill(Exception):
    """The connection of a request broke because its worker was killed."""


@dataclass
class Load:
    """All clients of one gateway."""

    url: str
    client: httpx.AsyncClient
    random: random.Random
    history: History = field(default_factory=History)
    results: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    is_over: bool = False

    def now(self) -> float:
        """Return the event loop's time."""
        return asyncio.get_running_loop().time()

    async def send(self, method: str, path: str, token: str, **options: Any) -> httpx.Response:
        """Return the response. Raises BrokenByKill, and any other connection error unchanged."""
        started = self.now()
        self.requests += 1
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        try:
            return await self.client.request(method, f"{self.url}{path}", headers=headers, **options)
        except httpx.TransportError as error:
            self.require_kill(error, started)
            raise BrokenByKill from None

    def require_kill(self, error: Exception, started: float) -> None:
        """Raise ``error`` again unless a killed worker explains it. A kill breaks connections at once: no timeouts."""
        if isinstance(error, httpx.TimeoutException) or not self.history.explains_broken_connection(started):
            raise error
        self.results["broken by a kill"] += 1

    async def post(self, token: str, query: str, variables: dict[str, Any], started: float) -> dict[str, Any] | None:
        """Return an operation's data, or None for an error that a recent event explains."""
        response = await self.send("POST", "/graphql", token, json={"query": query, "variables": variables})
        return self.checked(response, token, started)

    def checked(self, response: httpx.Response, token: str, started: float) -> dict[str, Any] | None:
        """Return a response's data, or None for an error that an event since ``started`` explains."""
        body: dict[str, Any] = msgspec.json.decode(response.content)
        if "errors" not in body:
            self.results["good"] += 1
            data: dict[str, Any] = body["data"]
            return data
        self.check_refusal(body, token, started)
        return None

    def check_refusal(self, body: dict[str, Any], token: str, started: float) -> None:
        """Check that an event since ``started`` explains the errors in a response."""
        assert CANARY not in msgspec.json.encode(body).decode()
        allowed = self.history.codes(token, started)
        for error in body["errors"]:
            code = error["extensions"]["code"]
            assert code in allowed, f"{code}, but the recent events explain {allowed}: {body}"
            self.results[code] += 1

    def check(self, answer: dict[str, Any], token: str, start: int, stop: int, started: float) -> int | None:
        """Check that an answer is exactly rows ``[start, stop)`` of one version; return the version, None if empty."""
        total = row_count(token)
        nodes = answer["nodes"]
        version = nodes[0]["licensesSold"] // VERSION_STEP if nodes else 0
        expected = rows(token, start, stop, version)
        assert nodes == [{name: node[name] for name in FIELDS} for node in expected], difference(nodes, expected)
        assert answer["totalCount"] == total
        assert answer["pageInfo"]["hasNextPage"] == (stop < total)
        if not nodes:
            return None
        versions = self.history.versions(token, started)
        assert version in versions, f"version {version} of {token}, but {versions} are current"
        return int(version)


def difference(nodes: list[dict[str, Any]], expected: list[dict[str, Any]]) -> str:
    """Describe the first wrong row; assertions do not show long lists."""
    for number, (node, right) in enumerate(zip(nodes, expected, strict=False)):
        if any(node[name] != right[name] for name in FIELDS):
            return f"row {number} of {len(expected)} is {node}, not {right}"
    return f"{len(nodes)} rows, not {len(expected)}"
