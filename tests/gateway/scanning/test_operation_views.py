"""The fields of one operation use one view, which the operation does not keep in memory."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import replace

import pytest

from gateway.errors import SnapshotChanged
from gateway.page import CacheState
from gateway.scanning.operation_views import OperationViews
from gateway.scanning.view import View
from tests.gateway.scanning.test_cached_views import Bench


async def view_of(date: str) -> View:
    """Return a view of rows that were processed at ``date``."""
    bench = Bench(0)
    bench.source.date = date
    return await bench.view()


async def test_a_later_field_uses_the_view_of_an_earlier_one() -> None:
    views, earlier, later = OperationViews(), await view_of("2026-01-01"), await view_of("2026-01-08")
    earlier = replace(earlier, cache=CacheState.STALE)
    assert views.agreed("rows", earlier) is earlier
    agreed = views.agreed("rows", later)
    assert (agreed.table, agreed.reading, agreed.cache) == (earlier.table, earlier.reading, CacheState.STALE)
    assert agreed.kept is None


async def test_views_of_equal_content_agree() -> None:
    """Such as one that was driven out of the cache and built again."""
    views, one, other = OperationViews(), await view_of("2026-01-01"), await view_of("2026-01-01")
    assert one.table is not other.table
    views.agreed("rows", one)
    assert views.agreed("rows", other) is other


async def test_views_of_different_queries_or_modes_are_apart() -> None:
    views, one, other = OperationViews(), await view_of("2026-01-01"), await view_of("2026-01-08")
    for question, view in (("rows", one), ("others", other), ("rows", replace(other, is_by_rows=True))):
        assert views.agreed(question, view) is view


async def test_no_table_is_kept_and_other_data_is_a_changed_snapshot() -> None:
    views, view = OperationViews(), await view_of("2026-01-01")
    views.agreed("rows", view)
    table = weakref.ref(view.table)
    del view
    # Until then the loop holds the result of its task.
    await asyncio.sleep(0.01)
    gc.collect()
    assert table() is None
    views.agreed("rows", await view_of("2026-01-01"))
    with pytest.raises(SnapshotChanged, match="Send it again"):
        views.agreed("rows", await view_of("2026-01-08"))
