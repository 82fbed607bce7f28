"""Tokens and customers' names go only to the upstream, not to logs, responses, metrics, reprs or long-lived memory."""

from __future__ import annotations

import base64
import copy
import gc
import json
import os
import pickle
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.__main__ import build
from gateway.access_token import AccessToken
from gateway.caller import Caller
from gateway.config.environment import read_settings
from gateway.errors import Unauthenticated
from tests.conftest import served
from tests.redis_server import RedisServer, redis_server
from tests.schema.http.responses import exchange, raw_post

if TYPE_CHECKING:
    from tests.conftest import Upstream

CANARY = "kanarienvogel7f3a"
CUSTOMER = "Umbrella Corporation 4711"


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


# The form of Entra's tokens (RFC 7519); no signature is checked.
JWT = ".".join([segment({"alg": "RS256"}), segment({"exp": 9_999_999_999, "name": CANARY}), CANARY])
SECRETS = [CANARY, JWT, *JWT.split(".")[1:], CUSTOMER, *CUSTOMER.split(" ")[:1]]

TOTAL = "{ licenseDeployments { totalCount } }"
FILTERED = f'{{ licenseDeployments(filter: {{customerName: {{eq: "{CUSTOMER}"}}}}) {{ totalCount }} }}'


def secrets_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret.lower() in text.lower()]


def until(holds: Callable[[], Any]) -> Any:
    """Wait until ``holds`` returns a true value, and return it."""
    give_up, pause = time.monotonic() + 20, threading.Event()
    while not (result := holds()):
        assert time.monotonic() < give_up
        pause.wait(0.02)
    return result


@contextmanager
def process(log: Path, *arguments: str, **environment: str) -> Iterator[str]:
    """Run a server process that logs to ``log``; yield its address."""
    with log.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
                **environment,
            },
        )
        try:
            match = until(lambda: re.search(r"http://[0-9.]+:\d+", log.read_text()) or child.poll() is not None)
            assert isinstance(match, re.Match), log.read_text()
            yield match.group()
        finally:
            child.terminate()
            child.wait(30)


def everything(url: str) -> list[httpx.Response]:
    """Send requests that succeed, fail or meet faults, each with a secret token and a customer's name."""
    faults = ["status=503", "status=403", "mfa", "throttle=600", "garbage", "truncate", "json=cut", "redirect=302"]
    tokens = [f"contoso+{fault}+as={CANARY}" for fault in (*faults, "error-body=2+status=400")]
    responses: list[httpx.Response] = []
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:

        def send(query: str, token: str, **headers: str) -> None:
            headers["Authorization"] = f"Bearer {token}"
            responses.append(client.post("/graphql", json={"query": query}, headers=headers))

        for query in (TOTAL, TOTAL, FILTERED):
            send(query, f"contoso+as={CANARY}")
        for token in [*tokens, JWT]:
            send(FILTERED, token)
        send("{", JWT)
        send("{ nothing }", JWT)
        send(TOTAL, f"{CANARY} {CANARY}")
        send(TOTAL, f"{CANARY}," * 10)
        send(TOTAL, JWT, Origin="https://elsewhere.example")
        send(TOTAL, JWT, Cookie=f"token={CANARY}", Referer=f"https://x.example/{CANARY}")
        bearer = {"Authorization": f"Bearer contoso+as={CANARY}"}
        responses.append(client.get("/graphql", params={"query": FILTERED, "token": JWT}, headers=bearer))
        responses.append(client.get("/graphql", params={"access_token": JWT}, headers={"Accept": "text/html"}))
        responses.append(client.get(f"/{CANARY}", headers=bearer))
        responses.append(client.get("/metrics", headers=bearer))
        responses.append(client.get("/readyz", headers=bearer))
        responses.append(client.put("/graphql", headers=bearer))
    exchange(url, raw_post(b"{", f"Authorization: Bearer {CANARY}\0".encode()))
    return responses


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_log_line_or_response_of_a_real_process_contains_a_secret(
    upstream: Upstream, tmp_path: Path, log_format: str
) -> None:
    log = tmp_path / "log"
    settings = {
        "GATEWAY_PORT": "0",
        "GATEWAY_UPSTREAM_URL": upstream.url,
        "GATEWAY_UPSTREAM_MAX_RETRIES": "0",
        "GATEWAY_LOG_FORMAT": log_format,
        "GATEWAY_LOG_LEVEL": "debug",
        "PYTHONASYNCIODEBUG": "1",
    }
    with process(log, "-m", "gateway", **settings) as url:
        responses = everything(url)
    assert {response.status_code for response in responses} >= {200, 401, 403, 404, 405, 429}
    assert sum(response.text.count('"totalCount":') for response in responses) >= 3
    for response in responses:
        assert not secrets_in(response.text), response.text
        assert not secrets_in(str(response.headers.raw)), response.headers
    lines = log.read_text()
    assert lines.count("correlation_id") >= len(responses)
    assert not secrets_in(lines), lines


