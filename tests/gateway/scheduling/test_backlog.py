"""Rows are decoded while few others wait to be rendered, in rotation between tokens."""

from __future__ import annotations

import asyncio

from gateway.scheduling.backlog import FEW_ROWS, Backlog


async def decode(backlog: Backlog, owner: bytes, rows: int, decoding: list[bytes]) -> None:
    """Wait for room, note it, and go on until cancelled."""
    async with backlog.decoding(owner, rows):
        decoding.append(owner)
        await asyncio.Event().wait()


def started(backlog: Backlog, owners: list[bytes], rows: int, decoding: list[bytes]) -> list[asyncio.Task[None]]:
    """Start to decode ``rows`` for each of ``owners``."""
    return [asyncio.create_task(decode(backlog, owner, rows, decoding)) for owner in owners]


async def ended(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel the tasks."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_blocks_are_decoded_in_rotation_between_tokens_while_there_is_room() -> None:
    decoding: list[bytes] = []
    backlog = Backlog(max_rows=10_000)
    with backlog.rendering([range(6_000)]):
        tasks = started(backlog, [b"busy", b"busy", b"busy", b"calm"], 4_000, decoding)
        await asyncio.sleep(0.05)
        assert decoding == [b"busy"]
    await asyncio.sleep(0.05)
    assert sorted(decoding) == [b"busy", b"calm"]
    await ended(tasks)
    assert backlog.rows == 0


async def test_a_waiting_block_that_is_cancelled_lets_the_next_one_in() -> None:
    decoding: list[bytes] = []
    backlog = Backlog(max_rows=10_000)
    with backlog.rendering([range(10_000)]):
        tasks = started(backlog, [b"a", b"b"], 10_000, decoding)
        await asyncio.sleep(0.05)
        await ended(tasks[:1])
    await asyncio.sleep(0.05)
    assert decoding == [b"b"]
    await ended(tasks)


async def test_few_rows_never_wait() -> None:
    decoding: list[bytes] = []
    backlog = Backlog(max_rows=10_000)
    with backlog.rendering([range(10_000)]):
        tasks = started(backlog, [b"large"], FEW_ROWS + 1, decoding) + started(backlog, [b"small"], FEW_ROWS, decoding)
        await asyncio.sleep(0.05)
        assert decoding == [b"small"]
        await ended(tasks)


async def test_a_block_larger_than_the_bound_is_decoded_alone() -> None:
    decoding: list[bytes] = []
    backlog = Backlog(max_rows=10_000)
    with backlog.rendering([range(1)]):
        tasks = started(backlog, [b"a"], 20_000, decoding)
        await asyncio.sleep(0.05)
        assert decoding == []
    await asyncio.sleep(0.05)
    assert decoding == [b"a"]
    await ended(tasks)


async def test_a_block_that_several_operations_render_counts_once() -> None:
    """Ten aliases of one cached block take no more memory than one."""
    backlog, block, other = Backlog(), range(4_000), range(4_000)
    with backlog.rendering([block, block]), backlog.rendering([block, other]):
        assert backlog.rows == 8_000
    assert backlog.rows == 0
