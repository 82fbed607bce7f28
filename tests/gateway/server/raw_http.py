"""Raw requests and responses over plain sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import suppress


class Connection:
    """A connection that sends bytes as they are, and reads whole responses."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        """Send pieces one by one, unless the server has closed."""
        with suppress(OSError):
            for piece in pieces:
                self.socket.sendall(piece)

    def response(self) -> Response:
        """Read one response with Content-Length. Raises OSError."""
        head = self._until(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")[:-2]
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = self._exactly(int(headers["content-length"]))
        return Response(int(first.split()[1]), headers, body)

    def rest(self) -> bytes:
        """Read until the server closes. Raises ConnectionResetError if it resets the connection."""
        while more := self.socket.recv(65_536):
            self._received += more
        rest, self._received = self._received, b""
        return rest

    def _until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._more()
        return self._exactly(self._received.index(end) + len(end))

    def _exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            self._more()
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def _more(self) -> None:
        more = self.socket.recv(65_536)
        if not more:
            raise ConnectionAbortedError("the server closed the connection")
        self._received += more


class Response:
    """A response."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def code(self) -> str:
        """The code of its only error."""
        [error] = json.loads(self.body)["errors"]
        return str(error["extensions"]["code"])


def request(*lines: str, body: bytes = b"", first: str = "POST /graphql HTTP/1.1") -> bytes:
    """Return a request with ``lines`` as its headers."""
    return "\r\n".join([first, *lines, "", ""]).encode("latin-1") + body


def post(query: str, *lines: str) -> bytes:
    """Return a complete GraphQL request."""
    body = json.dumps({"query": query}).encode()
    usual = ["Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return request(*usual, *lines, body=body)


def split(data: bytes, positions: Sequence[int]) -> list[bytes]:
    """Return ``data`` in pieces."""
    ends = [*positions, len(data)]
    return [data[start:end] for start, end in zip([0, *positions], ends, strict=True)]
