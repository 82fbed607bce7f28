"""A stand-in for Microsoft's identity service: its endpoints over TLS, each tenant with answers of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.certificates import Certificate, certificate

CLIENT_ID = "0f1d2c3b-4a59-4687-9786-a5b4c3d2e1f0"
USER_CODE = "BCDF-GHJK"
PAGE = "https://microsoft.example/devicelogin"
AUDIENCE = "https://api.partnercenter.microsoft.com"
CORRELATION_ID = "7d5b2f1e-90ab-4cde-8f01-23456789abcd"

# Found in every part of a token, and so in everything that tells something of it.
CANARY = "kanarienvogel"

PENDING = {"error": "authorization_pending", "error_codes": [70016]}
SLOW_DOWN = {"error": "slow_down"}

STALL = "nothing ever comes"
TRICKLE = "it never ends"
CUT = "the connection breaks"


def part(value: object) -> str:
    """One part of a JWT (RFC 7519)."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def access_token(**claims: Any) -> str:
    """A token as Entra makes them for Partner Center, but for ``claims``; None leaves one out."""
    usual = {
        "aud": AUDIENCE,
        "exp": int(time.time()) + 4_000,
        "amr": ["pwd", "mfa"],
        "scp": "user_impersonation",
        "ver": "1.0",
        "name": CANARY,
    }
    found = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return ".".join([part({"alg": "RS256"}), part(found), f"{CANARY}-signature"])


def good(token: str | None = None, *, nonce: str | None = None, **members: Any) -> dict[str, Any]:
    """The answer that ends a sign-in well."""
    claims = {"aud": CLIENT_ID, "sub": CANARY, "nonce": nonce}
    id_token = ".".join([part({"alg": "RS256"}), part(claims), CANARY])
    return {
        "token_type": "Bearer",
        "scope": f"{AUDIENCE}/user_impersonation",
        "expires_in": 3_999,
        "access_token": token or access_token(),
        "id_token": id_token,
        **members,
    }


def error(name: str, number: int | None = None) -> tuple[int, dict[str, Any]]:
    """A refusal as Entra words them."""
    numbered = {} if number is None else {"error_codes": [number]}
    text = f"AADSTS{number or 70000}: {CANARY} says \x1b[31mno.\r\nTrace ID: …"
    return 400, {"error": name, "error_description": text, "correlation_id": CORRELATION_ID, **numbered}


@dataclass
class Call:
    """A request: what it asked for, its form, and when, on the monotonic clock."""

    endpoint: str
    form: dict[str, str]
    at_seconds: float


@dataclass
class Tenant:
    """What the endpoints answer: JSON with status 200, a pair of status and JSON or bytes, or one of the troubles.

    ``token`` is a list, for it is asked again and again; its last member stays.
    """

    token: list[Any] = field(default_factory=lambda: [good()])
    devicecode: Any = None
    configuration: Any = None
    calls: list[Call] = field(default_factory=list)

    def calls_of(self, endpoint: str) -> list[Call]:
        """The requests to one endpoint."""
        return [call for call in self.calls if call.endpoint == endpoint]


def device_code(**members: Any) -> dict[str, Any]:
    """Where to sign in; asked every second, so that tests are quick."""
    return {
        "device_code": f"{CANARY}-device-code",
        "user_code": USER_CODE,
        "verification_uri": PAGE,
        "expires_in": 900,
        "interval": 1,
        "message": "Do not print \x1b[31mthis.",
        **members,
    }


def configuration(origin: str, tenant: str, **members: Any) -> dict[str, Any]:
    """Metadata (OpenID Connect Discovery), as far as anybody reads it."""
    return {
        "issuer": f"{origin}/{tenant}/v2.0",
        "authorization_endpoint": f"{origin}/{tenant}/oauth2/v2.0/authorize",
        "token_endpoint": f"{origin}/{tenant}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{origin}/{tenant}/oauth2/v2.0/devicecode",
        **members,
    }


