"""Operations that hold rows are refused further ones in time; those that hold none never wait for others."""

from __future__ import annotations

import gc
import weakref
from contextlib import ExitStack
from typing import Any

import pytest

from gateway.errors import ServiceUnavailable, UpstreamUnavailable
from gateway.held_rows import HeldRows, OperationRows
from gateway.page import Caller, Page
from gateway.paging.blocks import BlockSizes
from gateway.paging.window import PageArguments
from gateway.query import PageQuery
from schema.connection import read_connection
from tests.gateway.fakes import FakeSource, caller, query


def holding(rows: HeldRows, owner: bytes, count: int) -> OperationRows:
    """Return an operation that holds ``count`` rows and waits for nothing."""
    operation = rows.operation(owner)
    operation.add(count)
    return operation


def wait(operation: OperationRows) -> None:
    with operation.loading():
        pass


def test_an_operation_must_not_wait_with_its_rows_if_others_fill_the_memory() -> None:
    rows = HeldRows(100)
    for owner in (b"a", b"b", b"c"):
        holding(rows, owner, 30)
    operation = holding(rows, b"d", 11)
    with pytest.raises(ServiceUnavailable) as caught:
        wait(operation)
    assert caught.value.retry_after_seconds
    operation.release()
    wait(operation)


def test_an_operation_without_rows_may_always_wait_and_one_block_may_arrive() -> None:
    rows = HeldRows(100)
    for owner in (b"a", b"b", b"c"):
        holding(rows, owner, 40)
    operation = rows.operation(b"d")
    wait(operation)
    operation.add(40)
    assert rows.rows == 160


def test_no_rows_arrive_beyond_twice_the_limit() -> None:
    rows = HeldRows(100)
    for owner in (b"a", b"b", b"c", b"d"):
        holding(rows, owner, 50)
    with pytest.raises(ServiceUnavailable):
        holding(rows, b"e", 1)


def test_one_token_gets_half_and_others_do_not_notice() -> None:
    rows = HeldRows(100)
    one, other = holding(rows, b"a", 30), holding(rows, b"b", 30)
    second = holding(rows, b"a", 21)
    for operation in (one, second):
        with pytest.raises(ServiceUnavailable):
            wait(operation)
    wait(other)


def test_an_operation_is_never_refused_for_its_own_rows() -> None:
    rows = HeldRows(100)
    operation = holding(rows, b"a", 1_000)
    wait(operation)
    operation.add(1_000)


def test_rows_that_arrive_while_others_are_loading_are_refused_sooner() -> None:
    rows = HeldRows(100)
    for owner in (b"a", b"b", b"c"):
        holding(rows, owner, 33)
    operation = rows.operation(b"d")
    with ExitStack() as stack:
        stack.enter_context(operation.loading())
        with pytest.raises(ServiceUnavailable):
            operation.add(2)


def test_released_rows_are_not_counted() -> None:
    rows = HeldRows(100)
    operation = holding(rows, b"a", 60)
    operation.release()
    operation.release()
    assert (rows.rows, rows._held) == (0, {})


class Failing(FakeSource):
    """A source whose second block fails; it remembers the first one."""

    first: weakref.ref[Any] | None = None

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        if query.skip:
            raise UpstreamUnavailable("down")
        page = await super().fetch(query, caller)
        self.first = weakref.ref(rows := Rows(page.rows))
        return page.having(rows=rows)


class Rows(list[Any]):
    """A list that can be referred to weakly."""


async def test_a_failed_connection_keeps_no_rows_even_while_its_error_lives() -> None:
    source = Failing(lambda: 0.0, 30)
    errors = []
    gc.disable()
    try:
        with pytest.raises(UpstreamUnavailable) as caught:
            await read_connection(
                source, query(), caller(), PageArguments(10, None, None, None, 5), BlockSizes(10, 10)
            )  # fmt: skip
        errors.append(caught.value)
        assert source.first is not None
        assert source.first() is None
    finally:
        gc.enable()
