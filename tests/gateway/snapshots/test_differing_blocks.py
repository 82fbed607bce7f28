"""Blocks that were accepted as one snapshot: for whom they count, when they are forgotten, and how many are stored."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.page import Page
from gateway.snapshots.differing_blocks import MAX_BLOCKS, MAX_QUERIES, DifferingBlocks
from gateway.snapshots.snapshot import Snapshot
from tests.gateway.fakes import caller, query


def block(skip: int, day: int, total: int | None = 90) -> Page:
    """Return a block of one service, processed on ``day``."""
    return Page((), skip, snapshot=Snapshot(total, (("crm", f"2026-01-{day:02}"),)))


A, B, C, D = (block(10 * number, 20 - number) for number in range(4))


def conflict(differing: DifferingBlocks, one: Page, other: Page) -> bool:
    result = differing.conflict(query(), caller(), one, other)
    assert differing.conflict(query(), caller(), other, one) is result
    return result


def accepting(*pairs: tuple[Page, Page]) -> DifferingBlocks:
    differing = DifferingBlocks()
    for pair in pairs:
        assert differing.accept(query(), caller(), *pair)
    return differing


def test_blocks_conflict_until_they_are_accepted() -> None:
    assert conflict(accepting(), A, B)
    assert not conflict(accepting((A, B)), A, B)
    assert conflict(accepting((A, B)), A, C)


def test_acceptance_extends_to_blocks_that_share_an_accepted_block() -> None:
    assert not conflict(accepting((A, B), (B, C)), A, C)
    assert not conflict(accepting((A, B), (C, D), (B, C)), A, D)
    assert conflict(accepting((A, B), (C, D)), A, D)


def test_another_reading_of_an_accepted_block_is_a_conflict() -> None:
    differing = accepting((A, B))
    newer = block(10, 29)
    assert conflict(differing, B, newer)
    assert conflict(differing, A, newer)
    assert differing.accept(query(), caller(), A, newer)
    assert not conflict(differing, A, newer)
    assert conflict(differing, A, B), "the data has changed since B was read"


def test_the_first_rows_are_accepted_in_blocks_of_both_sizes() -> None:
    small, large = block(0, 20), block(0, 20, total=None)
    differing = accepting((small, B), (large, B))
    assert not conflict(differing, small, B)
    assert not conflict(differing, large, B)


def test_blocks_are_accepted_in_any_spelling_of_their_dates() -> None:
    respelled = Page((), 10, snapshot=Snapshot(90, (("crm", "2026-01-19T00:00:00.000Z"),)))
    assert not conflict(accepting((A, B)), A, respelled)


@pytest.mark.parametrize(
    ("other_query", "other_caller"),
    [
        (query(group_by=("serviceCode",)), caller()),
        (query(processed_date_time="2026-01-01"), caller()),
        (query(), caller("two")),
        (query(), caller(locale="de-DE")),
    ],
)
def test_acceptance_holds_for_one_query_token_and_locale(other_query: object, other_caller: object) -> None:
    assert accepting((A, B)).conflict(other_query, other_caller, A, B)  # type: ignore[arg-type]  # parametrized


def test_other_rows_and_revalidation_are_the_same_query() -> None:
    assert not accepting((A, B)).conflict(query(50, 5, revalidate=True), caller(), A, B)


def test_the_memory_for_queries_and_blocks_is_bounded() -> None:
    differing = DifferingBlocks()
    for number in range(MAX_QUERIES + 1):
        differing.accept(query(processed_date_time=str(number)), caller(), A, B)
    assert differing.conflict(query(processed_date_time="0"), caller(), A, B)
    assert not differing.conflict(query(processed_date_time="1"), caller(), A, B)
    blocks = [block(10 * number, number % 28 + 1) for number in range(2 * MAX_BLOCKS)]
    for pair in pairwise(blocks):
        assert differing.accept(query(), caller(), *pair)
    assert not conflict(differing, *blocks[-2:])
    assert sum(map(len, differing._accepted[next(reversed(differing._accepted))])) <= MAX_BLOCKS


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 3)), max_size=12))
def test_accepted_groups_never_hold_two_readings_of_one_block(steps: list[tuple[int, int, int]]) -> None:
    differing = DifferingBlocks()
    for one, other, day in steps:
        if one != other:
            pair = block(10 * one, day), block(10 * other, day + 10)
            assert differing.accept(query(), caller(), *pair)
            assert not conflict(differing, *pair), "the latest acceptance always holds"
    for groups in differing._accepted.values():
        for group in groups:
            skips = [skip for skip, _ in group if skip]
            assert len(skips) == len(set(skips))
