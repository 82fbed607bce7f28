"""Caching, serving, refreshing and dropping pages."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import json
import sys
from typing import Any

import pytest

from gateway.access_token import AccessToken
from gateway.cache.page_size import page_size_bytes
from gateway.cache.pages import CachedPages
from gateway.caller import Ahead, Budget, Caller
from gateway.config.groups import CacheConfig
from gateway.errors import Forbidden, GatewayError, RateLimited, Unauthenticated, UpstreamUnavailable
from gateway.page import CacheState, Page, PageWarning
from gateway.query import PageQuery
from gateway.row_marks import marks_of
from gateway.snapshots.snapshot import Snapshot
from tests.gateway.fakes import Clock, FakeSource, Row, caller, query


class Bench:
    """A cache over a fake source, with an adjustable clock."""

    def __init__(self, memory_bytes: int = 1_000_000) -> None:
        self.clock = Clock()
        self.source = FakeSource(self.clock)
        config = CacheConfig(memory_bytes, 100, 1_000, first_block_rows=5, block_rows=10)
        self.cache = CachedPages(self.source, config, clock=self.clock)

    async def ask(
        self, token: str = "one", *, after_seconds: float = 0, skip: int = 0, top: int = 10, **changes: Any
    ) -> Page:
        self.clock.seconds += after_seconds
        page = await self.cache.fetch(query(skip, top, **changes), caller(token))
        await self.settle()
        return page

    async def settle(self) -> None:
        """Wait for running refreshes."""
        if self.source.gate.is_set():
            await asyncio.gather(*self.cache._refreshes._tasks.values(), return_exceptions=True)
            await asyncio.sleep(0)

    @property
    def calls(self) -> int:
        return len(self.source.calls)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_fresh_page_costs_no_upstream_call(bench: Bench) -> None:
    first = await bench.ask()
    second = await bench.ask(after_seconds=99)
    assert (first.cache, second.cache) == (CacheState.MISS, CacheState.HIT)
    assert second.rows == first.rows
    assert second.calls == 0
    assert bench.calls == 1


async def test_a_stale_page_is_answered_at_once_with_a_warning_while_one_refresh_runs(bench: Bench) -> None:
    await bench.ask()
    bench.source.gate.clear()
    stale = [await bench.ask(after_seconds=150), await bench.ask(), await bench.ask()]
    assert {page.cache for page in stale} == {CacheState.STALE}
    assert [(warning.code, warning.age_seconds) for warning in stale[0].warnings] == [("STALE_DATA", 150)]
    await asyncio.sleep(0)
    assert bench.calls == 2
    bench.source.gate.set()
    await bench.settle()
    assert (await bench.ask()).cache is CacheState.HIT
    assert bench.calls == 2


async def test_a_page_past_the_stale_period_is_read_again(bench: Bench) -> None:
    await bench.ask()
    assert (await bench.ask(after_seconds=1_101)).cache is CacheState.MISS
    assert bench.calls == 2


@pytest.mark.parametrize(
    "error", [UpstreamUnavailable("down"), RateLimited("wait", retry_after_seconds=9)], ids=lambda error: error.code
)
async def test_a_failing_refresh_leaves_the_stale_page(bench: Bench, error: GatewayError) -> None:
    await bench.ask()
    bench.source.error = error
    assert (await bench.ask(after_seconds=150)).cache is CacheState.STALE
    assert (await bench.ask(after_seconds=10)).cache is CacheState.STALE


@pytest.mark.parametrize("error", [Unauthenticated("no"), Forbidden("no")], ids=lambda error: error.code)
async def test_a_refusal_drops_every_page_of_the_token_and_no_other(bench: Bench, error: GatewayError) -> None:
    await bench.ask("one")
    await bench.ask("one", skip=10)
    await bench.ask("two")
    bench.source.error = error
    with pytest.raises(type(error)):
        await bench.ask("one", skip=20)
    with pytest.raises(type(error)):
        await bench.ask("one")
    assert (await bench.ask("two")).cache is CacheState.HIT


async def test_a_read_pending_when_its_token_is_refused_is_not_cached(bench: Bench) -> None:
    bench.source.gate.clear()
    under_way = asyncio.create_task(bench.cache.fetch(query(), caller()))
    await asyncio.sleep(0)
    await bench.cache.drop_token(caller())
    bench.source.gate.set()
    await under_way
    assert bench.cache.store.entries == 0


async def test_failures_are_not_cached(bench: Bench) -> None:
    bench.source.error = UpstreamUnavailable("down")
    with pytest.raises(UpstreamUnavailable):
        await bench.ask()
    bench.source.error = None
    assert (await bench.ask()).cache is CacheState.MISS


@pytest.mark.parametrize(
    "other",
    [{"token": "two"}, {"processed_date_time": "2026-01-01T00:00:00"}, {"group_by": ("serviceCode",)}, {"skip": 10}],
    ids=str,
)
async def test_each_token_query_and_block_has_its_own_entry(bench: Bench, other: dict[str, Any]) -> None:
    await bench.ask()
    await bench.ask(**other)
    assert bench.calls == 2


async def test_each_locale_has_its_own_entry(bench: Bench) -> None:
    await bench.cache.fetch(query(), caller(locale="en-US"))
    await bench.cache.fetch(query(), caller(locale="de-DE"))
    assert bench.calls == 2


async def test_a_large_block_serves_the_small_one(bench: Bench) -> None:
    await bench.ask(top=10)
    assert len((await bench.ask(top=5)).rows) == 10
    assert bench.calls == 1


async def test_a_small_block_serves_the_large_one_only_when_it_holds_all_rows(bench: Bench) -> None:
    await bench.ask(top=5)
    await bench.ask(top=10)
    assert bench.calls == 2
    bench.source.total = 3
    await bench.ask("two", top=5)
    await bench.ask("two", top=10)
    assert bench.calls == 3


async def test_a_block_of_a_newer_snapshot_drops_the_older_blocks(bench: Bench) -> None:
    await bench.ask()
    await bench.ask(skip=10, processed_date_time=None)
    bench.source.date = "2026-02-02T00:00:00"
    await bench.ask(skip=20, after_seconds=1)
    assert bench.cache.store.entries == 1
    assert (await bench.ask()).cache is CacheState.MISS
    assert (await bench.ask(skip=20)).cache is CacheState.HIT


async def test_revalidation_reads_the_source_and_caches_the_page(bench: Bench) -> None:
    await bench.ask()
    assert (await bench.ask(revalidate=True)).cache is CacheState.MISS
    assert (await bench.ask()).cache is CacheState.HIT
    assert bench.calls == 2


async def test_a_stale_page_is_not_refreshed_during_a_read_of_the_same_block(bench: Bench) -> None:
    await bench.ask()
    bench.source.gate.clear()
    anew = asyncio.create_task(bench.cache.fetch(query(revalidate=True), caller()))
    await asyncio.sleep(0)
    assert (await bench.ask(after_seconds=150, top=5)).cache is CacheState.STALE
    await asyncio.sleep(0)
    assert bench.calls == 2
    bench.source.gate.set()
    assert (await anew).cache is CacheState.MISS
    await bench.settle()
    assert (await bench.ask()).cache is CacheState.HIT
    assert bench.calls == 2


async def test_an_incomplete_page_is_cached_for_half_a_minute(bench: Bench) -> None:
    class Incomplete(FakeSource):
        async def fetch(self, query: PageQuery, caller: Any) -> Page:
            page = await super().fetch(query, caller)
            return page.having(warnings=(PageWarning("UPSTREAM_INCOMPLETE", "short"),))

    bench.cache._source = Incomplete(bench.clock)
    await bench.ask()
    assert (await bench.ask(after_seconds=29)).cache is CacheState.HIT
    assert (await bench.ask(after_seconds=2)).cache is CacheState.MISS


async def test_a_suddenly_empty_page_is_cached_for_half_a_minute(bench: Bench) -> None:
    await bench.ask()
    bench.source.total = 0
    await bench.ask(after_seconds=150)
    assert (await bench.ask(after_seconds=29)).rows == ()
    bench.source.total = 25
    assert len((await bench.ask(after_seconds=2)).rows) == 10


async def test_an_unexpectedly_empty_block_is_cached_for_half_a_minute(bench: Bench) -> None:
    await bench.ask()
    bench.source.total, bench.source.has_total = 0, False
    await bench.ask(skip=10)
    await bench.ask(skip=30)
    bench.source.total = 45
    assert len((await bench.ask(after_seconds=31, skip=10)).rows) == 10
    assert (await bench.ask(skip=30)).rows == ()


def jwt(expires_at: float) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"exp": expires_at}).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


async def test_after_the_token_expires_no_cached_page_is_served(bench: Bench) -> None:
    token = jwt(bench.clock.seconds + 50)
    await bench.ask(token)
    assert (await bench.ask(token, after_seconds=49)).cache is CacheState.HIT
    assert (await bench.ask(token, after_seconds=2)).cache is CacheState.MISS
    assert (await bench.ask(token)).cache is CacheState.MISS


async def test_after_the_token_expires_a_running_refresh_ends_before_the_next_call(bench: Bench) -> None:
    token = jwt(bench.clock.seconds + 200)
    await bench.ask(token)
    bench.source.gate.clear()
    assert (await bench.ask(token, after_seconds=150)).cache is CacheState.STALE
    await asyncio.sleep(0)
    bench.clock.seconds += 100
    late = asyncio.create_task(bench.cache.fetch(query(), caller(token)))
    await asyncio.sleep(0)
    assert bench.calls == 2
    bench.source.gate.set()
    assert (await late).cache is CacheState.MISS
    assert bench.calls == 3


async def test_the_byte_limit_holds_and_the_least_recently_used_page_is_evicted_first() -> None:
    bench = Bench(memory_bytes=8_000)
    for number in range(12):
        await bench.ask(f"token{number}")
        assert bench.cache.store.used_bytes <= 8_000
        await bench.ask("token0")
    cached = bench.cache.store.entries
    assert 2 <= cached < 12
    assert bench.cache.store.evictions == 12 - cached
    assert (await bench.ask("token0")).cache is CacheState.HIT
    assert (await bench.ask("token1")).cache is CacheState.MISS


async def test_a_page_larger_than_the_limit_is_still_returned() -> None:
    bench = Bench(memory_bytes=100)
    assert len((await bench.ask()).rows) == 10
    assert bench.cache.store.entries == 0


async def test_a_key_that_leaves_the_store_leaves_the_index() -> None:
    bench = Bench(memory_bytes=8_000)
    for number in range(30):
        await bench.ask(f"token{number}")
    index = bench.cache.index
    assert len(index._tokens) == len(index._queries) == len(index._owners) == bench.cache.store.entries


async def test_keys_and_index_reveal_neither_token_nor_query(bench: Bench) -> None:
    await bench.ask("canary-token", processed_date_time="1999-09-09T00:00:00")
    seen = repr((bench.cache.index.__dict__, bench.cache.store.__dict__))
    assert "canary-token" not in seen
    assert "1999-09-09" not in seen


def test_the_size_of_a_page_grows_with_its_rows_and_their_texts() -> None:
    def size_bytes(rows: int, text: str) -> int:
        return page_size_bytes(Page(tuple(Row(text, 1, None) for _ in range(rows))))

    assert page_size_bytes(Page(())) == 0
    marked = Page((Row("o365", None, None),), unreadable={"licensesSold": marks_of(range(8_000))})
    assert page_size_bytes(marked) == page_size_bytes(Page(marked.rows)) + 1_000
    assert size_bytes(60, "x" * 100) - size_bytes(60, "x") == 60 * 99
    assert size_bytes(20_000, "x") > 20_000 * sys.getsizeof(Row("x", 1, None))
    assert size_bytes(20_000, "x") < 25 * size_bytes(1_000, "x")


def test_stamps_conflict_only_over_values_that_both_have() -> None:
    one = Snapshot(5, (("crm", "a"), ("o365", "b")))
    assert not one.conflicts(Snapshot())
    assert not one.conflicts(Snapshot(None, (("ems", "c"), ("crm", "a"))))
    assert one.conflicts(Snapshot(6))
    assert one.conflicts(Snapshot(5, (("crm", "b"),)))
    assert one.merged(Snapshot(None, (("ems", "c"),))) == Snapshot(5, (("crm", "a"), ("ems", "c"), ("o365", "b")))


async def test_peek_returns_only_fresh_pages_and_counts_them_as_hits(bench: Bench) -> None:
    await bench.ask()
    before = bench.cache.answered_blocks[CacheState.HIT]
    bench.clock.seconds += 99
    assert bench.cache.peek(query(), caller()) is not None
    assert bench.cache.answered_blocks[CacheState.HIT] == before + 1
    bench.clock.seconds += 1
    assert bench.cache.peek(query(), caller()) is None
    assert bench.cache.answered_blocks[CacheState.HIT] == before + 1


async def test_peek_skips_a_page_that_lacks_rows(bench: Bench) -> None:
    await bench.ask(top=5)
    assert bench.cache.peek(query(top=5), caller()) is not None
    assert bench.cache.peek(query(top=10), caller()) is None


async def test_peek_returns_none_once_the_token_has_expired(bench: Bench) -> None:
    """The token's expiry is checked first, even if the page is cached."""
    await bench.ask()
    expired = caller()
    object.__setattr__(expired.token, "expires_at", bench.clock.seconds)
    assert bench.cache.peek(query(), caller()) is not None
    assert bench.cache.peek(query(), expired) is None


