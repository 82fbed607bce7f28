"""Exports wait for others of their token and of the process, and not forever."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.errors import RateLimited, ServiceUnavailable
from gateway.paging.read_ahead import ReadAhead
from gateway.scheduling.rotation import Rotation
from schema.export import shares as shares_module
from schema.export.shares import MAX_EXPORTS, Shares


def shares_of(per_token: int) -> Shares:
    return Shares.of(Rotation(), per_token, ReadAhead(0))


async def test_the_process_runs_a_bounded_number_of_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = shares_of(4)
    async with AsyncExitStack() as stack:
        for number in range(MAX_EXPORTS):
            await stack.enter_async_context(shares.hold(b"token %d" % (number // 4)))
        monkeypatch.setattr(shares_module, "WAIT_SECONDS", 0.05)
        with pytest.raises(ServiceUnavailable) as caught:
            await stack.enter_async_context(shares.hold(b"other"))
        assert caught.value.retry_after_seconds == 0
    async with asyncio.timeout(5), shares.hold(b"other"):
        assert shares.of_process.held == 1


async def test_a_token_runs_a_bounded_number_of_exports_and_leaves_room_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shares_module, "WAIT_SECONDS", 0.05)
    shares = shares_of(4)
    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(shares.hold(b"one"))
        with pytest.raises(RateLimited):
            await stack.enter_async_context(shares.hold(b"one"))
        await stack.enter_async_context(shares.hold(b"other"))


async def test_a_higher_limit_of_a_token_raises_that_of_the_process() -> None:
    shares = shares_of(40)
    async with AsyncExitStack() as stack:
        for _ in range(40):
            await stack.enter_async_context(shares.hold(b"one"))
        await stack.enter_async_context(shares.hold(b"other"))
