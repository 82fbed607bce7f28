"""Wrong totals of the upstream give correct results or an error."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.caller import Caller
from gateway.errors import SnapshotChanged
from gateway.page import CacheState, Page
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.blocks import Blocks
from gateway.paging.row_stream import RowStream
from gateway.paging.window import PageArguments
from gateway.query import PageQuery
from gateway.snapshots.snapshot import Snapshot
from schema.connection import read_connection
from schema.execution.limits import MAX_ALIAS_CHARACTERS
from tests.gateway.fakes import FakeSource, Row, caller, query

ENDS = "totalCount pageInfo { hasNextPage hasPreviousPage } nodes { licensesSold customerTenantId }"


def test_the_last_rows_are_never_derived_from_a_low_total(start_gateway: Any) -> None:
    """Half of 20,000 rows is a whole block, so only the row after it shows that the total is wrong."""
    reply = start_gateway().ask(
        f"{{ licenseDeployments(last: 2) {{ {ENDS} }} }}", "fabrikam+rows=20000+total=low+as=lies"
    )
    assert reply["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert reply["errors"][0]["extensions"]["argument"] == "last"


def test_a_high_total_is_not_returned_once_the_end_was_seen(start_gateway: Any) -> None:
    connection = start_gateway().connection(
        "last: 2", "fabrikam+total=high+as=lies", "totalCount pageInfo { hasNextPage }"
    )
    assert connection == {"totalCount": None, "pageInfo": {"hasNextPage": False}}


def test_an_empty_block_is_not_a_next_page(start_gateway: Any) -> None:
    token = "contoso+empty-page=10000+as=lies"
    connection = start_gateway().connection(
        "offset: 9000, first: 3000", token, "nodes { channel } pageInfo { hasNextPage }"
    )
    assert len(connection["nodes"]) == 1_000
    assert connection["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize("skip", [10, 30])
async def test_a_total_of_0_beyond_the_end_is_no_contradiction(skip: int) -> None:
    """Window functions count only the rows of the page, which is empty."""

    class Counting:
        async def fetch(self, query: Any, caller: Any) -> Page:
            rows = tuple(
                Row("o365", number, "2026-01-01") for number in range(query.skip, min(10, query.skip + query.top))
            )
            total = 10 if rows else None
            return Page(
                rows, query.skip, more=False, total_count=total, snapshot=Snapshot(total), cache=CacheState.MISS
            )

    blocks = Blocks(Counting(), query(), caller(), BlockSizes(5, 10))
    await blocks.load(skip, skip + 1)
    assert await blocks.exists(9)
    assert not await blocks.exists(skip)
    assert blocks.known_end == 10


class ByTurns(FakeSource):
    """Two snapshots with different totals, each for every second block, as from an HTTP cache in between."""

    def __init__(self, *, has_dates: bool) -> None:
        super().__init__(lambda: 0.0, 40)
        self._has_dates = has_dates

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        number = query.skip // 10 % 2
        self.total, self.date = 40 + 5 * number, f"2026-01-0{number + 1}T00:00:00"
        page = await super().fetch(query, caller)
        return page if self._has_dates else page.having(snapshot=Snapshot(self.total))


@pytest.mark.parametrize("has_dates", [False, True], ids=["totals", "totals and dates"])
async def test_blocks_of_two_snapshots_with_different_totals_are_never_joined(has_dates: bool) -> None:
    source, sizes = ByTurns(has_dates=has_dates), BlockSizes(10, 10)
    with pytest.raises(SnapshotChanged):
        await read_connection(source, query(), caller(), PageArguments(10, None, None, None, 5), sizes)
    stream = RowStream(source, query(), sizes, caller)
    with pytest.raises(SnapshotChanged):
        async for _ in stream.pages(await stream.opening()):
            pass


def test_missing_rows_between_contradictory_blocks_give_a_warning(start_gateway: Any) -> None:
    """All rows vanish after the first response. An empty page with a TotalCount of 0 does not change the total."""
    gateway = start_gateway(first_block_rows=10, block_rows=20)
    arguments = "(offset: 15, first: 10)"
    reply = gateway.ask(
        f"{{ licenseDeployments{arguments} {{ totalCount nodes {{ channel }} }} }}",
        "contoso+rows=30+empty-after=1+as=lies",
    )
    assert len(reply["data"]["licenseDeployments"]["nodes"]) == 5
    assert reply["data"]["licenseDeployments"]["totalCount"] is None
    assert [warning["code"] for warning in reply["extensions"]["warnings"]] == ["UPSTREAM_INCOMPLETE"]


@pytest.mark.parametrize(
    "inside",
    [
        "nodes { channel @skip(if: true) }",
        "edges { node { channel @skip(if: true) } }",
        "edges { cursor @skip(if: true) }",
    ],
)
def test_a_selection_emptied_by_directives_gives_empty_objects(start_gateway: Any, inside: str) -> None:
    fast, ordinary = [
        start_gateway(fast_path=switch).connection("first: 2", "sample+as=lies", inside) for switch in ("on", "off")
    ]
    assert fast == ordinary


def test_alias_length_is_bounded(gateway: Any) -> None:
    longest = "a" * MAX_ALIAS_CHARACTERS
    reply = gateway.ask(f"{{ licenseDeployments {{ nodes {{ {longest}a: channel }} }} }}", "sample")
    assert reply["errors"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"
    good = gateway.ask(f"{{ licenseDeployments {{ nodes {{ {longest}: channel }} }} }}", "sample")
    assert "errors" not in good


def test_a_cursor_at_the_first_row_is_compared_with_the_current_snapshot(start_gateway: Any) -> None:
    """The page is empty in both cases, so only the cursor's row distinguishes them."""
    token = "contoso+rows=30+reprocess-after=1+as=lies"
    cursor = start_gateway().connection("first: 2", token, "pageInfo { startCursor }")["pageInfo"]["startCursor"]
    query = f'{{ licenseDeployments(last: 2, before: "{cursor}") {{ nodes {{ channel }} }} }}'
    assert start_gateway().ask(query, token)["errors"][0]["extensions"]["code"] == "SNAPSHOT_CHANGED"
