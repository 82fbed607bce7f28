"""One snapshot per query per operation, and stable data whose dates differ, over real sockets."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.sandbox import ACCOUNTS

ROWS, BLOCK = 60, 10
LATEST = ACCOUNTS["contoso"].latest.isoformat()
NODES = "nodes { customerTenantId productId channel licensesSold processedDateTime } totalCount"


@pytest.fixture
def small_blocks(start_gateway: Any) -> Any:
    """Start a gateway with blocks of ten rows."""
    return start_gateway(first_block_rows=BLOCK, block_rows=BLOCK)


def aliases(**arguments: str) -> str:
    """Return an operation with one field for each keyword."""
    fields = " ".join(f"{name}: licenseDeployments({text}) {{ {NODES} }}" for name, text in arguments.items())
    return f"{{ {fields} }}"


# Fields that ask one query at different places; the first page of another size; forward, backward and count only.
PAIRS = {
    "two offsets": {"one": "first: 5", "two": "first: 5, offset: 30"},
    "three offsets": {"one": "first: 5", "two": "first: 5, offset: 30", "three": "first: 25, offset: 15"},
    "forward and backward": {"one": "first: 5", "two": "last: 5"},
    "count and rows": {"one": "first: 0", "two": "first: 5, offset: 30"},
    "rows and count": {"one": "first: 15, offset: 25", "two": "first: 0"},
    "two sizes": {"one": "first: 5", "two": "first: 50"},
}


def check_one_snapshot(result: dict[str, Any]) -> int:
    """Check that all fields with data are of one snapshot; return the number of errors, which must be coded."""
    errors = result.get("errors", [])
    assert {error["extensions"]["code"] for error in errors} <= {"SNAPSHOT_CHANGED"}
    connections = [connection for connection in result["data"].values() if connection is not None]
    dates = {row["processedDateTime"] for connection in connections for row in connection["nodes"]}
    totals = {connection["totalCount"] for connection in connections}
    assert (len(dates) <= 1, len(totals) <= 1) == (True, True), (dates, totals)
    assert connections, "the first field keeps its rows"
    return len(errors)


@pytest.mark.parametrize("fault", ["reprocess-after", "reprocess-total"])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("responses", [1, 2, 3])
def test_fields_of_one_query_show_one_snapshot_while_data_is_reprocessed(
    small_blocks: Any, pair: dict[str, str], fault: str, responses: int
) -> None:
    token = f"contoso+rows={ROWS}+{fault}={responses}+as=agree"
    assert check_one_snapshot(small_blocks.ask(aliases(**pair), token)) == 0


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("cached", ["first: 5", "first: 5, offset: 30", "last: 5"])
def test_cached_and_fresh_blocks_of_one_operation_are_of_one_snapshot(
    small_blocks: Any, pair: dict[str, str], cached: str
) -> None:
    token = f"contoso+rows={ROWS}+reprocess-after=1+as=cached"
    small_blocks.ask(aliases(one=cached), token)
    assert check_one_snapshot(small_blocks.ask(aliases(**pair), token)) == 0


@pytest.mark.parametrize("fast_path", ["on", "off"])
def test_a_planned_operation_does_not_outlive_its_snapshot(start_gateway: Any, fast_path: str) -> None:
    gateway = start_gateway(first_block_rows=BLOCK, block_rows=BLOCK, fast_path=fast_path)
    token = f"contoso+rows={ROWS}+reprocess-after=1+as=plans{fast_path}"
    old = [gateway.ask(aliases(one="first: 5"), token) for _ in range(2)]
    assert old[0] == old[1]
    assert check_one_snapshot(gateway.ask(aliases(**PAIRS["two offsets"]), token)) == 0
    assert gateway.ask(aliases(one="first: 5"), token) != old[0]


def test_fields_of_different_queries_may_differ(small_blocks: Any, upstream: Any) -> None:
    """Totals differ between filters without a conflict."""
    token = "contoso+as=queries"
    result = small_blocks.ask(aliases(one="first: 1", two='first: 1, filter: {channel: {eq: "direct"}}'), token)
    assert "errors" not in result
    assert result["data"]["one"]["totalCount"] > result["data"]["two"]["totalCount"]
    assert len(upstream.calls_of(token)) == 2


def test_fields_of_one_query_cost_no_further_calls_without_a_conflict(small_blocks: Any, upstream: Any) -> None:
    token = f"contoso+rows={ROWS}+as=cheap"
    assert check_one_snapshot(small_blocks.ask(aliases(**PAIRS["three offsets"]), token)) == 0
    skips = [call.query_string for call in upstream.calls_of(token)]
    assert sorted(skips) == sorted({*skips})
    assert len(skips) == 4


# Stable data


def paginate(gateway: Any, token: str, rows: int, *, backward: bool = False) -> list[str]:
    """Return the dates of all rows, page by page."""
    dates: list[str] = []
    cursor = None
    while True:
        size, bound = ("last", "before") if backward else ("first", "after")
        arguments = f"{size}: {rows}" + (f', {bound}: "{cursor}"' if cursor else "")
        fields = "nodes { processedDateTime } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
        page = gateway.connection(arguments, token, fields)
        info, new = page["pageInfo"], [row["processedDateTime"] for row in page["nodes"]]
        dates = [*new, *dates] if backward else [*dates, *new]
        if not info["hasPreviousPage" if backward else "hasNextPage"]:
            return dates
        cursor = info["startCursor" if backward else "endCursor"]


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("rows", [4, 10, 25])
def test_all_pages_of_rows_sorted_by_date_are_served(
    small_blocks: Any, upstream: Any, rows: int, backward: bool
) -> None:
    token = f"contoso+rows={ROWS}+sorted-dates={BLOCK}+as=sorted{rows}{backward}"
    dates = paginate(small_blocks, token, rows, backward=backward)
    assert [dates.count(date) for date in dict.fromkeys(dates)] == [BLOCK] * (ROWS // BLOCK)
    calls = len(upstream.calls_of(token))
    assert calls <= 8 * ROWS // BLOCK, "each block is read a bounded number of times"
    assert paginate(small_blocks, token, rows, backward=backward) == dates
    repeated = len(upstream.calls_of(token))
    assert repeated - calls <= ROWS // BLOCK, "the difference is remembered"
    assert paginate(small_blocks, token, rows, backward=backward) == dates
    assert len(upstream.calls_of(token)) == repeated, "all blocks stay cached"


@pytest.mark.parametrize("total", ["missing", "null", "high", "low"])
def test_sorted_rows_are_served_with_an_unusable_total(small_blocks: Any, total: str) -> None:
    assert len(paginate(small_blocks, f"contoso+rows={ROWS}+sorted-dates={BLOCK}+total={total}+as=total", 10)) == ROWS


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_fields_of_one_operation_accept_blocks_with_stable_differences(small_blocks: Any, pair: dict[str, str]) -> None:
    token = f"contoso+rows={ROWS}+sorted-dates={BLOCK}+as=stable"
    results = [small_blocks.ask(aliases(**pair), token) for _ in range(3)]
    assert "errors" not in results[0], results[0]
    assert results[0] == results[1] == results[2]


def test_the_same_instant_in_several_spellings_is_one_snapshot(small_blocks: Any, upstream: Any) -> None:
    token = f"contoso+rows={ROWS}+spelled-dates={BLOCK}+as=spelled"
    dates = paginate(small_blocks, token, 20)
    assert len(set(dates)) == 5
    assert len(upstream.calls_of(token)) == ROWS // BLOCK


@pytest.mark.parametrize("fault", ["reprocess-after", "reprocess-total"])
@pytest.mark.parametrize("cursor_block", [0, 1, 2])
def test_sorted_data_that_is_reprocessed_is_still_a_snapshot_conflict(
    start_gateway: Any, upstream: Any, cursor_block: int, fault: str
) -> None:
    """The old dates were accepted, and the block of the cursor is still cached; the new dates are another snapshot."""
    token = f"contoso+rows={ROWS}+sorted-dates={BLOCK}+{fault}=40+as=resorted{cursor_block}"
    gateway = start_gateway(first_block_rows=BLOCK, block_rows=BLOCK)
    paginate(gateway, token, 10)
    fields = "nodes { processedDateTime } pageInfo { endCursor }"
    page = gateway.connection(f"first: 10, offset: {cursor_block * BLOCK}", token, fields)
    other = start_gateway(first_block_rows=BLOCK, block_rows=BLOCK)
    while len(upstream.calls_of(token)) < 40:
        # Other queries use up the responses of the old data.
        number = len(upstream.calls_of(token))
        other.connection(f'first: 1, filter: {{customerName: {{eq: "{number}"}}}}', token)
    cursor = page["pageInfo"]["endCursor"]
    for reader in (other, start_gateway(first_block_rows=BLOCK, block_rows=BLOCK)):
        arguments = f'first: 10, after: "{cursor}"'
        result = reader.ask(f"{{ licenseDeployments({arguments}) {{ {fields} }} }}", token)
        assert [error["extensions"]["code"] for error in result["errors"]] == ["SNAPSHOT_CHANGED"]


def test_a_sorted_export_is_complete_and_can_be_continued(small_blocks: Any, upstream: Any) -> None:
    token = f"contoso+rows={ROWS}+sorted-dates={BLOCK}+as=export"
    headers = {"Authorization": f"Bearer {token}"}
    whole = small_blocks.client.get("/export/licenseDeployments.csv", headers=headers)
    lines = whole.text.splitlines(keepends=True)
    assert len(lines) == 1 + ROWS
    calls = len(upstream.calls_of(token))
    assert calls <= 4 * ROWS // BLOCK
    for offset in (0, 5, 10, 35, 59, 60):
        parameters = {"offset": offset, "snapshot": whole.headers["X-Snapshot"]}
        rest = small_blocks.client.get("/export/licenseDeployments.csv", headers=headers, params=parameters)
        assert rest.status_code == 200, rest.text
        assert rest.text == "".join(lines[1 + offset :])


@pytest.mark.parametrize("rows", [2, 3, 7])
def test_responses_smaller_than_a_block_may_be_sorted_by_date(small_blocks: Any, upstream: Any, rows: int) -> None:
    token = f"contoso+rows={ROWS}+cap=4+sorted-dates={rows}+as=capped"
    for _ in range(2):
        assert len(paginate(small_blocks, token, 25)) == ROWS
    calls = len(upstream.calls_of(token))
    assert len(paginate(small_blocks, token, 25)) == ROWS
    assert len(upstream.calls_of(token)) == calls


def test_dates_that_never_settle_are_a_snapshot_conflict_after_bounded_calls(small_blocks: Any, upstream: Any) -> None:
    """Every response has another row order, so that no block is the same when it is read again."""
    token = f"contoso+rows={ROWS}+unstable+sorted-dates={BLOCK}+as=unsettled"
    shuffled = f"contoso+rows={ROWS}+unstable+as=unsettled"
    assert "errors" not in small_blocks.ask(aliases(one="first: 50"), shuffled), "the order alone is no conflict"
    result = small_blocks.ask(aliases(one="first: 20"), token)
    assert [error["extensions"]["code"] for error in result["errors"]] == ["SNAPSHOT_CHANGED"]
    assert len(upstream.calls_of(token)) <= 6
