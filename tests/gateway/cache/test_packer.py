"""The two forms of cached pages, hot and packed, under one limit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.cache import packing
from gateway.cache.memory import ENTRY_OVERHEAD_BYTES
from gateway.cache.packing import PackedRows
from gateway.cache.page_size import page_size_bytes
from gateway.cache.pages import CachedPages
from gateway.config.groups import CacheConfig
from gateway.errors import Unauthenticated
from gateway.page import CacheState, Page
from tests.gateway.fakes import Clock, FakeSource, Row, caller, query

ROWS = 2_000


class TwoForms:
    """A cache whose hot form has room for ``hot_pages`` pages of 2,000 rows."""

    def __init__(self, hot_pages: float = 2, memory_pages: float = 4) -> None:
        self.clock = Clock()
        self.source = FakeSource(self.clock, 10**9)
        page_bytes = page_size_bytes(Page(tuple(Row("o365", number, self.source.date) for number in range(ROWS))))
        config = CacheConfig(int(memory_pages * page_bytes), 100, 1_000, first_block_rows=5, block_rows=ROWS)
        self.cache = CachedPages(self.source, config, clock=self.clock)
        self.store = self.cache.store
        self.store.packing_bytes = self.store.kept_hot_bytes = hot_pages * page_bytes

    async def ask(self, token: str, **changes: Any) -> Page:
        page = await self.cache.fetch(query(0, ROWS, **changes), caller(token))
        await self.packed()
        return page

    async def packed(self) -> None:
        """Wait until nothing is being packed."""
        task = self.cache.packer._task
        if task is not None:
            await asyncio.wait({task})

    def forms(self) -> list[bool]:
        """Return for each entry, the least recently used first, whether it is hot."""
        return [record.is_hot for record in self.store._records.values()]


@pytest.fixture
def forms() -> TwoForms:
    return TwoForms()


async def test_far_more_pages_are_kept_than_fit_hot(forms: TwoForms) -> None:
    tokens = [f"token-{number}" for number in range(40)]
    first = [await forms.ask(token) for token in tokens]
    calls = len(forms.source.calls)
    again = [await forms.ask(token) for token in tokens]
    assert len(forms.source.calls) == calls
    assert [page.rows for page in again] == [page.rows for page in first]
    assert {page.cache for page in again} == {CacheState.HIT}
    assert forms.store.evictions == 0
    assert forms.store.used_bytes <= forms.store.max_bytes


async def test_the_least_recently_used_pages_are_packed(forms: TwoForms) -> None:
    for token in ("one", "two", "one", "three"):
        await forms.ask(token)
    assert forms.forms() == [False, True, True] or forms.forms() == [False, False, True]
    assert forms.cache.peek(query(0, ROWS), caller("three")) is not None
    assert forms.cache.peek(query(0, ROWS), caller("two")) is None


async def test_an_unpacked_page_is_packed_again_without_work(forms: TwoForms) -> None:
    for token in ("one", "two", "three"):
        await forms.ask(token)
    await forms.ask("one")
    (key, record) = list(forms.store._records.items())[-1]
    assert record.is_hot
    packed = record.packed
    assert isinstance(packed, PackedRows)
    for token in ("four", "five", "six"):
        await forms.ask(token)
    assert forms.store._records[key].value.rows is packed


async def test_packed_pages_expire_and_turn_stale(forms: TwoForms) -> None:
    for token in ("one", "two", "three"):
        await forms.ask(token)
    forms.clock.seconds += 150
    assert (await forms.ask("one")).cache is CacheState.STALE
    forms.clock.seconds += 1_000
    assert (await forms.ask("two")).cache is CacheState.MISS


async def test_a_refusal_drops_packed_pages(forms: TwoForms) -> None:
    for token in ("one", "two", "three"):
        await forms.ask(token)
    forms.source.error = Unauthenticated("no")
    with pytest.raises(Unauthenticated):
        await forms.cache.fetch(query(0, ROWS, revalidate=True), caller("one"))
    with pytest.raises(Unauthenticated):
        await forms.ask("one")
    assert (await forms.ask("two")).cache is CacheState.HIT


async def test_a_page_unpacked_while_its_token_is_refused_is_not_cached(forms: TwoForms) -> None:
    for token in ("one", "two", "three"):
        await forms.ask(token)
    unpacking = asyncio.ensure_future(forms.cache.fetch(query(0, ROWS), caller("one")))
    await asyncio.sleep(0)
    await forms.cache.drop_token(caller("one"))
    await unpacking
    assert forms.cache.index.keys_of(caller("one").token.locator) == []
    assert forms.store.entries == 2


async def test_a_page_replaced_while_it_is_packed_stays_replaced(forms: TwoForms) -> None:
    await forms.ask("one")
    await forms.ask("two")
    await forms.cache.fetch(query(0, ROWS), caller("three"))
    assert forms.cache.packer._task is not None
    forms.source.date = "2026-02-02T00:00:00"
    newer = await forms.cache.fetch(query(0, ROWS, revalidate=True), caller("one"))
    await forms.packed()
    again = await forms.cache.fetch(query(0, ROWS), caller("one"))
    assert again.rows == newer.rows
    assert again.fetched_at == newer.fetched_at


async def test_a_burst_packs_hot_pages_at_once_instead_of_evicting_packed_ones(forms: TwoForms) -> None:
    """Pages that were packed before need no time to be packed again."""
    tokens = [f"token-{number}" for number in range(20)]
    for token in tokens:
        await forms.ask(token)
    pages = [await forms.cache.fetch(query(0, ROWS), caller(token)) for token in tokens]
    assert {page.cache for page in pages} == {CacheState.HIT}
    assert (forms.store.evictions, forms.store.entries) == (0, 20)
    assert forms.store.used_bytes <= forms.store.max_bytes


async def test_a_burst_of_new_pages_evicts_hot_pages_before_packed_ones(forms: TwoForms) -> None:
    for number in range(20):
        await forms.ask(f"token-{number}")
    packed = forms.store.packed_entries
    for number in range(10):
        page = Page(tuple(Row("o365", number, forms.source.date) for _ in range(ROWS)))
        await forms.store.put(f"new:0:{number}", page, size_bytes=page_size_bytes(page), ttl_seconds=60)
        assert forms.store.used_bytes <= forms.store.max_bytes
    assert forms.store.packed_entries >= packed


async def test_a_page_that_would_not_become_smaller_stays_hot() -> None:
    forms = TwoForms(hot_pages=0)
    for token in ("one", "two"):
        await forms.cache.fetch(query(0, 1), caller(token))
        await forms.packed()
    assert [record.is_packed for record in forms.store._records.values()] == [False, False]
    assert (forms.store.entries, forms.store.packed_entries) == (2, 0)


async def test_thousands_of_empty_pages_neither_delay_nor_pack_the_pages_of_others() -> None:
    """They cannot be packed, so they must not count as pages that should be."""
    forms = TwoForms(hot_pages=1.5)
    await forms.ask("one")
    for number in range(int(forms.store.packing_bytes / ENTRY_OVERHEAD_BYTES)):
        await forms.store.put(f"empty:0:{number}", Page(()), size_bytes=0, ttl_seconds=60)
    await forms.packed()
    assert forms.store.used_bytes > forms.store.packing_bytes
    assert not forms.store.is_pressed
    assert len(forms.store._hot) == 1
    assert forms.cache.peek(query(0, ROWS), caller("one")) is not None


async def test_small_entries_that_fill_the_store_are_evicted_before_pages_in_use() -> None:
    forms = TwoForms(hot_pages=3)
    await forms.ask("one")
    await forms.ask("two")
    for number in range(5_000):
        await forms.store.put(f"empty:0:{number}", Page(()), size_bytes=1_000, ttl_seconds=60)
        for token in ("one", "two"):
            assert forms.cache.peek(query(0, ROWS), caller(token)) is not None
    assert forms.store.evictions > 0


async def test_packing_begins_before_a_large_page_would_evict_others() -> None:
    forms = TwoForms(memory_pages=3)
    forms.store.packing_bytes, forms.store.kept_hot_bytes = forms.store.max_bytes * 0.75, forms.store.max_bytes * 0.125
    for number in range(10):
        await forms.ask(f"token-{number}")
    assert (forms.store.evictions, forms.store.entries) == (0, 10)


async def test_closing_ends_the_packing(forms: TwoForms) -> None:
    for token in ("one", "two", "three"):
        await forms.cache.fetch(query(0, ROWS), caller(token))
    await forms.cache.aclose()
    assert forms.cache.packer._task is not None
    assert forms.cache.packer._task.cancelled()


async def test_the_counts_of_bytes_are_exact(forms: TwoForms) -> None:
    for number in range(60):
        await forms.ask(f"token-{number % 13}")
        records = forms.store._records.values()
        assert forms.store.used_bytes == sum(record.cost_bytes for record in records)
        assert forms.store.hot_bytes == sum(record.cost_bytes for record in records if record.is_hot)
        assert set(forms.store._hot) == {key for key, record in forms.store._records.items() if record.is_hot}


async def test_callers_that_need_one_packed_page_unpack_it_once(
    forms: TwoForms, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked, unpack = list[int](), packing.unpack

    async def counting(packed: PackedRows, *arguments: Any) -> Any:
        unpacked.append(len(packed))
        return await unpack(packed, *arguments)

    monkeypatch.setattr("gateway.cache.pages.unpack", counting)
    for number in range(6):
        await forms.ask(f"token-{number}")
    pages = await asyncio.gather(*(forms.cache.fetch(query(0, ROWS), caller("token-0")) for _ in range(5)))
    assert all(page.rows is pages[0].rows for page in pages)
    assert unpacked == [ROWS]


async def test_pages_are_unpacked_one_after_the_other(forms: TwoForms, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, unpack = 0, 0, packing.unpack

    async def counting(*arguments: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await unpack(*arguments)
        finally:
            running -= 1

    monkeypatch.setattr("gateway.cache.pages.unpack", counting)
    for number in range(12):
        await forms.ask(f"token-{number}")
    await asyncio.gather(*(forms.cache.fetch(query(0, ROWS), caller(f"token-{number}")) for number in range(8)))
    assert most == 1
