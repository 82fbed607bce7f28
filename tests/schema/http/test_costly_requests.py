"""Each known expensive request gets a short response with its code. docs/errors.md lists their cost."""

from __future__ import annotations

import pytest

from tests.benchmarks.costly import REQUESTS, CostlyRequest, code_of
from tests.conftest import Gateway


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.description)
def test_an_expensive_request_gets_a_short_response(gateway: Gateway, request_: CostlyRequest) -> None:
    response = gateway.client.send(request_.of(gateway.client))
    assert code_of(response) == request_.code
    assert response.status_code < 500
    assert len(response.content) < 20_000
