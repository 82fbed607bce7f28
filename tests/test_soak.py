"""Under a long, mixed load with faults every answer is right, no secret is logged and memory does not grow."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import httpx
import pytest

from tests.redis_server import RedisServer, redis_server
from tests.soak.clients import run_clients
from tests.soak.history import CODES, FRESH_SECONDS, STALE_SECONDS
from tests.soak.load import CANARY, Load
from tests.soak.memory import Memory
from tests.soak.processes import Gateway, process, reporting
from tests.soak.troubles import inject_faults, kill_workers, reprocess

# The least duration; the load also continues until every kind of result has occurred, but not much longer.
SECONDS = float(os.environ.get("SOAK_SECONDS", "15"))
WORKERS = int(os.environ.get("SOAK_WORKERS", "1"))
EXTRA_SECONDS = 90.0

RESULTS = {
    "good", "304", "UNAUTHENTICATED", "SNAPSHOT_CHANGED", *CODES.values(), "disconnected", "large page", "two aliases",
    "whole csv", "whole ndjson", "continued csv", "continued ndjson", "broken export", "export left",
    "slow page", "slow export", "slow reader left",
}  # fmt: skip
EVENTS = {*CODES, "slow", "redis", "reprocessed"} | ({"killed"} if WORKERS > 1 else set())

# Small enough that the load fills it at once. A larger cache would hide a leak: the number of objects that it holds
# depends on how many of its blocks are packed, and changes by a tenth within minutes.
MEMORY_BYTES = 2_097_152
NEW_TOKENS = 100


def missing(load: Load) -> set[str]:
    """Return the kinds of results and events that have not occurred."""
    few = {"new tokens"} if load.results["new token"] < NEW_TOKENS else set()
    return few | (RESULTS - load.results.keys()) | (EVENTS - load.history.counts.keys())


async def end_load(load: Load) -> None:
    """End the load after its time, and as soon as every kind of result has occurred."""
    start = load.now()
    limit = start + SECONDS + EXTRA_SECONDS
    await asyncio.sleep(SECONDS)
    print(f"\nmissing after {SECONDS:.0f} s: {missing(load) or 'nothing'}")  # noqa: T201
    while missing(load) and load.now() < limit:  # noqa: ASYNC110  # the results set no event
        await asyncio.sleep(0.2)
    load.is_over = True
    print(f"load ended after {load.now() - start:.0f} s")  # noqa: T201


async def soak(gateway: Gateway, live_memory: Path, url: str, upstream: str, server: RedisServer) -> Load:
    """Run the load with all faults, and check the memory."""
    limits, memory = httpx.Limits(max_connections=None), Memory(gateway, live_memory)
    async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:
        load = Load(url, client, random.Random(1))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(run_clients(load))
                group.create_task(inject_faults(load, upstream, server))
                group.create_task(reprocess(load, upstream))
                group.create_task(memory.sample(load))
                if WORKERS > 1:
                    group.create_task(kill_workers(load, gateway))
                group.create_task(end_load(load))
        finally:
            print(f"requests: {load.requests}")  # noqa: T201
            print(f"results: {dict(sorted(load.results.items()))}\nevents: {dict(load.history.counts)}")  # noqa: T201
    memory.check(SECONDS)
    return load


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 600)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_answers_stay_correct_and_memory_stays_bounded_under_load_and_faults(tmp_path: Path) -> None:
    log, live_memory = tmp_path / "gateway.log", tmp_path / "live"
    live_memory.mkdir()
    with redis_server() as server, process(tmp_path / "upstream.log", "-m", "tests.soak.upstream") as (_, upstream):
        settings = {
            "GATEWAY_PORT": "0",
            "GATEWAY_WORKERS": str(WORKERS),
            "GATEWAY_UPSTREAM_URL": upstream,
            "GATEWAY_CACHE_URL": server.url,
            "GATEWAY_CACHE_MEMORY_BYTES": str(MEMORY_BYTES),
            "GATEWAY_CACHE_FRESH_SECONDS": str(FRESH_SECONDS),
            "GATEWAY_CACHE_STALE_SECONDS": str(STALE_SECONDS),
            "GATEWAY_FIRST_BLOCK_ROWS": "200",
            "GATEWAY_BLOCK_ROWS": "1000",
            "GATEWAY_LOG_FORMAT": "json",
            **reporting(live_memory),
        }
        with process(log, "-m", "gateway", **settings) as (gateway, url):
            load = asyncio.run(soak(Gateway(gateway.pid, WORKERS), live_memory, url, upstream, server))
            gateway.terminate()
            assert gateway.wait(30) == 0
    assert not missing(load)
    lines = log.read_text()
    assert "redis is used again" in lines
    assert "Traceback" not in lines
    assert "Fatal Python error" not in lines
    assert CANARY not in lines
    assert CANARY[::-1] not in lines
