"""Lines of the text log read like sentences."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.observability.request_lines import as_request_line

FACTS = {"event": "request", "method": "POST", "route": "/graphql", "status": 200, "milliseconds": 31.2}
OPERATION = {"operation": None, "outcome": "ok", "cache": "miss", "rows": 2_000, "upstream_calls": 1}


CALL = {"upstream_calls": 1}
FAILED = {"rows": 0, "cache": None, "outcome": "BAD_USER_INPUT"}
HEALTH = {"method": "GET", "route": "/readyz", "milliseconds": 12_345.6}


@pytest.mark.parametrize(
    ("facts", "line", "others"),
    [
        (OPERATION, "POST /graphql 200 31 ms ok miss 2,000 rows", CALL),
        (OPERATION | {"operation": "Top"}, "POST /graphql 200 31 ms ok miss 2,000 rows", {"operation": "Top"} | CALL),
        (OPERATION | {"rows": 1, "milliseconds": 0.8}, "POST /graphql 200 0.8 ms ok miss 1 row", CALL),
        (OPERATION | FAILED, "POST /graphql 200 31 ms BAD_USER_INPUT 0 rows", CALL),
        (HEALTH, "GET /readyz 200 12,346 ms", {}),
    ],
)
def test_a_request_is_one_line(facts: dict[str, Any], line: str, others: dict[str, Any]) -> None:
    event = FACTS | facts | {"correlation_id": "id"}
    assert as_request_line(None, "info", event) == {"event": line, "correlation_id": "id"} | others


def test_another_event_is_unchanged() -> None:
    event = {"event": "stopping", "method": None, "rows": 2}
    assert as_request_line(None, "info", dict(event)) == event
