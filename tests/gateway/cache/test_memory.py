"""The memory tier alone: bytes, expiry and eviction."""

from __future__ import annotations

import pytest

from gateway.cache.memory import ENTRY_OVERHEAD_BYTES, MemoryStore
from tests.gateway.fakes import Clock

VALUE_BYTES = 1_000
COST_BYTES = VALUE_BYTES + ENTRY_OVERHEAD_BYTES


async def put(store: MemoryStore, key: str, value: object = "value", ttl_seconds: float = 10) -> bool:
    """Store a value of VALUE_BYTES."""
    return await store.put(key, value, size_bytes=VALUE_BYTES, ttl_seconds=ttl_seconds)


async def test_replacing_a_value_releases_its_bytes() -> None:
    store = MemoryStore(max_bytes=10 * COST_BYTES)
    for number in range(100):
        await put(store, "key", number)
    assert (store.used_bytes, store.entries, store.evictions) == (COST_BYTES, 1, 0)
    assert store.peek("key") == 99


async def test_replacing_a_charged_value_releases_the_charged_bytes() -> None:
    store = MemoryStore(max_bytes=10 * COST_BYTES)
    owner = object()
    await store.put("key", 1, size_bytes=VALUE_BYTES, ttl_seconds=10, owner=owner)
    assert store.charge("key", owner, 500)
    assert store.used_bytes == COST_BYTES + 500
    await put(store, "key")
    assert store.used_bytes == COST_BYTES
    assert not store.charge("key", owner, 500)
    assert store.used_bytes == COST_BYTES


async def test_a_replacement_larger_than_the_limit_removes_the_entry() -> None:
    store = MemoryStore(max_bytes=2 * COST_BYTES)
    await put(store, "key")
    assert not await store.put("key", 2, size_bytes=3 * COST_BYTES, ttl_seconds=10)
    assert (store.used_bytes, store.entries, store.peek("key")) == (0, 0, None)


async def test_deleted_and_expired_values_release_their_bytes() -> None:
    clock = Clock()
    store = MemoryStore(max_bytes=10 * COST_BYTES, clock=clock)
    await put(store, "deleted")
    await put(store, "expired", ttl_seconds=1)
    await store.delete("deleted")
    clock.seconds += 1
    assert await store.get("expired") is None
    assert (store.used_bytes, store.entries) == (0, 0)


@pytest.mark.parametrize(("after_seconds", "expected"), [(0, "value"), (9.5, "value"), (10, None), (11, None)])
async def test_peek_and_get_agree_on_expiry(after_seconds: float, expected: str | None) -> None:
    clock = Clock()
    store = MemoryStore(max_bytes=10 * COST_BYTES, clock=clock)
    await put(store, "key")
    clock.seconds += after_seconds
    assert store.peek("key") == expected
    assert await store.get("key") == expected


@pytest.mark.parametrize("way", ["peek", "get"])
async def test_both_ways_of_reading_count_as_a_use_for_eviction(way: str) -> None:
    store = MemoryStore(max_bytes=2 * COST_BYTES)
    await put(store, "used")
    await put(store, "unused")
    assert (store.peek("used") if way == "peek" else await store.get("used")) == "value"
    await put(store, "new")
    assert (store.peek("used"), store.peek("unused"), store.peek("new")) == ("value", None, "value")
    assert store.evictions == 1


async def test_a_charge_that_evicts_its_own_value_is_reported() -> None:
    evicted: list[str] = []
    store = MemoryStore(max_bytes=2 * COST_BYTES, on_evict=evicted.append)
    owner = object()
    await store.put("key", 1, size_bytes=VALUE_BYTES, ttl_seconds=10, owner=owner)
    assert store.charge("key", owner, COST_BYTES)
    assert not store.charge("key", owner, 1)
    assert (store.used_bytes, store.entries, evicted) == (0, 0, ["key"])