@dataclass
class Identity:
    """The running stand-in."""

    origin: str
    files: Certificate
    tenants: dict[str, Tenant] = field(default_factory=dict)

    def tenant(self, name: str, *token: Any, **answers: Any) -> Tenant:
        """A tenant; ``token`` are the answers of the token endpoint, one after the other."""
        found = self.tenants[name] = Tenant(**answers, **({"token": list(token)} if token else {}))
        return found

    async def answer(self, request: Request) -> Response:
        """Any request."""
        name, endpoint = request.path_params["tenant"], request.url.path.rsplit("/", 1)[-1]
        tenant = self.tenants.get(name)
        if tenant is None:
            return _response(error("invalid_tenant", 90002))
        form = dict(parse_qsl((await request.body()).decode()))
        tenant.calls.append(Call(endpoint, form, time.monotonic()))
        if endpoint == "token":
            found = tenant.token.pop(0) if len(tenant.token) > 1 else tenant.token[0]
            return _response((400, found) if isinstance(found, dict) and "error" in found else found)
        if endpoint == "devicecode":
            return _response(device_code() if tenant.devicecode is None else tenant.devicecode)
        origin = f"https://{request.headers['Host']}"
        return _response(configuration(origin, name) if tenant.configuration is None else tenant.configuration)


def _response(found: Any) -> Response:
    if found in (STALL, TRICKLE, CUT):
        return StreamingResponse(_troubled(found), media_type="application/json")
    status, body = found if isinstance(found, tuple) else (200, found)
    return Response(body, status) if isinstance(body, bytes) else JSONResponse(body, status)


async def _troubled(trouble: str) -> AsyncIterator[bytes]:
    yield b'{"error": "'
    if trouble == CUT:
        raise ConnectionError("as the test asked for")
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(0.05 if trouble == TRICKLE else 60)
            yield b"x"


@contextmanager
def identity_service(folder: Path, *names: str) -> Iterator[Identity]:
    """One on a free port of loopback, with a certificate for ``names``, too."""
    files = certificate(folder, "127.0.0.1", *names)
    bound = socket.create_server(("127.0.0.1", 0), backlog=128)
    identity = Identity(f"https://127.0.0.1:{bound.getsockname()[1]}", files)
    paths = [f"/{{tenant}}/{path}" for path in (
        "v2.0/.well-known/openid-configuration", "oauth2/v2.0/devicecode", "oauth2/v2.0/token",
    )]  # fmt: skip
    routes = [Route(path, identity.answer, methods=["GET", "POST"]) for path in paths]
    # As Microsoft's does, it packs replies for whoever takes them packed.
    app = Starlette(routes=routes, middleware=[Middleware(GZipMiddleware, minimum_size=0)])
    config = uvicorn.Config(
        app, log_config=None, ssl_certfile=files.chain, ssl_keyfile=files.key, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    try:
        yield identity
    finally:
        server.should_exit = True
        thread.join()
        bound.close()


class _Tunnel(threading.Thread):
    """One connection of a proxy: CONNECT, whoever is asked for, leads to the stand-in."""

    def __init__(self, client: socket.socket, port: int, asked: list[str]) -> None:
        super().__init__(daemon=True)
        self._client, self._port, self._asked = client, port, asked

    def run(self) -> None:
        with self._client as client, socket.create_connection(("127.0.0.1", self._port)) as server:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4_096)
            self._asked.append(head.split(b" ")[1].decode())
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def proxy(identity: Identity) -> Iterator[tuple[str, list[str]]]:
    """A proxy that leads to the stand-in under whatever name it is asked for: its address, and those names."""
    asked: list[str] = []
    port = int(identity.origin.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as bound:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    _Tunnel(bound.accept()[0], port, asked).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}", asked
        # Closing alone would not wake who waits for a connection.
        bound.shutdown(socket.SHUT_RDWR)
        thread.join()
