"""Faults of bytes and time over a real socket: a sandbox under uvicorn in a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from gateway.sandbox import SandboxCall, create_sandbox

PATH = "/v1/analytics/commercial/deployment/license"


@pytest.fixture(scope="module", params=["h11", "httptools"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Starlette, str]]:
    app = create_sandbox()
    config = uvicorn.Config(
        app, http=request.param, log_level="critical", timeout_graceful_shutdown=1, date_header=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield app, f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
async def client(served: tuple[Starlette, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served[1], timeout=5) as client:
        yield client


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_healthy_response_is_complete(client: httpx.AsyncClient) -> None:
    response = await client.get(PATH, headers=_headers("contoso"))
    assert len(response.json()["Value"]) == 10_000
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.headers.get_list("date") == [response.headers["date"]]


@pytest.mark.parametrize("method", ["HEAD", "POST"])
async def test_other_methods_return_405(client: httpx.AsyncClient, method: str) -> None:
    assert (await client.request(method, PATH, headers=_headers("sample"))).status_code == 405


@pytest.mark.parametrize("status", [204, 304, 429, 500])
async def test_the_connection_stays_usable_after_any_status(client: httpx.AsyncClient, status: int) -> None:
    assert (await client.get(PATH, headers=_headers(f"sample+status={status}"))).status_code == status
    assert (await client.get(PATH, headers=_headers("sample"))).json()["TotalCount"] == 2


async def test_a_truncated_body_closes_the_connection(client: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(PATH, headers=_headers("sample+truncate"))
    assert (await client.get(PATH, headers=_headers("sample"))).status_code == 200


async def test_latency_delays_the_response_by_its_seconds(client: httpx.AsyncClient) -> None:
    started_seconds = time.monotonic()
    assert (await client.get(PATH, headers=_headers("sample+latency=0.1"))).status_code == 200
    assert 0.1 <= time.monotonic() - started_seconds < 2


async def test_a_single_page_can_be_slow(client: httpx.AsyncClient) -> None:
    headers = _headers("sample+slow-page=1:30")
    assert (await client.get(PATH, headers=headers)).status_code == 200
    with pytest.raises(httpx.ReadTimeout):
        await client.get(f"{PATH}?skip=1", headers=headers, timeout=0.1)


@pytest.mark.parametrize("token", ["sample+hang", "sample+latency=3600"])
async def test_waiting_ends_when_the_client_disconnects(token: str) -> None:
    lines: list[str] = []
    app = create_sandbox(log=lines.append)
    received: asyncio.Queue[str] = asyncio.Queue()

    async def receive() -> dict[str, object]:
        return {"type": await received.get()}

    async def send(_: object) -> None:
        raise AssertionError("the sandbox sent a message")

    scope = {
        "type": "http", "method": "GET", "path": PATH, "raw_path": PATH.encode(), "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token}".encode())], "scheme": "http", "server": ("x", 80),
        "root_path": "",
    }  # fmt: skip
    exchange = asyncio.create_task(app(scope, receive, send))
    received.put_nowait("http.request")
    await asyncio.sleep(0.02)
    assert not exchange.done()
    received.put_nowait("http.disconnect")
    await asyncio.wait_for(exchange, 2)
    assert lines
    assert "no answer" in lines[0]
    assert app.state.calls[0].status == 0


@pytest.mark.parametrize("token", ["sample+hang", "sample+hang-body", "sample+latency=60", "sample+trickle=1"])
async def test_waiting_ends_when_a_socket_closes(token: str) -> None:
    lines: list[str] = []
    config = uvicorn.Config(create_sandbox(log=lines.append), log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get(PATH, headers=_headers(token), timeout=0.1)
        # Without a graceful timeout, the server stops only after every exchange has ended.
        server.should_exit = True
        await asyncio.wait_for(serving, 5)
    assert len(lines) == 1


async def test_a_hanging_request_can_be_canceled() -> None:
    app = create_sandbox()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.get(PATH, headers=_headers("sample+hang")), 0.05)
    assert [call.status for call in app.state.calls] == [0]


async def test_headers_can_arrive_without_a_body(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", PATH, headers=_headers("sample+hang-body"), timeout=0.2) as response:
        assert response.status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            await response.aread()


async def test_a_body_can_arrive_slowly(client: httpx.AsyncClient) -> None:
    started_seconds = time.monotonic()
    response = await client.get(PATH, headers=_headers("sample+trickle=4000"))
    assert response.json()["TotalCount"] == 2
    assert time.monotonic() - started_seconds > 0.1


async def test_a_huge_body_is_streamed(client: httpx.AsyncClient) -> None:
    response = await client.get(PATH, headers=_headers("sample+big=20000000"))
    assert len(response.content) > 19_900_000
    assert response.json()["Value"] == []


async def test_a_bomb_is_small_on_the_wire_and_large_when_inflated(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", PATH, headers=_headers("sample+bomb=20000000")) as response:
        raw = b"".join([part async for part in response.aiter_raw()])
    assert len(raw) < 100_000
    response = await client.get(PATH, headers=_headers("sample+bomb=20000000"))
    assert len(response.content) > 19_900_000


async def test_the_call_log_contains_the_raw_query_string_and_headers(
    served: tuple[Starlette, str], client: httpx.AsyncClient
) -> None:
    app, _ = served
    await client.get(f"{PATH}?filter=channel%20eq%20%27a%2Bb%27", headers={**_headers("sample"), "X-Locale": "de-DE"})
    call: SandboxCall = app.state.calls[-1]
    assert call.query_string == "filter=channel%20eq%20%27a%2Bb%27"
    assert (call.headers["x-locale"], call.status) == ("de-DE", 200)
