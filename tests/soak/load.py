"""Clients that send many kinds of requests and check each answer."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.soak.upstream import row

CANARY = "kanarienvogel9c1e"

QUERY = """query Q($first: Int, $last: Int, $offset: Int, $after: String, $before: String) {
  licenseDeployments(first: $first, last: $last, offset: $offset, after: $after, before: $before) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } nodes { customerName licensesSold }
  } }"""

# The error code that each upstream fault may cause, until this time after its end: the longest cool-down and one call.
CODES = {"503": "UPSTREAM_UNAVAILABLE", "429": "RATE_LIMITED", "garbage": "UPSTREAM_BAD_RESPONSE"}
AFTERMATH_SECONDS = 3.0

CLIENTS, NEWCOMERS, TOKENS = 8, 32, 10_000
# The pause leaves processor time for the clients with new tokens.
PAUSE_SECONDS = 0.05
ROWS = (0, 3, 150, 199, 200, 201, 999, 1_000, 1_001, 2_500)


@dataclass
class Load:
    """All clients of one gateway. ``ended`` holds the end of each fault by the loop's clock."""

    url: str
    client: httpx.AsyncClient
    random: random.Random
    ended: dict[str, float] = field(default_factory=dict)
    results: Counter[str] = field(default_factory=Counter)
    newcomers: int = 0
    first_third: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False

    async def run_client(self, number: int) -> None:
        """Run one client with its own token until the load ends."""
        token = f"{CANARY}-{number}-{ROWS[number % len(ROWS)]}"
        actions = [
            self._page,
            self._page,
            self._paginate,
            self._revalidate,
            self._refused,
            self._malformed,
            self._disconnect,
        ]
        while not self.is_over:
            await self.random.choice(actions)(token)
            await asyncio.sleep(PAUSE_SECONDS)

    async def run_newcomers(self) -> None:
        """Send one request for each of many new tokens."""
        while self.newcomers < TOKENS:
            self.newcomers += 1
            if self.newcomers > TOKENS / 3:
                self.first_third.set()
            await self._page(f"{CANARY}-new{self.newcomers}-{self.newcomers % 4}")

    async def _post(self, token: str, variables: dict[str, Any]) -> dict[str, Any] | None:
        """Return the connection, or None for an error that a recent fault explains."""
        started = asyncio.get_running_loop().time()
        body = {"query": QUERY, "variables": variables}
        response = await self.client.post(
            f"{self.url}/graphql", json=body, headers={"Authorization": f"Bearer {token}"}
        )
        return self._checked(response, started)

    def _checked(self, response: httpx.Response, started: float) -> dict[str, Any] | None:
        body: dict[str, Any] = response.json()
        if "errors" not in body:
            self.results["good"] += 1
            answer: dict[str, Any] = body["data"]["licenseDeployments"]
            return answer
        assert CANARY not in response.text
        code = body["errors"][0]["extensions"]["code"]
        recent = {CODES.get(fault) for fault, seen in self.ended.items() if seen + AFTERMATH_SECONDS >= started}
        assert code in recent, f"{code}, but the recent faults are {recent}: {body}"
        self.results[code] += 1
        return None

    async def _page(self, token: str) -> dict[str, Any] | None:
        total = int(token.rpartition("-")[2])
        first, offset = self.random.choice([1, 7, 100, 500, 1_200]), self.random.randint(0, total + 2)
        backward = self.random.random() < 0.2
        answer = await self._post(token, {"last": first} if backward else {"first": first, "offset": offset})
        if answer is not None:
            start, stop = (
                (max(0, total - first), total) if backward else (min(offset, total), min(offset + first, total))
            )
            check(answer, token, start, stop)
        return answer

    async def _paginate(self, token: str) -> None:
        total, size = int(token.rpartition("-")[2]), self.random.choice([40, 333])
        start, after = 0, None
        for _ in range(6):
            answer = await self._post(token, {"first": size, "after": after})
            if answer is None:
                return
            check(answer, token, start, min(total, start + size))
            start, after = start + size, answer["pageInfo"]["endCursor"]
            if not answer["pageInfo"]["hasNextPage"]:
                return

    async def _revalidate(self, token: str) -> None:
        total, started = int(token.rpartition("-")[2]), asyncio.get_running_loop().time()
        headers = {"Authorization": f"Bearer {token}"}
        parameters = {"query": QUERY, "variables": json.dumps({"first": self.random.choice([5, 50])})}
        first = await self.client.get(f"{self.url}/graphql", params=parameters, headers=headers)
        answer = self._checked(first, started)
        if answer is None or "ETag" not in first.headers:
            return
        check(answer, token, 0, min(total, json.loads(parameters["variables"])["first"]))
        second = await self.client.get(
            f"{self.url}/graphql", params=parameters, headers=headers | {"If-None-Match": first.headers["ETag"]}
        )
        self.results[str(second.status_code)] += 1
        if second.status_code == 304:
            assert not second.content
        else:
            again = self._checked(second, started)
            assert again is None or again == answer

    async def _refused(self, token: str) -> None:
        await self._expect_unauthenticated(f"Bearer {CANARY}-stranger", asks_upstream=True)

    async def _malformed(self, token: str) -> None:
        await self._expect_unauthenticated(f"Bearer {CANARY} {CANARY}", asks_upstream=False)

    async def _expect_unauthenticated(self, header: str, *, asks_upstream: bool) -> None:
        started = asyncio.get_running_loop().time()
        response = await self.client.post(
            f"{self.url}/graphql", json={"query": QUERY}, headers={"Authorization": header}
        )
        code = response.json()["errors"][0]["extensions"]["code"]
        if asks_upstream and code != "UNAUTHENTICATED":
            assert self._checked(response, started) is None
            return
        assert (response.status_code, code) == (401, "UNAUTHENTICATED")
        self.results[code] += 1

    async def _disconnect(self, token: str) -> None:
        """Disconnect at a random time between the first byte and the answer."""
        address = urlsplit(self.url)
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        body = json.dumps({"query": QUERY, "variables": {"first": 7, "offset": self.random.randint(0, 40)}}).encode()
        head = (
            f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\n"
        )
        whole = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        writer.write(whole if self.random.random() < 0.7 else whole[: self.random.randint(1, len(whole))])
        await writer.drain()
        await asyncio.sleep(self.random.random() * 0.01)
        writer.transport.abort()
        self.results["disconnected"] += 1


def check(answer: dict[str, Any], token: str, start: int, stop: int) -> None:
    """Check that an answer is exactly the rows ``[start, stop)`` of the token."""
    total = int(token.rpartition("-")[2])
    expected = [row(token, number) for number in range(start, stop)]
    assert answer["nodes"] == [{name: node[name] for name in ("customerName", "licensesSold")} for node in expected]
    assert answer["totalCount"] == total
    assert answer["pageInfo"]["hasNextPage"] == (stop < total)
