"""Renderings last as long as their page, within the size limit of the store."""

from __future__ import annotations

import pytest

from gateway.cache.memory import MemoryStore
from gateway.cache.renderings import RENDERING_OVERHEAD_BYTES, KeptRenderings

SIZE_BYTES = 10_000


async def stored_renderings(store: MemoryStore, key: str) -> KeptRenderings:
    """Store a page; return its renderings."""
    renderings = KeptRenderings(store, key)
    assert await store.put(key, object(), size_bytes=100, ttl_seconds=60, owner=renderings)
    return renderings


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(max_bytes=200_000)


async def test_a_rendering_is_returned_again_and_counted(store: MemoryStore) -> None:
    renderings = await stored_renderings(store, "one")
    before = store.used_bytes
    renderings.keep("nodes", b"x" * SIZE_BYTES, SIZE_BYTES)
    assert renderings.get("nodes") == b"x" * SIZE_BYTES
    assert renderings.get("edges") is None
    assert store.used_bytes == before + SIZE_BYTES + RENDERING_OVERHEAD_BYTES


async def test_one_page_never_exceeds_its_share_and_evicts_its_oldest_rendering_first(store: MemoryStore) -> None:
    renderings = await stored_renderings(store, "one")
    for number in range(10):
        renderings.keep(number, b"x", SIZE_BYTES)
        renderings.get(0)
    assert [number for number in range(10) if renderings.get(number)] == [0, 7, 8, 9]
    assert store.used_bytes <= 200_000 / 4 + 2_000


async def test_a_rendering_larger_than_the_share_is_not_cached(store: MemoryStore) -> None:
    renderings = await stored_renderings(store, "one")
    renderings.keep("nodes", b"x", 60_000)
    assert renderings.get("nodes") is None


async def test_renderings_count_toward_the_size_limit_of_the_store(store: MemoryStore) -> None:
    pages = [await stored_renderings(store, f"page{number}") for number in range(6)]
    for renderings in pages:
        renderings.keep("nodes", b"x", 40_000)
        assert store.used_bytes <= 200_000
    # A page takes 40,000 bytes and some for tables, so four fit. Evicted pages take their renderings with them.
    assert store.entries == 4
    for renderings in pages[:2]:
        renderings.keep("edges", b"y", 1)
    assert [renderings.get("nodes") for renderings in pages] == [None, None, b"x", b"x", b"x", b"x"]


async def test_renderings_of_an_evicted_page_are_freed(store: MemoryStore) -> None:
    renderings = await stored_renderings(store, "one")
    renderings.keep("nodes", b"x", SIZE_BYTES)
    await store.delete("one")
    renderings.keep("edges", b"y", SIZE_BYTES)
    assert renderings.get("nodes") is None
    assert renderings.get("edges") is None
    assert store.used_bytes == 0


async def test_a_newer_page_under_the_same_key_is_not_charged_for_the_older(store: MemoryStore) -> None:
    older = await stored_renderings(store, "one")
    await stored_renderings(store, "one")
    before = store.used_bytes
    older.keep("nodes", b"x", SIZE_BYTES)
    assert store.used_bytes == before
    assert older.get("nodes") is None
