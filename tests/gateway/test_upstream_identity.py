"""Gateways with one Redis and one token, but with different upstreams, share nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.config.groups import UpstreamConfig
from gateway.sandbox import create_sandbox
from tests.conftest import Gateway, StartGateway, served
from tests.gateway.test_redis_gateways import PAGE, ask, metric
from tests.redis_server import RedisServer, redis_server

EXPORT = "/export/licenseDeployments.csv"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as redis:
        yield redis


@pytest.fixture(scope="module")
def other_url() -> Iterator[str]:
    with served(create_sandbox()) as url:
        yield url


@pytest.fixture(params=["origin", "host", "path_prefix", "trailing_slash", "sandbox"])
def pair(
    request: pytest.FixtureRequest, start_gateway: StartGateway, server: RedisServer, other_url: str
) -> tuple[Gateway, Gateway]:
    """Two gateways that differ in one property of their upstream."""
    changes: dict[str, dict[str, Any]] = {
        "origin": {"upstream_url": other_url},
        "host": {"upstream_url": other_url.replace("127.0.0.1", "localhost")},
        "path_prefix": {"upstream_path_prefix": "/v1"},
        "trailing_slash": {"upstream_trailing_slash": True},
        "sandbox": {"upstream_url": "sandbox"},
    }
    first = changes["origin"] if request.param == "host" else {}
    server.client.flushall()
    return start_gateway(cache_url=server.url, **first), start_gateway(cache_url=server.url, **changes[request.param])


def test_gateways_with_different_upstreams_share_no_block(pair: tuple[Gateway, Gateway], server: RedisServer) -> None:
    one, two = pair
    assert ask(one, PAGE, "contoso+as=identity-blocks")[0] == "miss"
    keys = set(server.contents())
    assert ask(two, PAGE, "contoso+as=identity-blocks")[0] == "miss"
    # Not even the generation of the token is shared.
    assert len(server.contents()) == 2 * len(keys)


def test_a_cooldown_of_one_upstream_does_not_stop_calls_of_another(pair: tuple[Gateway, Gateway]) -> None:
    for gateway in pair:
        assert gateway.post(PAGE, "contoso+throttle=30+as=identity-cool").status_code == 429
        # The upstream itself has answered.
        assert metric(gateway, 'gateway_upstream_calls_total{outcome="RATE_LIMITED",status="429"}') == 1


def test_a_cursor_of_another_upstream_is_invalid(pair: tuple[Gateway, Gateway]) -> None:
    one, two = pair
    cursor = ask(one, PAGE, "contoso+as=cursor")[1]["pageInfo"]["endCursor"]
    for argument in (f'first: 3, after: "{cursor}"', f'last: 3, before: "{cursor}"'):
        query = f"{{ licenseDeployments({argument}) {{ nodes {{ customerName }} }} }}"
        assert "errors" not in one.ask(query, "contoso+as=cursor")
        [error] = two.ask(query, "contoso+as=cursor")["errors"]
        assert error["extensions"]["code"] == "INVALID_CURSOR"


def test_an_export_of_another_upstream_cannot_be_continued(pair: tuple[Gateway, Gateway]) -> None:
    one, two = pair
    headers = {"Authorization": "Bearer sample+as=export"}
    snapshot = one.client.get(EXPORT, headers=headers).headers["X-Snapshot"]
    continued = {"offset": "1", "snapshot": snapshot}
    assert one.client.get(EXPORT, headers=headers, params=continued).status_code == 200
    response = two.client.get(EXPORT, headers=headers, params=continued)
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def identity(base_url: str, path_prefix: str = "/partner/v1", *, trailing_slash: bool = False) -> str:
    return UpstreamConfig(base_url, path_prefix, trailing_slash).identity


def test_one_upstream_written_in_two_ways_has_one_identity() -> None:
    assert identity("https://API.example.com") == identity("https://api.example.com:443")
    assert identity("http://localhost") == identity("http://localhost:80")


def test_every_property_of_the_upstream_changes_its_identity() -> None:
    others = [
        identity("http://api.internal"),
        identity("https://api.internal:444"),
        identity("https://api2.internal"),
        identity("https://api.internal", "/v1"),
        identity("https://api.internal", ""),
        identity("https://api.internal", trailing_slash=True),
        identity("http://sandbox.invalid"),
    ]
    assert len({identity("https://api.internal"), *others}) == len(others) + 1
