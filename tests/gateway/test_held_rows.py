"""A token's operations hold a bounded number of rows at once; those of other tokens do not notice."""

from __future__ import annotations

import gc
import weakref
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
    """Return an operation that holds ``count`` rows and loads nothing."""
    operation = rows.operation(owner)
    operation.add(count)
    return operation


def test_rows_beyond_the_bound_are_refused_and_do_not_count() -> None:
    rows = HeldRows(100)
    holding(rows, b"a", 60)
    second = holding(rows, b"a", 30)
    with pytest.raises(ServiceUnavailable) as caught:
        second.add(11)
    assert caught.value.retry_after_seconds
    assert rows.held_by(b"a") == 90
    second.add(10)
    second.before_load()


def test_an_operation_that_holds_rows_must_not_wait_for_more_beyond_the_bound() -> None:
    rows = HeldRows(100)
    large = holding(rows, b"a", 150)
    small = rows.operation(b"a")
    small.before_load()
    with pytest.raises(ServiceUnavailable):
        small.add(1)
    large.before_load()
    large.release()
    small.add(1)


def test_other_tokens_do_not_notice() -> None:
    rows = HeldRows(100)
    for number in range(50):
        holding(rows, b"a", 2)
        holding(rows, b"token %d" % number, 90).before_load()


def test_an_operation_is_never_refused_for_its_own_rows() -> None:
    operation = holding(HeldRows(100), b"a", 1_000)
    operation.before_load()
    operation.add(1_000)


def test_released_rows_are_not_counted() -> None:
    rows = HeldRows(100)
    operation = holding(rows, b"a", 60)
    operation.release()
    operation.release()
    assert rows._held == {}


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
    gc.disable()
    try:
        with pytest.raises(UpstreamUnavailable) as caught:
            await read_connection(
                source, query(), caller(), PageArguments(10, None, None, None, 5), BlockSizes(10, 10)
            )  # fmt: skip
        assert caught.value.__traceback__ is not None
        assert source.first is not None
        assert source.first() is None
    finally:
        gc.enable()
