"""Slices of a stream of requests never let the parser complete two of them at once, however the stream is split."""

from __future__ import annotations

import itertools

import httptools
from hypothesis import given
from hypothesis import strategies as st

from gateway.server.message_slices import FREE_PARTS, MessageSlices

HEADS = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /other HTTP/1.1\r\nHost: x\r\nX-Y: z\r\n\r\n",
    b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
)


def sized(body: bytes) -> bytes:
    """Return a request with Content-Length."""
    return b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def chunked(chunks: list[bytes], trailer: bytes) -> bytes:
    """Return a request with chunks and perhaps a trailer."""
    pieces = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    return b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(pieces) + b"0\r\n" + trailer + b"\r\n"


TEXT = st.text("\r\n0GET: x", max_size=40).map(str.encode)
TRAILERS = (b"", b"X-Trailer: y\r\n", b"A: \r\nB: c\r\n")
REQUESTS = st.one_of(
    st.sampled_from(HEADS),
    TEXT.map(sized),
    st.builds(chunked, st.lists(TEXT.filter(bool), max_size=4), st.sampled_from(TRAILERS)),
)


class Reader:
    """Parses slices like the server, and records what each of them completes."""

    def __init__(self) -> None:
        self.slices = MessageSlices()
        self.parser = httptools.HttpRequestParser(self)
        self.headers: dict[bytes, bytes] = {}
        self.bodies: list[bytes] = []
        self.begun = self.completed = 0

    def on_message_begin(self) -> None:
        self.begun += 1
        self.headers = {}
        self.bodies.append(b"")
        self.slices.begin_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        length = int(self.headers.get(b"content-length", b"0"))
        self.slices.begin_body(None if b"transfer-encoding" in self.headers else length)

    def on_body(self, body: bytes) -> None:
        self.bodies[-1] += body
        self.slices.take_body(len(body))

    def on_message_complete(self) -> None:
        self.completed += 1
        self.slices.end_message()

    def read(self, data: bytes) -> None:
        """Parse ``data`` slice by slice."""
        position = self.slices.start(data, 0)
        while position < len(data):
            begun, completed = self.begun, self.completed
            end = self.slices.end(data, position)
            assert end > position
            self.parser.feed_data(data[position:end])
            assert self.begun <= begun + 1
            assert self.completed <= completed + 1
            assert not (self.completed > completed and self.slices.in_head), "nothing is read past the end of a request"
            position = self.slices.start(data, end) if end < len(data) else end


def everything(data: bytes) -> list[bytes]:
    """Return the bodies that the parser finds without slices."""
    reader = Reader()
    reader.parser.feed_data(data)
    return reader.bodies


@given(st.lists(REQUESTS, min_size=1, max_size=6), st.lists(st.integers(0, 400), max_size=8))
def test_slices_separate_requests_and_lose_nothing(requests: list[bytes], cuts: list[int]) -> None:
    data = b"".join(requests)
    reader = Reader()
    ends = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in itertools.pairwise(ends):
        reader.read(data[start:end])
    assert reader.bodies == everything(data)
    assert reader.completed == len(requests)


def test_a_chunked_body_of_many_small_parts_is_noticed() -> None:
    reader = Reader()
    reader.read(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    reader.read(b"40\r\n" + b"x" * 64 + b"\r\n")
    for _ in range(FREE_PARTS):
        assert not reader.slices.is_shredded
        reader.read(b"1\r\nx\r\n")
    assert reader.slices.is_shredded


def test_a_chunked_body_of_larger_parts_may_have_any_number() -> None:
    reader = Reader()
    reader.read(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(FREE_PARTS * 2):
        reader.read(b"100\r\n" + b"x" * 256 + b"\r\n")
    assert not reader.slices.is_shredded
