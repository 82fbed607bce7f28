"""Clients that ask everything in every way, and know what each answer must be."""

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

# What may be told of a fault of the upstream, until so many seconds after it: the longest cool-down and a call.
CODES = {"503": "UPSTREAM_UNAVAILABLE", "429": "RATE_LIMITED", "garbage": "UPSTREAM_BAD_RESPONSE"}
AFTERMATH_SECONDS = 3.0

CLIENTS, NEWCOMERS, TOKENS = 8, 32, 10_000
# Leaves the newcomers their part of the processor.
PAUSE_SECONDS = 0.05
ROWS = (0, 3, 150, 199, 200, 201, 999, 1_000, 1_001, 2_500)


@dataclass
class Load:
    """All clients of one gateway. ``ended`` holds, for each fault, when it was last seen (the loop's clock)."""

    url: str
    client: httpx.AsyncClient
    random: random.Random
    ended: dict[str, float] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)
    newcomers: int = 0
    first_third: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False

    async def run_client(self, number: int) -> None:
        """One client with a token of its own, until it is over."""
        token = f"{CANARY}-{number}-{ROWS[number % len(ROWS)]}"
        ways = [self._page, self._page, self._walk, self._revalidate, self._refused, self._malformed, self._hang_up]
        while not self.is_over:
            await self.random.choice(ways)(token)
            await asyncio.sleep(PAUSE_SECONDS)

    async def run_newcomers(self) -> None:
        """Tokens that nobody has seen, one after another."""
        while self.newcomers < TOKENS:
            self.newcomers += 1
            if self.newcomers > TOKENS / 3:
                self.first_third.set()
            await self._page(f"{CANARY}-new{self.newcomers}-{self.newcomers % 4}")

    async def _post(self, token: str, variables: dict[str, Any]) -> dict[str, Any] | None:
        """The connection, or None for an error that fits a fault of the moment."""
        started = asyncio.get_running_loop().time()
        body = {"query": QUERY, "variables": variables}
        reply = await self.client.post(f"{self.url}/graphql", json=body, headers={"Authorization": f"Bearer {token}"})
        return self._judged(reply, started)

    def _judged(self, reply: httpx.Response, started: float) -> dict[str, Any] | None:
        found: dict[str, Any] = reply.json()
        if "errors" not in found:
            self.told["good"] += 1
            answer: dict[str, Any] = found["data"]["licenseDeployments"]
            return answer
        assert CANARY not in reply.text
        code = found["errors"][0]["extensions"]["code"]
        recent = {CODES.get(fault) for fault, seen in self.ended.items() if seen + AFTERMATH_SECONDS >= started}
        assert code in recent, f"{code} while there was nothing but {recent}: {found}"
        self.told[code] += 1
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

    async def _walk(self, token: str) -> None:
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
        answer = self._judged(first, started)
        if answer is None or "ETag" not in first.headers:
            return
        check(answer, token, 0, min(total, json.loads(parameters["variables"])["first"]))
        second = await self.client.get(
            f"{self.url}/graphql", params=parameters, headers=headers | {"If-None-Match": first.headers["ETag"]}
        )
        self.told[str(second.status_code)] += 1
        if second.status_code == 304:
            assert not second.content
        else:
            again = self._judged(second, started)
            assert again is None or again == answer

    async def _refused(self, token: str) -> None:
        await self._expect_unauthenticated(f"Bearer {CANARY}-stranger", asks_upstream=True)

    async def _malformed(self, token: str) -> None:
        await self._expect_unauthenticated(f"Bearer {CANARY} {CANARY}", asks_upstream=False)

    async def _expect_unauthenticated(self, header: str, *, asks_upstream: bool) -> None:
        started = asyncio.get_running_loop().time()
        reply = await self.client.post(f"{self.url}/graphql", json={"query": QUERY}, headers={"Authorization": header})
        code = reply.json()["errors"][0]["extensions"]["code"]
        if asks_upstream and code != "UNAUTHENTICATED":
            assert self._judged(reply, started) is None
            return
        assert (reply.status_code, code) == (401, "UNAUTHENTICATED")
        self.told[code] += 1

    async def _hang_up(self, token: str) -> None:
        """Somewhere between the first byte and the answer."""
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
        self.told["hung up"] += 1


def check(answer: dict[str, Any], token: str, start: int, stop: int) -> None:
    """The rows ``[start, stop)`` of this token and no others."""
    total = int(token.rpartition("-")[2])
    expected = [row(token, number) for number in range(start, stop)]
    assert answer["nodes"] == [{name: one[name] for name in ("customerName", "licensesSold")} for one in expected]
    assert answer["totalCount"] == total
    assert answer["pageInfo"]["hasNextPage"] == (stop < total)