async def test_a_stale_page_costs_its_caller_no_upstream_call(bench: Bench) -> None:
    await bench.ask()
    assert (await bench.ask(after_seconds=150)).calls == 0


async def test_a_fresh_large_block_is_preferred_to_a_stale_small_one(bench: Bench) -> None:
    await bench.ask(top=5)
    await bench.ask(after_seconds=60, top=10)
    page = await bench.ask(after_seconds=60, top=5)
    assert (page.cache, len(page.rows), bench.calls) == (CacheState.HIT, 10, 2)


async def test_the_last_of_conflicting_blocks_read_at_the_same_time_stays(bench: Bench) -> None:
    await bench.ask()
    bench.source.date = "2026-02-02T00:00:00"
    await bench.ask(skip=10)
    assert bench.cache.store.entries == 1
    assert (await bench.ask(skip=10)).cache is CacheState.HIT


async def test_a_refresh_has_no_deadline_context_budget_or_patience_of_its_caller() -> None:
    operation = contextvars.ContextVar("operation", default="none")
    seen: list[tuple[float, int, str, bool]] = []

    class Looking(FakeSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            seen.append((caller.deadline, caller.budget.spent_calls, operation.get(), caller.is_ahead))
            caller.budget.reserve()
            return await super().fetch(query, caller)

    bench = Bench()
    bench.cache._source = Looking(bench.clock)
    await bench.ask()
    bench.clock.seconds += 150
    operation.set("the caller's")
    who = Caller(caller().token, deadline=5.0, budget=Budget(7), ahead=Ahead())
    who.budget.reserve()
    assert (await bench.cache.fetch(query(), who)).cache is CacheState.STALE
    await bench.settle()
    assert seen[1] == (float("inf"), 0, "none", False)
    assert who.budget.spent_calls == 1


async def test_a_bug_in_a_refresh_is_reported_and_a_coded_failure_is_not(bench: Bench) -> None:
    class Broken(FakeSource):
        async def fetch(self, query: PageQuery, caller: Caller) -> Page:
            raise KeyError("a bug")

    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
    await bench.ask()
    bench.source.error = UpstreamUnavailable("down")
    await bench.ask(after_seconds=150)
    assert reported == []
    bench.cache._source = Broken(bench.clock)
    await bench.ask()
    assert [type(error) for error in reported] == [KeyError]


async def test_closing_cancels_running_refreshes(bench: Bench) -> None:
    await bench.ask()
    bench.source.gate.clear()
    await bench.ask(after_seconds=150)
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await bench.cache.aclose()
    assert bench.source.cancelled == 1


@pytest.mark.parametrize(
    ("skip", "has_total", "after_seconds", "expected"),
    [(10, True, 31, CacheState.HIT), (25, False, 31, CacheState.HIT), (20, False, 31, CacheState.MISS)],
    ids=["a total of its own", "just behind the promised rows", "where rows are promised"],
)
async def test_an_empty_block_is_doubtful_only_if_it_has_no_total_where_rows_are_expected(
    bench: Bench, skip: int, has_total: bool, after_seconds: float, expected: CacheState
) -> None:
    await bench.ask()
    bench.source.total, bench.source.has_total = 0, has_total
    await bench.ask(skip=skip)
    assert (await bench.ask(after_seconds=after_seconds, skip=skip)).cache is expected


async def test_a_refresh_that_began_before_a_refusal_is_not_waited_for_afterwards(bench: Bench) -> None:
    """Its rows may have been read before the refusal."""
    refused: list[AccessToken] = []
    bench.cache.on_refusal = refused.append
    await bench.ask()
    bench.source.gate.clear()
    await bench.ask(after_seconds=101)
    await bench.cache.drop_token(caller("one"))
    task = asyncio.create_task(bench.cache.fetch(query(), caller("one")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bench.source.gate.set()
    await task
    assert bench.calls == 3
    assert refused == [caller("one").token]
