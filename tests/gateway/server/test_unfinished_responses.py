"""An unfinished export never looks complete to clients of HTTP/1.0, nor behind a proxy that speaks HTTP/1.0."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from gateway.__main__ import build
from gateway.config.environment import read_settings
from gateway.server.http_protocol import BoundedHttpProtocol
from tests.faults.harness import address_of, production_server
from tests.gateway.running import Running, kill
from tests.proxy_servers import nginx_server

CSV = "/export/licenseDeployments.csv"
ROWS = 25_000
ENCODINGS = ["identity", "gzip", "zstd", "br"]

# The default is HTTP/1.0 before nginx 1.29.7, and HTTP/1.1 since.
PROXIES = {"by default": "", "HTTP/1.0": "proxy_http_version 1.0;", "HTTP/1.1": "proxy_http_version 1.1;"}

# Each test uses its own tokens, so that no block is cached.
numbers = itertools.count()


def token(fault: str = "latency=0") -> str:
    """Return a new token of ROWS rows with ``fault``."""
    return f"fabrikam+rows={ROWS}+{fault}+as=cut{next(numbers)}"


BROKEN = {"the second block": "status-from=500:10000", "the third block": "status-from=500:20000"}
HANGING = "slow-page=20000:100"


@contextmanager
def running_gateway() -> Iterator[Running]:
    """Run a gateway with the embedded sandbox in a process."""
    running = Running(("serve", "--port", "0"), {"GATEWAY_UPSTREAM_MAX_RETRIES": "0", "GATEWAY_READ_AHEAD": "off"})
    try:
        yield running
    finally:
        kill(running.process)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a gateway that no test ends."""
    with running_gateway() as running:
        yield running.url


@pytest.fixture(scope="module", params=list(PROXIES.values()), ids=list(PROXIES))
def proxy(url: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of nginx in front of it."""
    with nginx_server(tmp_path_factory.mktemp("nginx"), url, request.param) as address:
        yield address


class OldClient:
    """A client of HTTP/1.0, which sends one request for an export."""

    def __init__(self, url: str, token: str, encoding: str = "identity", *, buffer_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        if buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self.socket.settimeout(60)
        self.socket.connect(address_of(url))
        lines = [f"GET {CSV} HTTP/1.0", f"Authorization: Bearer {token}", f"Accept-Encoding: {encoding}", "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.received = b""

    def __enter__(self) -> OldClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def read(self, size: int) -> None:
        """Read ``size`` bytes or more."""
        while len(self.received) < size:
            more = self.socket.recv(65_536)
            assert more
            self.received += more

    def body(self) -> bytes:
        """Read to the end and return the decoded body. Raises ConnectionResetError."""
        while more := self.socket.recv(1_000_000):
            self.received += more
        head, _, body = self.received.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        assert status.endswith("200 OK")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        return httpx.Response(200, headers=headers, content=body).content


def fetch(url: str, token: str, encoding: str) -> bytes:
    """Return the decoded body that a client of HTTP/1.1 receives. Raises httpx.RemoteProtocolError."""
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": encoding}
    return httpx.get(url + CSV, headers=headers, timeout=60, trust_env=False).raise_for_status().content


def rows(body: bytes) -> int:
    return body.count(b"\r\n") - 1


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
def test_an_export_that_breaks_off_resets_the_connection(url: str, fault: str, encoding: str) -> None:
    with OldClient(url, token(fault), encoding) as client, pytest.raises(ConnectionResetError):
        client.body()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_export_that_breaks_off_is_unfinished_behind_a_proxy(proxy: str, encoding: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        fetch(proxy, token(BROKEN["the second block"]), encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_whole_export_arrives_whole(url: str, proxy: str, encoding: str) -> None:
    wanted = fetch(url, token(), encoding)
    assert rows(wanted) == ROWS
    assert fetch(proxy, token(), encoding) == wanted
    for address in (url, proxy):
        with OldClient(address, token(), encoding) as client:
            assert client.body() == wanted


class SmallBuffer(BoundedHttpProtocol):
    """A protocol whose kernel takes little, so that the gateway holds the end of a response itself."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        """Set the option."""
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_whole_export_arrives_whole_at_a_slow_client(loop: str) -> None:
    """The server has closed before the client reads the end."""
    with production_server(build(read_settings({})), http=SmallBuffer, loop=loop) as url:
        wanted = fetch(url, "contoso", "identity")
        with OldClient(url, "contoso", buffer_bytes=4_096) as client:
            client.read(len(wanted) - 40_000)
            # Longer than LINGER_SECONDS.
            time.sleep(1.5)
            assert client.body() == wanted


def test_a_whole_export_outlives_the_process(tmp_path: Path) -> None:
    """The kernel sends the data that it has, and the connection ends normally."""
    with running_gateway() as running, OldClient(running.url, token(), "br") as client:
        client.read(1)
        # Far longer than the gateway needs; the whole file fits into the kernel's buffers.
        time.sleep(3)
        os.killpg(running.process.pid, signal.SIGKILL)
        assert rows(client.body()) == ROWS


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_killed_process_resets_the_connection(encoding: str) -> None:
    with running_gateway() as running, OldClient(running.url, token(HANGING), encoding) as client:
        client.read(1)
        os.killpg(running.process.pid, signal.SIGKILL)
        with pytest.raises(ConnectionResetError):
            client.body()


@pytest.mark.parametrize("directives", PROXIES.values(), ids=PROXIES)
def test_an_export_of_a_killed_process_is_unfinished_behind_a_proxy(tmp_path: Path, directives: str) -> None:
    with running_gateway() as running, nginx_server(tmp_path, running.url, directives) as proxy:
        headers = {"Authorization": f"Bearer {token(HANGING)}", "Accept-Encoding": "identity"}
        with httpx.stream("GET", proxy + CSV, headers=headers, timeout=60, trust_env=False) as response:
            body = response.iter_raw()
            next(body)
            os.killpg(running.process.pid, signal.SIGKILL)
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                for _ in body:
                    pass


def test_a_shutdown_that_cannot_wait_resets_the_connection() -> None:
    variables = {"GATEWAY_SHUTDOWN_GRACE_SECONDS": "1"}
    running = Running(("serve", "--port", "0"), variables)
    try:
        with OldClient(running.url, token(HANGING)) as client:
            client.read(1)
            running.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionResetError):
                client.body()
    finally:
        kill(running.process)


def test_a_client_that_closes_its_sending_side_gets_no_normal_end_of_an_unfinished_export(url: str) -> None:
    """The server treats it as disconnected."""
    with OldClient(url, token(HANGING)) as client:
        client.read(1)
        client.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            client.body()
