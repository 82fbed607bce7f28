"""Random requests, pipelined and split at random, get one response each, in order, up to the first that closes."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.server.raw_http import Connection, request

Address = tuple[str, int]

USUAL = ("Host: x", "Content-Type: application/json")
OFFER = ("Connection: Upgrade", "Upgrade: h2c")


@dataclass(frozen=True)
class Sent:
    """A request: its bytes, what its response contains, and whether it is the connection's last."""

    data: bytes
    contains: bytes
    closes: bool = False


def sent(name: str, padding: int, chunk_bytes: int, lines: tuple[str, ...]) -> Sent:
    """Return an operation, with chunks unless ``chunk_bytes`` is 0."""
    body = json.dumps({"query": f"{{ {name}: __typename }}" + " " * padding}).encode()
    if not chunk_bytes:
        data = request(*USUAL, *lines, f"Content-Length: {len(body)}", body=body)
    else:
        chunks = [body[start : start + chunk_bytes] for start in range(0, len(body), chunk_bytes)]
        framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        data = request(*USUAL, *lines, "Transfer-Encoding: chunked", body=framed)
    return Sent(data, b'{"data":{"%b":"Query"}}' % name.encode(), closes=bool(lines))


OPERATIONS = st.builds(
    sent,
    st.from_regex(r"[a-z]{5}", fullmatch=True),
    st.sampled_from((0, 0, 10, 3_000)),
    st.sampled_from((0, 0, 3, 50)),
    st.sampled_from(((), (), (), (), OFFER, ("Connection: close",))),
)
OTHERS = st.sampled_from(
    (
        Sent(request("Host: x", first="GET /healthz HTTP/1.1"), b'{"status":"ok"}'),
        Sent(b"\r\n" + request("Host: x", first="GET /healthz HTTP/1.1"), b'{"status":"ok"}'),
        Sent(request("Host: x", first="CONNECT x:1 HTTP/1.1"), b"tunnels", closes=True),
        Sent(b"GARBAGE\r\n\r\n", b"well-formed", closes=True),
        Sent(request(first="GET / HTTP/1.1"), b"exactly one Host", closes=True),
    )
)
LAST = Sent(request("Host: x", "Connection: close", first="GET /healthz HTTP/1.1"), b'{"status":"ok"}', closes=True)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    requests=st.lists(st.one_of(OPERATIONS, OPERATIONS, OTHERS), max_size=10),
    cuts=st.lists(st.integers(0, 5_000), max_size=10),
)
def test_each_request_gets_one_response(address: Address, requests: list[Sent], cuts: list[int]) -> None:
    everything = [*requests, LAST]
    data = b"".join(item.data for item in everything)
    closing = next(number for number, item in enumerate(everything) if item.closes)
    ends = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    with Connection(address) as connection:
        connection.send(*(data[start:end] for start, end in itertools.pairwise(ends)))
        responses = connection.rest().split(b"HTTP/1.1 ")[1:]
    assert len(responses) == closing + 1
    for item, response in zip(everything, responses, strict=False):
        assert item.contains in response
