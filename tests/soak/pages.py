"""Requests for pages, each with a check of the answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.soak.history import MAX_AGE_SECONDS
from tests.soak.load import CANARY, CONNECTION, QUERY, Load
from tests.soak.upstream import row_count

SMALL = (1, 7, 100, 500, 1_200)
LARGE = (3_000, 5_000, 8_000)

# Two parts of one query, which must come from one version.
TWO_ALIASES = f"""query Q($first: Int, $last: Int, $offset: Int, $after: String, $before: String, $rest: Int) {{
  one: {CONNECTION}
  two: licenseDeployments(last: $rest) {{
    totalCount pageInfo {{ hasNextPage }} nodes {{ customerName licensesSold processedDateTime }}
  }} }}"""


async def small_page(load: Load, token: str) -> None:
    """Read a page of a random size at a random place, forward or backward."""
    await _page(load, token, load.random.choice(SMALL))


async def large_page(load: Load, token: str) -> None:
    """Read several thousand rows."""
    if await _page(load, token, load.random.choice(LARGE)):
        load.results["large page"] += 1


async def _page(load: Load, token: str, size: int) -> bool:
    started, total, offset = load.now(), row_count(token), load.random.randint(0, row_count(token) + 2)
    backward = load.random.random() < 0.2
    data = await load.post(token, QUERY, {"last": size} if backward else {"first": size, "offset": offset}, started)
    if data is None:
        return False
    start, stop = (max(0, total - size), total) if backward else (min(offset, total), min(offset + size, total))
    load.check(data["licenseDeployments"], token, start, stop, started)
    return True


async def two_aliases(load: Load, token: str) -> None:
    """Read the start and the end of the data in one operation."""
    started, total = load.now(), row_count(token)
    size, rest = load.random.choice(LARGE), load.random.choice(SMALL)
    data = await load.post(token, TWO_ALIASES, {"first": size, "rest": rest}, started)
    if data is None:
        return
    one = load.check(data["one"], token, 0, min(size, total), started)
    two = load.check(data["two"], token, max(0, total - rest), total, started)
    assert one == two, f"one operation has rows of versions {one} and {two}"
    load.results["two aliases"] += 1


async def paginate(load: Load, token: str) -> None:
    """Follow cursors; all pages must be of one version."""
    total, size, started = row_count(token), load.random.choice([40, 333]), load.now()
    versions = set[int | None]()
    start, after = 0, None
    for _ in range(6):
        data = await load.post(token, QUERY, {"first": size, "after": after}, started)
        if data is None:
            return
        answer = data["licenseDeployments"]
        versions.add(load.check(answer, token, start, min(total, start + size), started))
        assert len(versions) == 1, f"one traversal has rows of versions {versions}"
        start, after = start + size, answer["pageInfo"]["endCursor"]
        if not answer["pageInfo"]["hasNextPage"]:
            return


async def late_cursor(load: Load, token: str) -> None:
    """Use a cursor after the cache has expired: if the data was reprocessed meanwhile, the gateway must refuse it."""
    started, total, size = load.now(), row_count(token), load.random.choice(SMALL)
    data = await load.post(token, QUERY, {"first": size}, started)
    if data is None:
        return
    version = load.check(data["licenseDeployments"], token, 0, size, started)
    await asyncio.sleep(load.random.uniform(0.0, MAX_AGE_SECONDS))
    after = data["licenseDeployments"]["pageInfo"]["endCursor"]
    data = await load.post(token, QUERY, {"first": size, "after": after}, started)
    if data is not None:
        again = load.check(data["licenseDeployments"], token, size, min(2 * size, total), started)
        assert again == version, f"a cursor of version {version} leads to rows of version {again}"


async def revalidate(load: Load, token: str) -> None:
    """Read a page with GET, and again with its entity tag."""
    started, size = load.now(), load.random.choice([5, 50])
    parameters = {"query": QUERY, "variables": json.dumps({"first": size})}
    first = await load.send("GET", "/graphql", token, params=parameters)
    data = load.checked(first, token, started)
    if data is None or "ETag" not in first.headers:
        return
    stop = min(row_count(token), size)
    load.check(data["licenseDeployments"], token, 0, stop, started)
    started = load.now()
    headers = {"If-None-Match": first.headers["ETag"]}
    second = await load.send("GET", "/graphql", token, params=parameters, headers=headers)
    load.results[str(second.status_code)] += 1
    again: dict[str, Any] | None = data
    if second.status_code == 304:
        assert not second.content
    else:
        again = load.checked(second, token, started)
    if again is not None:
        load.check(again["licenseDeployments"], token, 0, stop, started)


async def refused(load: Load, token: str) -> None:
    """Send a token that the upstream refuses, or a malformed one that the gateway refuses itself."""
    asks_upstream = load.random.random() < 0.5
    stranger = f"{CANARY}-stranger" if asks_upstream else f"{CANARY} {CANARY}"
    started = load.now()
    response = await load.send("POST", "/graphql", stranger, json={"query": QUERY})
    code = response.json()["errors"][0]["extensions"]["code"]
    if asks_upstream and code != "UNAUTHENTICATED":
        assert load.checked(response, stranger, started) is None
        return
    assert (response.status_code, code) == (401, "UNAUTHENTICATED")
    load.results[code] += 1
