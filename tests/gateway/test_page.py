"""Access tokens, budgets, snapshots and pages."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access_token import MAX_TOKEN_BYTES, AccessToken
from gateway.caller import Budget, Caller
from gateway.errors import QueryTooComplex, Unauthenticated
from gateway.page import CacheState, Page
from gateway.snapshots.snapshot import Snapshot, snapshot_of
from tests.gateway.fakes import Row


def jwt(claims: Any) -> str:
    """Return a token like Entra's with ``claims`` as its payload."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return f"e30.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.c2ln"


@pytest.mark.parametrize("secret", ["contoso", "a.b.c", "a+b=c/d~e_f-g", "x" * MAX_TOKEN_BYTES, "contoso+latency=2"])
def test_only_the_reveal_method_shows_the_secret_of_a_token(secret: str) -> None:
    token = AccessToken(secret)
    assert token.reveal() == secret
    assert secret not in repr(token)
    assert secret not in repr(Caller(token))
    assert secret.encode() not in token.locator


@pytest.mark.parametrize("secret", ["", "a b", "a,b", 'a"b', "a\\b", "é", "a\r\nb", "a\0", "x" * (MAX_TOKEN_BYTES + 1)])
def test_a_malformed_token_is_unauthenticated_and_not_repeated(secret: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        AccessToken(secret)
    assert not secret or secret not in caught.value.message


def test_tokens_are_equal_only_as_a_whole() -> None:
    assert AccessToken("one") == AccessToken("one")
    assert hash(AccessToken("one")) == hash(AccessToken("one"))
    assert AccessToken("one") != AccessToken("One")
    assert AccessToken("one") != "one"
    assert AccessToken("one").locator != AccessToken("one1").locator


@pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_token_cannot_be_pickled_or_copied(copying: Any) -> None:
    with pytest.raises(TypeError):
        copying(AccessToken("one"))


@pytest.mark.parametrize("exp", [1_700_000_000, 1_700_000_000.5, 0])
def test_the_expiry_of_a_readable_token_is_read(exp: float) -> None:
    assert AccessToken(jwt({"exp": exp, "sub": "x"})).expires_at == exp


@pytest.mark.parametrize(
    "secret",
    ["contoso", "a.b", "a.b.c.d", "a.!.c", jwt({}), jwt({"exp": "soon"}), jwt([1]), jwt(b"\xff"), jwt(b"[" * 9_000)],
)
def test_a_token_without_a_readable_expiry_is_accepted(secret: str) -> None:
    assert AccessToken(secret).expires_at is None


def test_callers_with_the_same_token_and_locale_are_equal() -> None:
    one = Caller(AccessToken("one"), "de-DE", correlation_id="1", deadline=5.0, budget=Budget(1))
    assert one == Caller(AccessToken("one"), "de-DE", correlation_id="2")
    assert hash(one) == hash(Caller(AccessToken("one"), "de-DE"))
    assert one != Caller(AccessToken("one"), "fr-FR")
    assert one != Caller(AccessToken("two"), "de-DE")


def test_a_budget_is_spent_when_calls_are_reserved_or_cost_more_than_one() -> None:
    budget = Budget(3)
    budget.reserve()
    budget.settle(2)
    budget.reserve()
    with pytest.raises(QueryTooComplex, match="more than 3 upstream calls"):
        budget.reserve()


def test_a_cache_hit_returns_its_reserved_call() -> None:
    budget = Budget(1)
    for _ in range(5):
        budget.reserve()
        budget.settle(0)
    assert budget.spent_calls == 0


A, B = (("a", "2026-01-01"),), (("b", "2026-01-02"),)


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        (Snapshot(), Snapshot(), False),
        (Snapshot(1), Snapshot(1), False),
        (Snapshot(1), Snapshot(2), True),
        (Snapshot(1), Snapshot(None), False),
        (Snapshot(1, A), Snapshot(1, B), False),
        (Snapshot(1, A), Snapshot(1, (("a", "2026-01-09"),)), True),
        (Snapshot(None, A + B), Snapshot(None, (("b", "2026-01-03"),)), True),
        (Snapshot(1, A), Snapshot(2, A), True),
    ],
)
def test_stamps_conflict_if_totals_or_dates_of_a_common_service_differ(
    one: Snapshot, other: Snapshot, conflict: bool
) -> None:
    assert one.conflicts(other) is conflict
    assert other.conflicts(one) is conflict


def test_a_merged_stamp_has_the_dates_of_both() -> None:
    assert Snapshot(None, B).merged(Snapshot(7, A)) == Snapshot(7, A + B)
    assert Snapshot(7).merged(Snapshot()) == Snapshot(7)


ROWS = st.lists(
    st.builds(Row, st.sampled_from([None, "a", "b"]), st.none(), st.sampled_from([None, "2026-01-01", "2026-01-02"]))
)


@given(rows=ROWS)
def test_a_snapshot_contains_only_services_with_exactly_one_date(rows: list[Row]) -> None:
    snapshot = snapshot_of(rows, service="service_code", date="processed_date_time", total_count=3)
    dates = {
        name: {row.processed_date_time for row in rows if (row.service_code or "") == name and row.processed_date_time}
        for name in ("", "a", "b")
    }
    assert snapshot == Snapshot(3, tuple(sorted((name, seen.pop()) for name, seen in dates.items() if len(seen) == 1)))


def test_a_page_has_an_end_and_can_be_copied_with_changes() -> None:
    page = Page((1, 2, 3), skip=5)
    stale = page.having(cache=CacheState.STALE)
    assert (page.end, stale.end, stale.rows is page.rows) == (8, 8, True)
    assert (page.cache, stale.cache) == (CacheState.MISS, CacheState.STALE)


def test_the_worst_origin_of_a_page_is_the_upstream_and_the_best_the_cache() -> None:
    assert max(CacheState.HIT, CacheState.STALE) is CacheState.STALE
    assert max(CacheState) is CacheState.MISS
