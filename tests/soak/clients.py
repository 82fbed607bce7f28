"""The clients of the load: which requests each of them sends, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from tests.soak.exports import FORMATS, continued_export, whole_export
from tests.soak.load import CANARY, BrokenByKill, Load
from tests.soak.pages import large_page, late_cursor, paginate, refused, revalidate, small_page, two_aliases
from tests.soak.sockets import disconnect, slow_export, slow_page

Action = Callable[[Load, str], Awaitable[None]]

# Numbers of rows around the block sizes, 200 and 1,000.
ROWS = (0, 3, 150, 199, 200, 201, 999, 1_000, 1_001, 2_500)
CHANGING_ROWS = (2_500, 6_000)

NEWCOMERS, NEWCOMER_PAUSE_SECONDS = 8, 0.1


@dataclass(frozen=True)
class Kind:
    """Several equal clients: their number, their tokens' names, their rows, what they do and their pause."""

    number: int
    name: str
    rows: Sequence[int]
    actions: Sequence[Action]
    pause_seconds: float


SMALL_ACTIONS = (small_page, small_page, paginate, revalidate, refused, disconnect)
EXPORTS: list[Action] = [partial(export, kind=kind) for export in (whole_export, continued_export) for kind in FORMATS]
LARGE_ACTIONS = (large_page, two_aliases, *EXPORTS)
SLOW_ACTIONS = (slow_page, slow_export)

KINDS = (
    Kind(8, "small", ROWS, SMALL_ACTIONS, pause_seconds=0.1),
    Kind(4, "large", (8_500, 12_000), LARGE_ACTIONS, pause_seconds=0.3),
    Kind(2, "slow", (8_500, 12_000), SLOW_ACTIONS, pause_seconds=0.3),
    Kind(2, "changing", CHANGING_ROWS, (*SMALL_ACTIONS, *LARGE_ACTIONS), pause_seconds=0.2),
    # More clients of the same tokens.
    Kind(2, "changing", CHANGING_ROWS, (late_cursor,), pause_seconds=0.2),
    Kind(2, "changing", CHANGING_ROWS, (slow_export,), pause_seconds=0.2),
)

# The tokens whose data is reprocessed during the load.
CHANGING = tuple(f"{CANARY}-changing{number}-{rows}" for number, rows in enumerate(CHANGING_ROWS))


async def run_clients(load: Load) -> None:
    """Run all clients until the load ends."""
    async with asyncio.TaskGroup() as group:
        for kind in KINDS:
            for number in range(kind.number):
                token = f"{CANARY}-{kind.name}{number}-{kind.rows[number % len(kind.rows)]}"
                group.create_task(_run_client(load, token, kind))
        for number in range(NEWCOMERS):
            group.create_task(_run_newcomers(load, number))


async def _run_client(load: Load, token: str, kind: Kind) -> None:
    actions: list[Action] = []
    while not load.is_over:
        # Each round has every action once, in random order, so that short runs have enough of each.
        actions = actions or load.random.sample(kind.actions, len(kind.actions))
        with suppress(BrokenByKill):
            await actions.pop()(load, token)
        await asyncio.sleep(kind.pause_seconds)


async def _run_newcomers(load: Load, client: int) -> None:
    """Send one request for each of many new tokens."""
    number = 0
    while not load.is_over:
        with suppress(BrokenByKill):
            await small_page(load, f"{CANARY}-new{client}x{number}-{number % 4}")
        number += 1
        load.results["new token"] += 1
        await asyncio.sleep(NEWCOMER_PAUSE_SECONDS)
