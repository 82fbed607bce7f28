"""Long work on views is done in many small pieces, so that other work of the thread waits for none of it for long."""

from __future__ import annotations

from typing import TypeVar

import pytest

from gateway.views.arrangement import arranging
from gateway.views.conditions import AnyOf, MeasureComparison, Not
from gateway.views.grouping import grouping
from gateway.views.order_term import OrderTerm
from gateway.views.pieces import Pieces, Shared, whole
from gateway.views.refinement import Refinement
from gateway.views.table import Table
from gateway.views.totals import totaling
from tests.gateway.views.generated import DIMENSIONS, SmallRow, table_of

T = TypeVar("T")

# More distinct texts than one step of a sort has.
ROWS = 10_000


def table() -> Table:
    return table_of(
        [SmallRow("o365", f"customer {number}", f"product {number % 9}", 1, number) for number in range(ROWS)]
    )


def count(pieces: Pieces[T]) -> int:
    """Return the number of pieces."""
    return sum(1 for _ in pieces) + 1


def of(refinement: Refinement, dimensions: tuple[str, ...] = DIMENSIONS) -> int:
    """Return the number of pieces in which a new table is arranged."""
    return count(arranging(table(), refinement, dimensions))


@pytest.mark.parametrize("words", [1, 5, 36])
def test_each_word_is_searched_in_each_dimension_in_a_piece_of_its_own(words: int) -> None:
    texts = tuple(f"word{number}" for number in range(words))
    for dimensions in (DIMENSIONS[:1], DIMENSIONS):
        assert of(Refinement(words=texts), dimensions) > words * len(dimensions)


def test_each_comparison_is_a_piece_of_its_own_and_its_measure_one_piece_for_all() -> None:
    def pieces(comparisons: int) -> int:
        rates = tuple(MeasureComparison("deploymentRate", "gt", number / 7) for number in range(comparisons))
        return of(Refinement(condition=AnyOf((*rates[1:], Not(rates[0])))))

    assert pieces(95) - pieces(1) == 94


def test_each_sort_is_several_pieces() -> None:
    """One for each digit, and the distinct texts are sorted in steps."""
    by_name, by_rate = OrderTerm("customerName"), OrderTerm("deploymentRate")
    pieces = [of(Refinement(order=terms)) for terms in ((), (by_name,), (by_name, by_rate))]
    assert pieces[1] > pieces[0] + 10
    assert pieces[2] > pieces[1] + 3


def test_groups_totals_and_digests_are_computed_in_pieces() -> None:
    assert count(grouping(table(), DIMENSIONS)) > count(grouping(table(), DIMENSIONS[:1])) > 5
    assert count(totaling(table())) >= 4
    assert count(table().measuring()) > 5


def test_orders_of_one_table_at_once_rank_it_once() -> None:
    one = table()
    running = [arranging(one, Refinement(order=(OrderTerm("customerName"),)), DIMENSIONS) for _ in range(20)]
    alone, pieces = of(Refinement(order=(OrderTerm("customerName"),))), 0
    results = []
    while running:
        for arrangement in list(running):
            pieces += 1
            try:
                next(arrangement)
            except StopIteration as end:
                results.append(end.value.tolist())
                running.remove(arrangement)
    assert len(results) == 20
    assert all(result == results[0] for result in results)
    # Each still sorts its rows by the ranks.
    assert pieces < 5 * alone


def test_what_a_caller_leaves_unfinished_is_continued_by_the_next_one() -> None:
    one = table()
    alone = count(table().ranking(["customerName"]))
    leaving = one.ranking(["customerName"])
    for _ in range(alone - 3):
        next(leaving)
    leaving.close()
    assert count(one.ranking(["customerName"])) == 3
    assert count(one.ranking(["customerName"])) == 1


def test_a_shared_computation_that_fails_is_started_again() -> None:
    shared, starts = Shared[int](), iter([False, True])

    def computing() -> Pieces[int]:
        yield
        if not next(starts):
            raise ValueError("broken")
        return 7

    with pytest.raises(ValueError, match="broken"):
        whole(shared.pieces(computing))
    assert [whole(shared.pieces(computing)) for _ in range(2)] == [7, 7]
