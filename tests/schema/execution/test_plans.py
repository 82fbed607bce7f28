"""Which operations are answered from a stored plan, and which must not be."""

from __future__ import annotations

import time
from typing import Any

import pytest

QUERY = "query Q($n: Int) { licenseDeployments(first: $n) { totalCount nodes { licensesSold processedDateTime } } }"


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Records for each operation with a known plan whether the plan was used."""
    from schema.execution.plans import Plan

    seen: list[bool] = []
    answer = Plan.run

    def watched(self: Plan, *arguments: Any) -> Any:
        response = answer(self, *arguments)
        seen.append(response is not None)
        return response

    monkeypatch.setattr(Plan, "run", watched)
    return seen


def test_a_repeated_operation_is_answered_from_its_plan(start_gateway: Any, planned: list[bool]) -> None:
    gateway = start_gateway()
    responses = [gateway.ask(QUERY, "contoso+as=plan-again", n=3) for _ in range(3)]
    assert responses[0] == responses[1] == responses[2]
    assert planned == [True, True]


def test_other_variables_need_another_plan(start_gateway: Any, planned: list[bool]) -> None:
    gateway = start_gateway()
    response = [
        len(gateway.ask(QUERY, "contoso+as=plan-variables", n=n)["data"]["licenseDeployments"]["nodes"]) for n in (3, 4)
    ]
    assert response == [3, 4]
    assert planned == []


def test_a_plan_answers_only_with_the_rows_of_the_caller(
    start_gateway: Any, planned: list[bool], upstream: Any
) -> None:
    gateway = start_gateway()
    tokens = [f"contoso+rows={rows}+as=plan-tokens" for rows in (5, 6, 7)]
    for _ in range(3):
        totals = [gateway.ask(QUERY, token, n=1)["data"]["licenseDeployments"]["totalCount"] for token in tokens]
        assert totals == [5, 6, 7]
    assert [len(upstream.calls_of(token)) for token in tokens] == [1, 1, 1]
    assert planned == [False] * 2 + [True] * 6


def test_an_operation_with_a_plan_still_needs_a_token(start_gateway: Any, planned: list[bool]) -> None:
    gateway = start_gateway()
    gateway.ask(QUERY, "sample+as=plan-no-token", n=1)
    response = gateway.post(QUERY, None, {"n": 1})
    assert response.status_code == 401
    assert response.json()["errors"][0]["path"] == ["licenseDeployments"]
    assert planned == []


def test_new_rows_are_never_answered_with_an_old_rendering(start_gateway: Any, planned: list[bool]) -> None:
    """The rendered date changes together with the refreshed rows."""
    gateway, token = start_gateway(cache_fresh_seconds=0.3), "contoso+rows=20+reprocess-after=1+as=plan-renewed"

    def date() -> str:
        nodes = gateway.ask(QUERY, token, n=2)["data"]["licenseDeployments"]["nodes"]
        assert len({node["processedDateTime"] for node in nodes}) == 1
        response: str = nodes[0]["processedDateTime"]
        return response

    first = date()
    deadline = time.monotonic() + 20
    while date() == first:
        assert time.monotonic() < deadline, "the refreshed rows were never seen"
    assert date() > first
    assert True in planned


def test_rows_with_warnings_bypass_the_plan(start_gateway: Any, planned: list[bool]) -> None:
    gateway, token = start_gateway(), "contoso+rows=5+counts=junk+as=plan-warned"
    responses = [gateway.ask(QUERY, token, n=2) for _ in range(2)]
    assert responses[0]["extensions"] == responses[1]["extensions"]
    assert responses[1]["extensions"]["warnings"][0]["code"] == "UPSTREAM_UNREADABLE_VALUES"
    assert planned == [False]


def test_with_the_fast_path_off_there_are_no_plans(start_gateway: Any, planned: list[bool]) -> None:
    gateway = start_gateway(fast_path="off")
    for _ in range(2):
        assert gateway.ask(QUERY, "sample+as=plan-off", n=1)["data"]
    assert planned == []
