"""Under a long, mixed load with faults every answer is right, no secret is logged and memory does not grow."""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.redis_server import RedisServer, redis_server
from tests.soak.load import CANARY, CLIENTS, CODES, NEWCOMERS, TOKENS, Load

ROOT = Path(__file__).parents[1]

# The least duration; the test also waits until every new token was served.
SECONDS = float(os.environ.get("SOAK_SECONDS", "40"))
PHASE_SECONDS = 1.0

MEMORY_BYTES = 16_777_216

# Allowance for memory that the allocator keeps: it returns the heap in large pieces.
GROWTH, GROWTH_BYTES = 1.15, 20 * 1_048_576


@contextmanager
def process(log: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a server in a separate process; yield it and the address that it prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    with log.open("wb") as lines:
        child = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, stdout=lines, stderr=subprocess.STDOUT, env=clean | environment
        )
    try:
        limit = time.monotonic() + 30
        while not (address := re.search(r"http://127[0-9.]+:\d+", log.read_text())):
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < limit
            time.sleep(0.02)
        yield child, address.group()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def resident_bytes(child: subprocess.Popen[bytes]) -> int:
    """Return the resident memory of the process."""
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{child.pid}/status").read_text())
    assert match
    return int(match[1]) * 1_024


async def inject_faults(load: Load, upstream: str, server: RedisServer) -> None:
    """Switch on one fault after another, with healthy phases between them, until the load ends."""
    loop = asyncio.get_running_loop()
    while not load.is_over:
        for fault in (*CODES, "slow", "redis"):
            if fault == "redis":
                await asyncio.to_thread(server.stop)
            else:
                # The fault counts as active until the mode is reset.
                load.ended[fault] = float("inf")
                await load.client.post(f"{upstream}/mode/{fault}")
            await asyncio.sleep(PHASE_SECONDS)
            await load.client.post(f"{upstream}/mode/ok")
            load.ended[fault] = loop.time()
            if fault == "redis":
                await asyncio.to_thread(server.start)
            await asyncio.sleep(PHASE_SECONDS)


async def soak(gateway: subprocess.Popen[bytes], url: str, upstream: str, server: RedisServer) -> Load:
    """Run the load with all faults, and compare memory after a third of the time with that at the end."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client, asyncio.TaskGroup() as group:
        load = Load(url, client, random.Random(1))
        clients = [group.create_task(load.run_client(number)) for number in range(CLIENTS)]
        newcomers = [group.create_task(load.run_newcomers()) for _ in range(NEWCOMERS)]
        troubles = group.create_task(inject_faults(load, upstream, server))
        await asyncio.gather(asyncio.sleep(SECONDS / 3), load.first_third.wait())
        after_a_third = resident_bytes(gateway)
        await asyncio.gather(asyncio.sleep(SECONDS * 2 / 3), *newcomers)
        load.is_over = True
        await asyncio.gather(*clients, troubles)
        at_the_end = resident_bytes(gateway)
    assert at_the_end < after_a_third * GROWTH + GROWTH_BYTES, (after_a_third, at_the_end)
    return load


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_answers_stay_correct_and_memory_stays_bounded_under_load_and_faults(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    with redis_server() as server, process(tmp_path / "upstream.log", "-m", "tests.soak.upstream") as (_, upstream):
        settings = {
            "GATEWAY_PORT": "0",
            "GATEWAY_UPSTREAM_URL": upstream,
            "GATEWAY_CACHE_URL": server.url,
            "GATEWAY_CACHE_MEMORY_BYTES": str(MEMORY_BYTES),
            "GATEWAY_CACHE_FRESH_SECONDS": "2",
            "GATEWAY_CACHE_STALE_SECONDS": "2",
            "GATEWAY_FIRST_BLOCK_ROWS": "200",
            "GATEWAY_BLOCK_ROWS": "1000",
            "GATEWAY_LOG_FORMAT": "json",
        }
        with process(log, "-m", "gateway", **settings) as (gateway, url):
            load = asyncio.run(soak(gateway, url, upstream, server))
            gateway.terminate()
            assert gateway.wait(30) == 0
    # Every kind of result occurred, including 304 responses.
    assert set(load.results) >= {"good", "304", "UNAUTHENTICATED", "disconnected", *CODES.values()}
    assert load.newcomers == TOKENS
    lines = log.read_text()
    assert "redis is used again" in lines
    assert "Traceback" not in lines
    assert CANARY not in lines
    assert CANARY[::-1] not in lines
