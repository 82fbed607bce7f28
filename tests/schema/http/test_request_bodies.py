"""Bodies that arrive slowly hold a bounded number of bytes together."""

from __future__ import annotations

import json
import select
import socket
from contextlib import ExitStack
from typing import Any

import pytest

from gateway.errors import ServiceUnavailable
from schema.http import request_bodies
from schema.http.request_bodies import RequestBodies


def test_bodies_are_refused_beyond_the_bound_and_counted_until_they_end() -> None:
    bodies = RequestBodies(100)
    with ExitStack() as stack:
        one, other = stack.enter_context(bodies.body()), stack.enter_context(bodies.body())
        one.add(60)
        other.add(40)
        with pytest.raises(ServiceUnavailable):
            one.add(1)
    assert bodies.held_bytes == 0


def test_unfinished_bodies_of_many_connections_are_refused(start_gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_bodies.RequestBodies.__init__, "__defaults__", (300_000,))
    gateway = start_gateway()
    address = ("127.0.0.1", int(gateway.url.rpartition(":")[2]))
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n"
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(4)]
        for connection in sockets:
            connection.sendall(head + b"x" * 100_000)
        answered, _, _ = select.select(sockets, [], [], 20)
        answers = [connection.recv(65_536) for connection in answered]
        assert answers
        assert all(answer.startswith(b"HTTP/1.1 503") for answer in answers)
        error = json.loads(answers[0].partition(b"\r\n\r\n")[2])["errors"][0]
        assert error["extensions"]["code"] == "SERVICE_UNAVAILABLE"
        # A small request, which arrives at once, does not count.
        assert gateway.connection("first: 1", "sample+as=bodies")