def commands(server: RedisServer, monitor: Any) -> Iterator[str]:
    """Yield the commands that Redis reports since the monitor began."""
    server.client.echo("the end")
    while "the end" not in (command := monitor.next_command()["command"]):
        yield command


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_neither_redis_nor_its_connections_nor_workers_reveal_a_secret(
    upstream: Upstream, tmp_path: Path, log_format: str
) -> None:
    log = tmp_path / "log"
    with redis_server() as server, server.client.monitor() as monitor:
        settings = {
            "GATEWAY_PORT": "0",
            "GATEWAY_UPSTREAM_URL": upstream.url,
            "GATEWAY_UPSTREAM_MAX_RETRIES": "0",
            "GATEWAY_CACHE_URL": server.url,
            "GATEWAY_LOG_FORMAT": log_format,
            "GATEWAY_LOG_LEVEL": "debug",
        }
        with process(log, "-m", "gateway", "--workers", "2", **settings) as url:
            responses = everything(url)
            seen = [command for entry in started_by_this_test() for command in entry]
        sent = list(commands(server, monitor))
        keys = list(server.client.scan_iter(count=1_000))
        dumps = [(key, server.client.dump(key), server.client.get(key)) for key in keys]
        # A key may expire between the scan and its dump.
        entries = [(key, dump, value) for key, dump, value in dumps if dump is not None]
    assert sum(command.startswith(("SET", "GETRANGE")) for command in sent) > 20
    assert len(entries) > 5
    # Redis, the gateway and its two workers, each with arguments and environment.
    assert len(seen) >= 8 or sys.platform != "linux"
    for text in (*sent, *map(repr, entries), *seen, log.read_text(), *(response.text for response in responses)):
        assert not secrets_in(text), text
    for _, dump, value in entries:
        assert not any(secret.encode() in dump + (value or b"") for secret in (*SECRETS, "contoso", "customerName"))


def started_by_this_test() -> Iterator[list[str]]:
    """Yield arguments and environment of every readable descendant process."""
    below = {os.getpid()}
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda folder: int(folder.name)):
        try:
            parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent in below:
                below.add(int(folder.name))
                yield [folder.joinpath(name).read_text(errors="replace") for name in ("cmdline", "environ")]
        except OSError:
            continue


def test_a_quiet_log_shows_only_errors(tmp_path: Path) -> None:
    log = tmp_path / "log"
    settings = {"GATEWAY_PORT": "0", "GATEWAY_LOG_FORMAT": "text", "GATEWAY_LOG_LEVEL": "error"}
    with process(log, "-m", "gateway", **settings) as url:
        banner = log.read_text()
        assert exchange(url, b"this is no HTTP\r\n\r\n").status == 400
        assert exchange(url, raw_post(b"{}")).status == 400
    assert log.read_text() == banner


