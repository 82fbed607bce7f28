"""A token's operations hold a bounded number of rows at once; those of other tokens do not notice."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from gateway import held_rows
from gateway.caller import Caller
from gateway.errors import ServiceUnavailable, UpstreamUnavailable
from gateway.held_rows import HeldRows, OperationRows
from gateway.page import CacheState, Page
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.blocks import Blocks
from gateway.paging.window import PageArguments
from gateway.query import PageQuery
from schema.connection import read_connection
from tests.gateway.fakes import FakeSource, caller, query


def holding(rows: HeldRows, owner: bytes, count: int) -> OperationRows:
    """Return an operation that holds ``count`` rows and loads nothing."""
    operation = rows.operation(owner)
    assert operation.add(block(count))
    return operation


def block(count: int) -> list[None]:
    """Return a block of ``count`` rows."""
    return [None] * count


def test_rows_beyond_the_bound_are_refused_and_do_not_count() -> None:
    rows = HeldRows(100)
    first = holding(rows, b"a", 60)
    second = holding(rows, b"a", 30)
    assert not second.add(block(11))
    assert (first.count, second.count) == (60, 30)
    assert second.add(block(10))
    second.before_load()


def test_an_operation_that_holds_rows_must_not_wait_for_more_beyond_the_bound() -> None:
    rows = HeldRows(100)
    large = holding(rows, b"a", 150)
    small = rows.operation(b"a")
    small.before_load()
    assert not small.add(block(1))
    large.before_load()
    large.release()
    assert small.add(block(1))


def test_other_tokens_do_not_notice() -> None:
    rows = HeldRows(100)
    for number in range(50):
        holding(rows, b"a", 2)
        holding(rows, b"token %d" % number, 90).before_load()


def test_an_operation_is_never_refused_for_its_own_rows() -> None:
    operation = holding(HeldRows(100), b"a", 1_000)
    operation.before_load()
    assert operation.add(block(1_000))


def test_released_rows_are_not_counted() -> None:
    rows = HeldRows(100)
    operation = holding(rows, b"a", 60)
    operation.release()
    operation.release()
    assert operation.count == 0
    other = holding(rows, b"a", 50)
    holding(rows, b"a", 50)
    assert not other.has_room(1)


def test_tokens_without_operations_are_forgotten() -> None:
    rows = HeldRows(100)
    holding(rows, b"a", 60)
    assert not rows._tokens


def test_a_block_that_many_operations_hold_counts_once() -> None:
    rows, shared = HeldRows(100), block(90)
    operations = [rows.operation(b"a") for _ in range(50)]
    for operation in operations:
        assert operation.add(shared)
        assert operation.add(shared)
    assert not rows.operation(b"a").add(block(11))
    for operation in operations[1:]:
        operation.release()
    assert not rows.operation(b"a").add(block(11))
    operations[0].release()
    assert rows.operation(b"a").add(block(11))


class Cached(FakeSource):
    """A source of cached blocks. Each call returns a new list, as after unpacking."""

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        page = await super().fetch(query, caller)
        return page.having(rows=list(page.rows), cache=CacheState.HIT)


def reading(source: FakeSource, held: OperationRows, offset: int = 0) -> asyncio.Task[Any]:
    """Begin to read ten rows for an operation."""
    blocks = Blocks(source, query(), replace(caller(), held=held), BlockSizes(10, 10))
    return asyncio.ensure_future(blocks.load(offset, offset + 10))


async def test_operations_that_hold_nothing_wait_until_cached_rows_have_room() -> None:
    source, rows = Cached(lambda: 0.0, 30), HeldRows(100)
    large, others = holding(rows, b"a", 95), [rows.operation(b"a") for _ in range(20)]
    waiting = [reading(source, other, 10 * (number % 3)) for number, other in enumerate(others)]
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in waiting)
    assert [other.count for other in others] == [0] * 20
    large.release()
    await asyncio.sleep(0.05)
    assert sum(task.done() for task in waiting) == 10
    for task, other in zip(waiting, others, strict=True):
        await task
        other.release()


async def test_a_waiting_operation_that_is_cancelled_lets_the_next_one_in() -> None:
    source, rows = Cached(lambda: 0.0, 10), HeldRows(100)
    large, first, second = holding(rows, b"a", 95), rows.operation(b"a"), rows.operation(b"a")
    waiting = [reading(source, first), reading(source, second)]
    await asyncio.sleep(0.05)
    waiting[0].cancel()
    large.release()
    await waiting[1]
    assert (first.count, second.count) == (0, 10)


async def test_waiting_for_room_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_rows, "WAIT_SECONDS", 0.05)
    source, rows = Cached(lambda: 0.0, 10), HeldRows(100)
    large, others = holding(rows, b"a", 95), [rows.operation(b"a") for _ in range(3)]
    results = await asyncio.gather(*[reading(source, other) for other in others], return_exceptions=True)
    assert [type(result) for result in results] == [ServiceUnavailable] * 3
    large.release()
    await reading(source, others[0])


async def test_operations_that_hold_rows_get_the_rest_one_after_the_other() -> None:
    source, rows = Cached(lambda: 0.0, 20), HeldRows(100)
    operations = [rows.operation(b"a") for _ in range(20)]

    async def answer(operation: OperationRows) -> int:
        await reading(source, operation)
        await reading(source, operation, 10)
        count = operation.count
        await asyncio.sleep(0.001)
        operation.release()
        return count

    assert await asyncio.gather(*map(answer, operations)) == [20] * 20


async def test_an_exempt_operation_that_ends_without_an_answer_lets_the_next_one_in() -> None:
    source, rows = Cached(lambda: 0.0, 20), HeldRows(20)
    first, second = rows.operation(b"a"), rows.operation(b"a")
    for operation in (first, second):
        await reading(source, operation)
    await reading(source, first, 10)
    waiting = reading(source, second, 10)
    await asyncio.sleep(0.05)
    assert (first.count, waiting.done()) == (20, False)
    first.release()
    await waiting
    assert second.count == 20


class Failing(FakeSource):
    """A source whose third block fails; it remembers the others."""

    blocks: ClassVar[list[weakref.ref[Any]]] = []

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        if query.skip == 20:
            raise UpstreamUnavailable("down")
        page = await super().fetch(query, caller)
        self.blocks.append(weakref.ref(rows := Rows(page.rows)))
        return page.having(rows=rows)


class Rows(list[Any]):
    """A list that can be referred to weakly."""


@pytest.mark.parametrize(("offset", "held"), [(15, 0), (0, 95)])
async def test_a_failed_connection_keeps_no_rows_even_while_its_error_lives(
    monkeypatch: pytest.MonkeyPatch, offset: int, held: int
) -> None:
    source, rows = Failing(lambda: 0.0, 30), HeldRows(100)
    source.blocks.clear()
    others, own = holding(rows, b"a", held), rows.operation(b"a")
    arguments = PageArguments(10, None, None, None, offset)
    monkeypatch.setattr(held_rows, "WAIT_SECONDS", 0.05)
    gc.disable()
    try:
        with pytest.raises((UpstreamUnavailable, ServiceUnavailable)) as caught:
            await read_connection(source, query(), replace(caller(), held=own), arguments, BlockSizes(10, 10))
        own.release()
        assert caught.value.__traceback__ is not None
        assert source.blocks
        assert [block() for block in source.blocks] == [None] * len(source.blocks)
        assert others.count == held
    finally:
        gc.enable()
