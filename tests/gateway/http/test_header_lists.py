"""Lists in request headers are bounded, because each element is parsed."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.http.header_lists import LISTS, MAX_ELEMENTS
from tests.conftest import Gateway
from tests.schema.http.responses import check_error

NAMES = [name.decode() for name in LISTS]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("path", ["/graphql", "/", "/metrics", "/export/licenseDeployments.csv", "/nowhere"])
def test_a_list_of_sixty_thousand_elements_is_refused(gateway: Gateway, name: str, separator: str, path: str) -> None:
    response = gateway.client.get(path, headers={name: separator * 59_000})
    check_error(response, "BAD_REQUEST", 431)
    message = response.json()["errors"][0]["message"]
    assert message == f"The header {name.title()} has more than {MAX_ELEMENTS} elements. Send fewer."


@pytest.mark.parametrize("name", sorted({*NAMES} - {"content-type"}))
def test_a_list_of_the_maximum_length_is_read(gateway: Gateway, name: str) -> None:
    headers: dict[str, Any] = {name: ",".join(["x"] * MAX_ELEMENTS)}
    assert gateway.post("{ __typename }", token=None, **headers).json() == {"data": {"__typename": "Query"}}
    headers[name] += ",x"
    check_error(gateway.post("{ __typename }", token=None, **headers), "BAD_REQUEST", 431)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"content-type"}))
def test_the_lines_of_a_repeated_header_count_together(gateway: Gateway, name: str) -> None:
    lines = [(name, ",".join(["x"] * 50))] * 4
    url = "/graphql?query={__typename}"
    assert gateway.client.get(url, headers=lines).json() == {"data": {"__typename": "Query"}}
    check_error(gateway.client.get(url, headers=[*lines, (name, "x")]), "BAD_REQUEST", 431)


def test_long_headers_without_lists_are_accepted(gateway: Gateway) -> None:
    """Sign-in proxies add large cookies, which the gateway never reads."""
    headers: dict[str, Any] = {"Cookie": "; ".join(["a=b"] * 5_000), "X-Forwarded-For": ", ".join(["10.0.0.1"] * 500)}
    assert gateway.post("{ __typename }", token=None, **headers).status_code == 200
