"""Everything that goes wrong during the load: faults, Redis restarts, reprocessing and killed workers."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from itertools import cycle

from tests.redis_server import RedisServer
from tests.soak.clients import CHANGING
from tests.soak.history import CODES
from tests.soak.load import Load
from tests.soak.processes import Gateway

PHASE_SECONDS = 1.0
REPROCESSING_SECONDS = (0.2, 3.0)
RESPAWN_SECONDS = 60.0

# The first kill comes early, so that short runs have one. Later ones leave time for the new worker's memory to settle.
FIRST_KILL_SECONDS, KILL_SECONDS = 4.0, 120.0


async def inject_faults(load: Load, upstream: str, server: RedisServer) -> None:
    """Switch on one fault after another, with healthy phases between them, until the load ends."""
    for fault in cycle((*CODES, "slow", "redis")):
        if load.is_over:
            return
        if fault == "redis":
            await asyncio.to_thread(server.stop)
        else:
            # The fault counts as active until the mode is reset.
            load.history.fault_ends[fault] = float("inf")
            await load.client.post(f"{upstream}/mode/{fault}")
        await asyncio.sleep(PHASE_SECONDS)
        await load.client.post(f"{upstream}/mode/ok")
        load.history.fault_ends[fault] = load.now()
        if fault == "redis":
            await asyncio.to_thread(server.start)
        load.history.counts[fault] += 1
        await asyncio.sleep(PHASE_SECONDS)


async def reprocess(load: Load, upstream: str) -> None:
    """Change the rows of one token after another, at random times, until the load ends."""
    while not load.is_over:
        token = load.random.choice(CHANGING)
        changes = load.history.changes[token]
        changes.append((load.now(), float("inf")))
        await load.client.post(f"{upstream}/reprocess/{token}")
        changes[-1] = (changes[-1][0], load.now())
        load.history.counts["reprocessed"] += 1
        await asyncio.sleep(load.random.uniform(*REPROCESSING_SECONDS))


async def kill_workers(load: Load, gateway: Gateway) -> None:
    """Kill the newest worker now and then, and check that the supervisor replaces it.

    The other worker lives as long as the load, which shows whether its memory stays flat.
    """
    pause_seconds = FIRST_KILL_SECONDS
    while not await _ends_within(load, pause_seconds):
        workers = gateway.workers()
        assert len(workers) == gateway.size, f"{len(workers)} workers run, not {gateway.size}"
        load.history.kills.append(load.now())
        os.kill(workers[-1], signal.SIGKILL)
        limit = time.monotonic() + RESPAWN_SECONDS
        while len(remaining := gateway.workers()) < gateway.size or workers[-1] in remaining:
            assert time.monotonic() < limit, "the supervisor did not replace the killed worker"
            await asyncio.sleep(0.1)
        load.history.counts["killed"] += 1
        pause_seconds = KILL_SECONDS


async def _ends_within(load: Load, seconds: float) -> bool:
    end = load.now() + seconds
    while not load.is_over and load.now() < end:  # noqa: ASYNC110  # a flag, which clients also read
        await asyncio.sleep(0.2)
    return load.is_over
