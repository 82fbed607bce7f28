"""Several gateways with one Redis, as their clients see them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Gateway, StartGateway, Upstream
from tests.ports import free_port
from tests.redis_server import RedisServer, redis_server

CANARY = "kanarienvogel9e1b"
PAGE = "{ licenseDeployments(first: 3) { totalCount nodes { customerName } pageInfo { endCursor } } }"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as redis:
        yield redis


def ask(gateway: Gateway, query: str, token: str) -> tuple[str, Any]:
    """Return the cache state and the connection, once Redis has the rows that were read from the upstream."""
    response = gateway.post(query, token)
    assert "errors" not in response.json(), response.text
    until(lambda: pages(gateway, "stored") + pages(gateway, "not_stored") >= pages(gateway, "miss"))
    return response.headers["X-Cache"], response.json()["data"]["licenseDeployments"]


def metric(gateway: Gateway, name: str) -> float:
    match = re.search(rf"^{re.escape(name)} (\S+)$", gateway.client.get("/metrics").text, re.MULTILINE)
    assert match, name
    return float(match[1])


def pages(gateway: Gateway, outcome: str) -> float:
    """Return how many lookups in Redis, or stores of pages there, had this outcome."""
    name = f'gateway_redis_pages_total{{outcome="{outcome}"}}'
    return metric(gateway, name) if name in gateway.client.get("/metrics").text else 0


def until(holds: Any) -> None:
    limit = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_two_gateways_make_one_upstream_call(
    start_gateway: StartGateway, upstream: Upstream, server: RedisServer
) -> None:
    token = "contoso+as=two-gateways"
    one, two = start_gateway(cache_url=server.url), start_gateway(cache_url=server.url)
    first, second, third = ask(one, PAGE, token), ask(two, PAGE, token), ask(two, PAGE, token)
    assert (first[0], second[0], third[0]) == ("miss", "hit", "hit")
    assert first[1] == second[1] == third[1]
    assert len(upstream.calls_of(token)) == 1
    assert pages(one, "stored") == 1
    assert pages(two, "hit") == 1
    assert metric(two, "gateway_redis_left_out") == 0


def test_two_tokens_never_share_rows(start_gateway: StartGateway, upstream: Upstream, server: RedisServer) -> None:
    one, two = start_gateway(cache_url=server.url), start_gateway(cache_url=server.url)
    assert ask(one, PAGE, "contoso+as=share-1")[0] == "miss"
    assert ask(two, PAGE, "contoso+as=share-2")[0] == "miss"
    assert ask(two, PAGE, "sample+as=share-1")[1]["totalCount"] == 2
    assert len(upstream.calls_of("contoso+as=share-2")) == 1


def test_cursors_work_when_everything_was_evicted_between_two_pages(
    start_gateway: StartGateway, server: RedisServer
) -> None:
    token = "contoso+as=evicted"
    one, two = start_gateway(cache_url=server.url), start_gateway(cache_url=server.url)
    _, first = ask(one, PAGE, token)
    server.client.flushdb()
    after = f'first: 3, after: "{first["pageInfo"]["endCursor"]}"'
    state, second = ask(two, PAGE.replace("first: 3", after), token)
    assert state == "miss"
    assert second["nodes"] == one.connection("offset: 3, first: 3", token, "nodes { customerName }")["nodes"]


def test_paginating_through_a_second_gateway_makes_no_call_for_cached_blocks(
    start_gateway: StartGateway, upstream: Upstream, server: RedisServer
) -> None:
    token = "contoso+as=pages-redis"
    one, two = start_gateway(cache_url=server.url), start_gateway(cache_url=server.url)
    window = "offset: 9000, first: 3000"
    first = one.connection(window, token, "nodes { customerName licensesSold }")
    calls = len(upstream.calls_of(token))
    until(lambda: pages(one, "stored") == 2)
    assert two.connection(window, token, "nodes { customerName licensesSold }") == first
    assert len(upstream.calls_of(token)) == calls == 2


def test_a_cooldown_applies_to_every_gateway(
    start_gateway: StartGateway, upstream: Upstream, server: RedisServer
) -> None:
    token = "contoso+throttle=30+as=cool"
    one, two = start_gateway(cache_url=server.url), start_gateway(cache_url=server.url)
    assert one.post(PAGE, token).status_code == 429
    calls = len(upstream.calls_of(token))
    response = two.post(PAGE, token)
    assert response.status_code == 429
    assert 25 <= int(response.headers["Retry-After"]) <= 30
    assert len(upstream.calls_of(token)) == calls == 1


def test_without_redis_a_gateway_starts_is_ready_and_answers(start_gateway: StartGateway) -> None:
    gateway = start_gateway(cache_url=f"redis://127.0.0.1:{free_port()}")
    assert gateway.client.get("/readyz").status_code == 200
    assert ask(gateway, PAGE, "sample+as=no-redis")[0] == "miss"
    assert ask(gateway, PAGE, "sample+as=no-redis")[0] == "hit"
    assert metric(gateway, "gateway_redis_left_out") == 1
    assert metric(gateway, "gateway_redis_errors_total") >= 1


def test_a_password_and_a_database_are_used(start_gateway: StartGateway, server: RedisServer) -> None:
    server.client.config_set("requirepass", "s3cret/@")
    try:
        gateway = start_gateway(cache_url=f"redis://:s3cret%2F%40@127.0.0.1:{server.port}/3")
        ask(gateway, PAGE, "sample+as=password")
        server.client.auth("s3cret/@")
        assert "db3" in server.client.info("keyspace")
        refused = start_gateway(cache_url=f"redis://:wrong@127.0.0.1:{server.port}/3")
        assert metric(refused, "gateway_redis_left_out") == 1
        assert ask(refused, PAGE, "sample+as=password")[0] == "miss"
    finally:
        server.client.config_set("requirepass", "")


def test_a_redis_user_with_only_the_documented_commands_suffices(
    start_gateway: StartGateway, server: RedisServer
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    [sentence] = re.findall(r"has restricted rights, allow it\s(.+?)\.\n", text, re.DOTALL)
    commands = [f"+{name.lower()}" for name in re.findall(r"`([A-Z]+)`", sentence)]
    server.client.acl_setuser("gateway", enabled=True, passwords=["+secret"], keys=["pcg:*"], commands=commands)
    server.client.acl_log_reset()
    token, url = "contoso+as=restricted", f"redis://gateway:secret@127.0.0.1:{server.port}/2"
    one, two = start_gateway(cache_url=url), start_gateway(cache_url=url)
    for gateway in (one, two):
        ask(gateway, PAGE, token)
    assert one.post(PAGE, f"{token}+throttle=30").status_code == 429
    assert server.client.acl_log() == []
    assert "db2" in server.client.info("keyspace")


def test_neither_redis_nor_the_log_of_a_real_process_contains_a_secret(server: RedisServer, tmp_path: Path) -> None:
    """This holds even at the debug level, and when Redis fails."""
    log = tmp_path / "log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    environment |= {"GATEWAY_CACHE_URL": server.url, "GATEWAY_LOG_LEVEL": "debug", "GATEWAY_PORT": "0"}
    query = '{ licenseDeployments(filter: {customerName: {eq: "Topaz Software A/S"}}) { nodes { customerName } } }'
    server.client.flushall()
    server.client.config_set("slowlog-log-slower-than", "0")
    with log.open("wb") as lines:
        process = subprocess.Popen([sys.executable, "-m", "gateway"], stdout=lines, stderr=lines, env=environment)
    try:
        until(lambda: "http://127" in log.read_text())
        url = re.search(r"http://[0-9.]+:\d+", log.read_text())
        assert url
        headers = {"Authorization": f"Bearer contoso+as={CANARY}"}

        def post(text: str) -> httpx.Response:
            return httpx.post(f"{url[0]}/graphql", json={"query": text}, headers=headers, trust_env=False)

        assert "Topaz" in post(query).text
        until(lambda: len(server.contents()) >= 3)
        keys, values = zip(*server.contents().items(), strict=True)
        slow_commands = repr(server.client.slowlog_get(1_000))
        server.client.config_set("maxmemory", "1")
        for number in range(3):
            assert "Topaz" in post(query.replace("nodes", f"a{number}: nodes")).text
            post(f"{{ licenseDeployments(offset: {number}0000, first: 1) {{ totalCount }} }}")
    finally:
        server.client.config_set("maxmemory", "0")
        process.terminate()
        assert process.wait(20) == 0
    log_text = log.read_text()
    assert "redis is not used" in log_text
    for key in keys:
        assert key.decode() not in log_text
    for secret in (CANARY, "Topaz", "contoso", "customerName", "licenseDeployments"):
        assert secret not in repr(keys) + repr(values) + slow_commands
    for secret in (CANARY, "Topaz"):
        assert secret not in log_text