BROKEN = """
import sys
from contextlib import asynccontextmanager

from gateway.app import create_app
from gateway.config.groups import HttpConfig
from gateway.http.response_buffers import ResponseBuffers
from gateway.server.listener import Listener, run_one
from gateway.observability.logging import configure_logging
from gateway.observability.metrics import Metrics
from gateway.paging.block_sizes import BlockSizes
from gateway.scanning.sources import RowSources
from schema.build import build_schema
from gateway.config.groups import Limits
from schema.http.persisted_documents import AutomaticDocuments
from schema.execution.operations import Operations
from schema.http.view import GraphQLView


class Broken:
    async def fetch(self, query, caller):
        secret = caller.token.reveal()
        text = query.filter.text()
        raise KeyError("a bug")


def broken_page():
    secret = sys.argv[2]
    raise KeyError("another bug")


@asynccontextmanager
async def lifespan():
    yield


configure_logging(sys.argv[1], "debug")
limits = Limits(100, 8_000, 5, 5.0, 20, 2_000, 30, 10)
operations = Operations(build_schema(), limits, introspection=True)
documents = AutomaticDocuments()
sources = RowSources(Broken(), None, BlockSizes(10, 10))
view = GraphQLView(operations, sources, ResponseBuffers(1_048_576), 10_000, documents, broken_page)
app = create_app(view, HttpConfig(), metrics=Metrics(), lifespan=lifespan)
run_one(app, Listener("127.0.0.1", 0), lambda url: print(url, flush=True))
"""


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_the_traceback_of_a_bug_shows_neither_variables_nor_the_query(tmp_path: Path, log_format: str) -> None:
    log = tmp_path / "log"
    with process(log, "-c", BROKEN, log_format, CANARY) as url:
        headers = {"Authorization": f"Bearer {JWT}"}
        first = httpx.post(f"{url}/graphql", json={"query": FILTERED}, headers=headers, trust_env=False)
        second = httpx.get(f"{url}/graphql", headers={**headers, "Accept": "text/html"}, trust_env=False)
    assert first.json()["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert second.status_code == 500
    lines = log.read_text()
    assert "KeyError: 'a bug'" in lines, "the log must tell the bug itself"
    assert "KeyError: 'another bug'" in lines
    assert "in fetch" in lines
    assert not secrets_in(first.text + second.text + lines)


# Values


def test_no_repr_contains_the_token() -> None:
    token = AccessToken(JWT)
    caller = Caller(token, "en-US")
    for value in (token, caller, [caller], {"caller": caller}):
        assert not secrets_in(f"{value} {value!r} {value!s}")
    assert token.reveal() == JWT


def test_a_token_is_neither_pickled_nor_copied() -> None:
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="pickled or copied"):
            way(AccessToken(JWT))


def test_the_error_about_a_malformed_token_does_not_quote_it() -> None:
    with pytest.raises(Unauthenticated) as caught:
        AccessToken(f"{JWT} {CANARY}")
    assert not secrets_in(f"{caught.value} {caught.value!r} {caught.value.extensions()}")


# Memory


def referents(holder: object) -> list[Any]:
    """Return the referents of ``holder``; the garbage collector omits the keys of a dict if all are strings."""
    keys = list(dict.keys(holder)) if isinstance(holder, dict) else []
    return [*gc.get_referents(holder), *keys]


def holders(needle: Callable[[], bytes]) -> list[str]:
    """Return the type names of objects that refer to text or bytes containing ``needle``.

    The needle is created here, so that the search itself does not keep it in memory.
    """
    gc.collect()
    wanted = needle()
    text = wanted.decode("latin-1")
    types = []
    for holder in gc.get_objects():
        left = referents(holder)
        while left:
            value = left.pop()
            if (type(value) is str and text in value) or (type(value) in (bytes, bytearray) and wanted in value):
                types.append(type(holder).__name__)
            elif type(value) in (dict, tuple) and not gc.is_tracked(value):
                # The garbage collector omits objects that cannot be part of a cycle, such as a dict of strings.
                left += referents(value)
    return types


def spell(letters: list[int]) -> Callable[[], bytes]:
    """Return a function that makes a needle from numbers, so that it is nowhere else in memory."""
    return lambda: bytes(number ^ 0x55 for number in letters)


def nobody_holds(needle: Callable[[], bytes]) -> bool:
    return not holders(needle)


# Not written as text, because source code is in memory too.
NEEDLE = spell([35, 48, 39, 50, 60, 38, 38, 56, 48, 60, 59, 59, 60, 54, 61, 33])


