"""Gateways whose wall clock jumps, as their clients see them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Gateway, StartGateway
from tests.gateway.test_redis_gateways import PAGE
from tests.redis_server import RedisServer, redis_server

HOUR_SECONDS = 3_600.0
JUMPS = pytest.mark.parametrize("jump_seconds", [-HOUR_SECONDS, HOUR_SECONDS], ids=["back", "forward"])
Jump = Callable[[float], None]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as redis:
        yield redis


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Return a function that moves the wall clock of all gateways of this process."""
    real = time.time
    return lambda seconds: monkeypatch.setattr(time, "time", lambda: real() + seconds)


def state_and_age(gateway: Gateway, token: str) -> tuple[str, int]:
    response = gateway.post(PAGE, token)
    assert "errors" not in response.json(), response.text
    return response.headers["X-Cache"], int(response.headers["Age"])


@JUMPS
def test_rows_expire_in_time_after_the_wall_clock_jumps(
    start_gateway: StartGateway, jump: Jump, jump_seconds: float
) -> None:
    token = f"sample+as=jump-{jump_seconds}"
    gateway = start_gateway(cache_fresh_seconds=2, cache_stale_seconds=0)
    assert state_and_age(gateway, token) == ("miss", 0)
    jump(jump_seconds)
    state, age = state_and_age(gateway, token)
    assert (state, age <= 1) == ("hit", True)
    time.sleep(2)
    assert state_and_age(gateway, token) == ("miss", 0)


@JUMPS
@pytest.mark.parametrize("cache", ["memory", "redis"])
def test_a_cooldown_keeps_its_length_after_the_wall_clock_jumps(
    start_gateway: StartGateway, server: RedisServer, jump: Jump, jump_seconds: float, cache: str
) -> None:
    token = f"contoso+throttle=3+as=jump-{jump_seconds}-{cache}"
    url = server.url if cache == "redis" else "memory://"
    one, two = start_gateway(cache_url=url), start_gateway(cache_url=url)
    assert one.post(PAGE, token).status_code == 429
    jump(jump_seconds)
    for gateway in (one, two):
        response = gateway.post(PAGE, token)
        assert response.status_code == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 3
    time.sleep(3)
    assert [state_and_age(gateway, token)[1] for gateway in (one, two)] == [0, 0]


@JUMPS
def test_rows_of_a_gateway_with_a_wrong_clock_are_never_fresh_for_longer(
    start_gateway: StartGateway, server: RedisServer, jump: Jump, jump_seconds: float
) -> None:
    token = f"sample+as=writer-{jump_seconds}"
    writer = start_gateway(cache_url=server.url)
    reader = start_gateway(cache_url=server.url, cache_fresh_seconds=1, cache_stale_seconds=0)
    jump(jump_seconds)
    assert state_and_age(writer, token) == ("miss", 0)
    time.sleep(1.1)
    # From now on, the writer's date is half a second old by the reader's clock.
    jump(max(jump_seconds, 0) + 0.5 - 1.1)
    assert state_and_age(reader, token) == ("miss", 0)
