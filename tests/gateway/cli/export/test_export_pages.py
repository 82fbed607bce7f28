"""What an export does about each error of the gateway that it asks: wait, try again, or end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
import pytest

from gateway.cli.export.outcomes import DataChanged, ExportEnded, Failed, Stopped, TokenRefused
from gateway.cli.export.pages import MAX_THROTTLED, RETRY_SECONDS, Pages, Reply


def page(**members: Any) -> dict[str, Any]:
    """An answer with one row."""
    info = {"hasNextPage": False, "endCursor": "c1"}
    return {"data": {"rows": {"nodes": [{"a": 1}], "pageInfo": info, "totalCount": 1, **members}}}


def error(code: str, **facts: Any) -> dict[str, Any]:
    """An answer that is an error."""
    return {"errors": [{"message": "Told.", "extensions": {"code": code, **facts}}], "data": {"rows": None}}


class Witness:
    """Answers by a script, whose last step answers all that follows, and keeps what was waited for and noted."""

    def __init__(self, *steps: dict[str, Any] | Exception | bytes) -> None:
        self.steps = list(steps)
        self.asked: list[Mapping[str, Any]] = []
        self.waits: list[float] = []
        self.notes: list[str] = []
        self.pages = Pages(self.post, lambda cursor: {"after": cursor}, "rows", self)

    async def post(self, body: Mapping[str, Any]) -> Reply:
        self.asked.append(body)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return Reply(200, step if isinstance(step, bytes) else msgspec.json.encode(step))

    async def wait(self, why: str, seconds: float) -> None:
        self.waits.append(seconds)

    def note(self, text: str) -> None:
        self.notes.append(text)


def first(witness: Witness) -> Any:
    """The first page."""
    return asyncio.run(witness.pages.after(None))


def test_a_page_is_asked_for_by_the_cursor_before_it() -> None:
    witness = Witness(page())
    assert asyncio.run(witness.pages.after("c0")).nodes == [{"a": 1}]
    assert witness.asked == [{"after": "c0"}]


def test_a_throttled_page_waits_as_long_as_it_is_told() -> None:
    witness = Witness(error("RATE_LIMITED", retryAfterSeconds=30), error("RATE_LIMITED"), page())
    assert first(witness).nodes == [{"a": 1}]
    assert witness.waits == [30, 1]


def test_throttling_without_end_ends() -> None:
    witness = Witness(error("RATE_LIMITED", retryAfterSeconds=5))
    with pytest.raises(Stopped):
        first(witness)
    assert witness.waits == [5] * MAX_THROTTLED


@pytest.mark.parametrize(
    "step",
    [
        *map(error, ("UPSTREAM_TIMEOUT", "UPSTREAM_UNAVAILABLE", "DEADLINE_EXCEEDED", "SERVICE_UNAVAILABLE")),
        httpx.ConnectError("no"),
        httpx.RemoteProtocolError("no"),
        httpx.ReadTimeout("no"),
    ],
    ids=str,
)
def test_what_passes_is_tried_again_with_growing_pauses(step: Any) -> None:
    witness = Witness(step, step, page())
    assert first(witness).nodes == [{"a": 1}]
    assert witness.waits == [1, 2]
    endless = Witness(step)
    with pytest.raises(Stopped):
        first(endless)
    assert endless.waits == list(RETRY_SECONDS)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("UNAUTHENTICATED", TokenRefused),
        ("FORBIDDEN", TokenRefused),
        ("SNAPSHOT_CHANGED", DataChanged),
        ("INVALID_CURSOR", DataChanged),
        ("BAD_USER_INPUT", Failed),
        ("INTERNAL_SERVER_ERROR", Failed),
        ("UNHEARD_OF", Failed),
    ],
)
def test_what_does_not_pass_ends_it_at_once_with_code_and_correlation_id(code: str, kind: type[ExportEnded]) -> None:
    witness = Witness(error(code, correlationId="id-1"))
    with pytest.raises(kind) as caught:
        first(witness)
    assert witness.waits == []
    assert caught.value.message == f"Told. ({code}, correlation id id-1)"


@pytest.mark.parametrize(
    "step",
    [
        b"<html>",
        b"[]",
        b'{"data": {"rows": {"nodes": 5}}}',
        {"data": {"rows": None}},
        {"data": {"other": None}},
        {},
        page(nodes=[], pageInfo={"hasNextPage": True, "endCursor": "c1"}),
        page(pageInfo={"hasNextPage": True, "endCursor": None}),
    ],
    ids=str,
)
def test_what_is_no_page_ends_it(step: Any) -> None:
    with pytest.raises(Failed):
        first(Witness(step))


def test_a_walk_that_stands_still_ends() -> None:
    witness = Witness(page(pageInfo={"hasNextPage": True, "endCursor": "c0"}))
    with pytest.raises(Failed):
        asyncio.run(witness.pages.after("c0"))


def test_warnings_are_told_and_an_early_end_is_kept_in_mind() -> None:
    unreadable = {"code": "UPSTREAM_UNREADABLE_VALUES", "message": "Null.", "count": 3, "path": ["rows"]}
    witness = Witness({**page(), "extensions": {"warnings": [unreadable]}})
    first(witness)
    assert witness.notes == ["UPSTREAM_UNREADABLE_VALUES: Null. (3)"]
    assert not witness.pages.is_incomplete
    early = Witness({**page(), "extensions": {"warnings": [{"code": "UPSTREAM_INCOMPLETE", "message": "Early."}]}})
    first(early)
    assert early.pages.is_incomplete
