"""Operations that wait for the upstream hold a bounded amount of memory together, and nobody can refuse all others."""

from __future__ import annotations

import gc
import json
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import httpx
import pytest
from graphql import DocumentNode, parse

from gateway.errors import ServiceUnavailable
from schema.execution import prepared_documents
from schema.execution.prepared_documents import PreparedDocument
from schema.http.persisted_documents import digest_of
from schema.http.running_operations import (
    LARGE_BYTES,
    MAX_BYTES,
    RunningOperation,
    RunningOperations,
    document_bytes,
    operation_bytes,
)
from tests.conftest import Gateway, StartGateway, Upstream
from tests.gateway.running import eventually

SMALL = "{ licenseDeployments(first: 1) { totalCount } }"


class Running:
    """Operations that run until the test ends them."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.all = RunningOperations(max_bytes)
        self._ends: dict[RunningOperation, ExitStack] = {}

    def start(self, owner: bytes, size_bytes: int, document: PreparedDocument | None = None) -> RunningOperation:
        with ExitStack() as stack:
            operation = stack.enter_context(self.all.operation(owner))
            self.all.hold(operation, size_bytes, document)
            self._ends[operation] = stack.pop_all()
        return operation

    def fits(self, owner: bytes, size_bytes: int) -> bool:
        try:
            self.end(self.start(owner, size_bytes))
        except ServiceUnavailable:
            return False
        return True

    def end(self, *operations: RunningOperation) -> None:
        for operation in operations:
            self._ends.pop(operation).close()

    def end_all(self) -> None:
        self.end(*self._ends)
        assert vars(self.all) == vars(RunningOperations(self.all.max_bytes))


def prepared(text: str) -> PreparedDocument:
    return PreparedDocument(parse(text), root_fields=1)


def test_a_thousand_ordinary_operations_fit_even_if_each_has_its_own_document() -> None:
    running = Running()
    text = f"query Q($first: Int) {{ licenseDeployments(first: $first) {{ nodes {{ {'serviceName ' * 28} }} }} }}"
    assert 390 < len(text) < 410
    for number in range(1_000):
        running.start(b"%d" % number, operation_bytes(200, 1) + len(text), prepared(text))
    running.end_all()


def test_one_token_takes_at_most_a_quarter_of_what_others_leave() -> None:
    """However many tokens take as much as they can, a small operation of another one finds room."""
    running = Running(1_000_000)
    running.start(b"one", 200_000)
    assert running.fits(b"one", 50_000)
    assert not running.fits(b"one", 50_001)
    for number in range(20):
        while running.fits(b"%d" % number, 1_000):
            running.start(b"%d" % number, 1_000)
    assert running.all.used_bytes > 900_000
    assert running.fits(b"another", 1_000)
    running.end_all()


def test_large_operations_take_at_most_half() -> None:
    running = Running(4 * LARGE_BYTES)
    running.start(b"one", LARGE_BYTES + 1)
    assert not running.fits(b"two", LARGE_BYTES + 1)
    for number in range(3):
        assert running.fits(b"%d" % number, LARGE_BYTES - 1)
    running.end_all()


def test_a_larger_operation_than_each_bound_runs_alone() -> None:
    running = Running(1_000_000)
    running.start(b"one", 2_000_000)
    assert not running.fits(b"two", 1)
    running.end_all()


def test_a_refused_operation_holds_nothing() -> None:
    running = Running(1_000_000)
    running.start(b"one", 1_000_000)
    with pytest.raises(ServiceUnavailable), running.all.operation(b"two") as operation:
        running.all.hold(operation, 1)
    assert running.all.used_bytes == 1_000_000
    running.end_all()


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_document_counts_once_until_its_last_user_ends(last: int) -> None:
    running, document = Running(), prepared(SMALL)
    users = [running.start(b"%d" % number, 1_000, document) for number in range(3)]
    assert running.all.used_bytes == 3_000 + document_bytes(document)
    running.end(*(user for user in users if user is not users[last]))
    assert running.all.used_bytes == 1_000 + document_bytes(document)
    # Another document with the same text takes memory, too.
    running.start(b"3", 1_000, prepared(SMALL))
    assert running.all.used_bytes == 2_000 + 2 * document_bytes(document)
    running.end_all()


# Over sockets


def slow(name: str) -> str:
    """Return a token whose rows take a second."""
    return f"contoso+latency=1+as=running-{name}"


def ten_fields(number: int, values: int = 1) -> str:
    """Return a document with ten root fields that all need different rows."""
    listed = " ".join(f'"{value}"' for value in range(values))
    fields = (
        f'f{field}: licenseDeployments(filter: {{ serviceCode: {{ in: ["{number}-{field}" {listed}] }} }})'
        " { totalCount }"
        for field in range(10)
    )
    return f"{{ {' '.join(fields)} }}"


FILTERED = (
    f"query({' '.join(f'$f{field}: LicenseDeploymentFilter' for field in range(10))})"
    f" {{ {' '.join(f'f{field}: licenseDeployments(filter: $f{field}) {{ totalCount }}' for field in range(10))} }}"
)


def filters(number: int) -> dict[str, Any]:
    return {f"f{field}": {"serviceCode": {"eq": f"{number}-{field}"}} for field in range(10)}


def refused(responses: list[Future[httpx.Response]]) -> list[httpx.Response]:
    return [future.result() for future in responses if future.done() and future.result().status_code == 503]


def bounded(start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch, max_bytes: int) -> Gateway:
    monkeypatch.setattr(RunningOperations.__init__, "__defaults__", (max_bytes,))
    return start_gateway()


@pytest.mark.parametrize("kind", ["unknown documents", "ten fields of a known document"])
def test_one_token_with_many_waiting_operations_refuses_only_itself(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    token = slow(kind.replace(" ", "-"))
    # A quarter of the bound is enough for three operations of about 290 kB, and for three documents or one.
    documents_bytes = 3 * 780_000 if kind == "unknown documents" else 150_000
    gateway = bounded(start_gateway, monkeypatch, 4 * (3 * 295_000 + documents_bytes))

    def send(number: int) -> httpx.Response:
        if kind == "unknown documents":
            return gateway.post(ten_fields(number, values=170), token)
        return gateway.post(FILTERED, token, filters(number))

    # Only a token that has had rows has its own share.
    assert gateway.connection("first: 2", "sample+as=beside-many")
    with ThreadPoolExecutor(9) as pool:
        responses = [pool.submit(send, number) for number in range(9)]
        eventually(lambda: len(refused(responses)) >= 6)
        assert gateway.connection("first: 1", "sample+as=beside-many")
        assert len(refused(responses)) == 6
        assert {response.headers["Retry-After"] for response in refused(responses)} == {"1"}
        assert [future.result().status_code for future in responses].count(200) == 3


def test_large_operations_of_many_tokens_do_not_refuse_ordinary_ones(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = bounded(start_gateway, monkeypatch, 2 * 3 * 300_000)
    tokens = [slow(f"large{number}") for number in range(9)]
    # Tokens that have not had rows share one place, which is small here.
    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(partial(gateway.connection, "first: 1"), tokens))
    with ThreadPoolExecutor(9) as pool:
        responses = [pool.submit(gateway.post, FILTERED, token, filters(n)) for n, token in enumerate(tokens)]
        eventually(lambda: len(refused(responses)) >= 6)
        assert gateway.connection("first: 1", "sample+as=beside-large")
        assert len(refused(responses)) == 6


def test_variables_that_the_document_does_not_use_are_dropped_while_it_runs(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = start_gateway()
    unused: list[Any] = [[] for _ in range(15_000)]

    def lists() -> int:
        gc.collect()
        return sum(type(value) is list for value in gc.get_objects())

    tokens = [slow(f"unused{number}") for number in range(10)]
    body = json.dumps({"query": SMALL, "variables": {"unused": unused}}).encode()
    before = lists()

    def send(token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return gateway.client.post("/graphql", content=body, headers=headers)

    with ThreadPoolExecutor(10) as pool:
        responses = [pool.submit(send, token) for token in tokens]
        eventually(lambda: all(upstream.calls_of(token) for token in tokens))
        assert lists() - before < 15_000
        assert not any(future.done() for future in responses)
        assert all("errors" not in future.result().json() for future in responses)


def test_malformed_variables_are_an_error_even_if_no_operation_uses_them(gateway: Gateway) -> None:
    head = b'{"query": "{ __typename }", "variables": '
    for variables in (b"[]", b'"{}"', b'{"unused": 1e999}'):
        response = gateway.client.post(
            "/graphql", content=head + variables + b"}", headers={"Content-Type": "application/json"}
        )
        assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("has_hash", [False, True])
def test_a_known_document_is_answered_between_unknown_ones(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch, has_hash: bool
) -> None:
    parsed: list[str] = []

    def counting(text: str, **options: Any) -> DocumentNode:
        parsed.append(text)
        return parse(text, **options)

    gateway = start_gateway()
    gateway.ask("{ __typename }")
    monkeypatch.setattr(prepared_documents, "parse", counting)
    address = ("127.0.0.1", int(gateway.url.rpartition(":")[2]))
    with ExitStack() as stack:
        *unknown, known = [stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(25)]
        for connection in (*unknown, known):
            connection.sendall(message("{ __typename }"))
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        for number, connection in enumerate(unknown):
            connection.sendall(message(ten_fields(number, values=170), has_hash=has_hash))
        known.sendall(message("{ __typename }"))
        assert known.recv(65_536).startswith(b"HTTP/1.1 200")
        assert len(parsed) < 8
        for connection in unknown:
            assert b"UNAUTHENTICATED" in connection.recv(65_536)
        assert len(parsed) == 24


def message(query: str, *, has_hash: bool = False) -> bytes:
    """Return an HTTP request without a token."""
    persisted = {"persistedQuery": {"version": 1, "sha256Hash": digest_of(query)}} if has_hash else None
    body = json.dumps({"query": query, "extensions": persisted}).encode()
    head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return (head % len(body)).encode() + body