def ask_with_needle(url: str, token: bytes, body: bytes) -> int:
    return exchange(url, raw_post(body, b"Authorization: Bearer " + token + b"+as=" + NEEDLE())).status


def test_the_memory_search_finds_a_live_object() -> None:
    assert holders(NEEDLE) == []
    entries = [
        [NEEDLE()],
        [NEEDLE().decode()],
        [bytearray(b"x" + NEEDLE())],
        [{NEEDLE().decode(): 1}],
        [{"header": (b"authorization", NEEDLE())}],
        AccessToken(f"x{NEEDLE().decode()}"),
    ]
    assert sorted(holders(NEEDLE)) == ["AccessToken", *["list"] * 5]
    del entries
    assert holders(NEEDLE) == []


def test_after_the_request_nothing_in_the_gateway_holds_the_token(tmp_path: Path) -> None:
    """The upstream runs in another process, because it records its requests."""
    with ExitStack() as stack:
        upstream = stack.enter_context(process(tmp_path / "log", "-m", "gateway", "sandbox", "--port", "0"))
        app = build(read_settings({}, {"upstream_url": upstream, "upstream_max_retries": 0}))
        url = stack.enter_context(served(app))
        body = json.dumps({"query": TOTAL}).encode()
        for token, status in (
            (b"contoso", 200),
            (b"contoso", 200),
            (b"contoso+status=503", 200),
            (b"contoso+status=401", 401),
            (b"contoso+throttle=60", 429),
            (b"contoso+truncate", 200),
            (b"stranger", 401),
            (b"malformed,", 401),
        ):
            assert ask_with_needle(url, token, body) == status
        assert ask_with_needle(url, b"contoso", b"{") == 400
        until(lambda: not holders(NEEDLE))


def derived(label: str) -> Callable[[], bytes]:
    """Return a function that derives a key of the token with the needle."""
    return lambda: AccessToken(f"contoso+as={NEEDLE().decode()}").derived(label)


def test_with_redis_neither_the_token_nor_derived_keys_outlive_the_request(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(redis_server())
        upstream = stack.enter_context(process(tmp_path / "log", "-m", "gateway", "sandbox", "--port", "0"))
        url = stack.enter_context(served(build(read_settings({}, {"upstream_url": upstream, "cache_url": server.url}))))
        body = json.dumps({"query": TOTAL}).encode()
        assert ask_with_needle(url, b"contoso", body) == 200
        assert ask_with_needle(url, b"contoso", body) == 200
        assert ask_with_needle(url, b"contoso+throttle=60", body) == 429
        assert ask_with_needle(url, b"contoso+status=401", body) == 401
        until(lambda: len(server.contents()) >= 5)
        # Redis stops: pending tombstones and pages do not hold the token.
        server.stop()
        assert ask_with_needle(url, b"contoso+status=403", body) == 200
        for needle in (NEEDLE, derived("redis locator"), derived("redis encryption")):
            until(partial(nobody_holds, needle))


def test_derived_keys_are_found_while_the_token_exists() -> None:
    """This shows that the test above would find the keys."""
    token = AccessToken(f"contoso+as={NEEDLE().decode()}")
    token.derived("redis encryption")
    assert holders(derived("redis encryption"))
    del token
    assert not holders(derived("redis encryption"))


def test_the_token_is_in_memory_only_while_its_request_is_under_way(tmp_path: Path) -> None:
    """This shows that the test above would find it. A disconnected caller's token is freed too."""
    with ExitStack() as stack:
        elsewhere = stack.enter_context(process(tmp_path / "log", "-m", "gateway", "sandbox", "--port", "0"))
        url = stack.enter_context(served(build(read_settings({}, {"upstream_url": elsewhere}))))
        with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as connection:
            body = json.dumps({"query": TOTAL}).encode()
            connection.sendall(raw_post(body, b"Authorization: Bearer contoso+hang+as=" + NEEDLE()))
            until(lambda: "AccessToken" in holders(NEEDLE))
        until(lambda: not holders(NEEDLE))
