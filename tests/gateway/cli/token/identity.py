"""An imitation of Microsoft's identity service over TLS, with separate responses for each tenant."""

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

# Contained in every part of a token, to detect text that reveals any of it.
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
    """Return a token like Entra's for Partner Center, changed by ``claims``; None removes a claim."""
    usual = {
        "aud": AUDIENCE,
        "exp": int(time.time()) + 4_000,
        "amr": ["pwd", "mfa"],
        "scp": "user_impersonation",
        "ver": "1.0",
        "name": CANARY,
    }
    payload = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return ".".join([part({"alg": "RS256"}), part(payload), f"{CANARY}-signature"])


def good(token: str | None = None, *, nonce: str | None = None, **members: Any) -> dict[str, Any]:
    """Return the response to a successful sign-in."""
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
    """Return an error response in Entra's format."""
    numbered = {} if number is None else {"error_codes": [number]}
    text = f"AADSTS{number or 70000}: {CANARY} says \x1b[31mno.\r\nTrace ID: …"
    return 400, {"error": name, "error_description": text, "correlation_id": CORRELATION_ID, **numbered}


@dataclass
class Call:
    """A received request: endpoint, form and time on the monotonic clock."""

    endpoint: str
    form: dict[str, str]
    at_seconds: float


@dataclass
class Tenant:
    """Responses of the endpoints: JSON with status 200, a pair of status and body, or STALL, TRICKLE or CUT.

    ``token`` is a list, because that endpoint is polled; its last member repeats.
    """

    token: list[Any] = field(default_factory=lambda: [good()])
    devicecode: Any = None
    configuration: Any = None
    calls: list[Call] = field(default_factory=list)

    def calls_of(self, endpoint: str) -> list[Call]:
        """Return the requests to one endpoint."""
        return [call for call in self.calls if call.endpoint == endpoint]


def device_code(**members: Any) -> dict[str, Any]:
    """Return sign-in instructions with a polling interval of one second, so that tests are fast."""
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
    """Return the metadata (OpenID Connect Discovery) that MSAL reads."""
    return {
        "issuer": f"{origin}/{tenant}/v2.0",
        "authorization_endpoint": f"{origin}/{tenant}/oauth2/v2.0/authorize",
        "token_endpoint": f"{origin}/{tenant}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{origin}/{tenant}/oauth2/v2.0/devicecode",
        **members,
    }


@dataclass
class Identity:
    """The running imitation."""

    origin: str
    files: Certificate
    tenants: dict[str, Tenant] = field(default_factory=dict)

    def tenant(self, name: str, *token: Any, **answers: Any) -> Tenant:
        """Add a tenant whose token endpoint returns the ``token`` responses in order."""
        tenant = self.tenants[name] = Tenant(**answers, **({"token": list(token)} if token else {}))
        return tenant

    async def respond(self, request: Request) -> Response:
        """Respond to any request."""
        name, endpoint = request.path_params["tenant"], request.url.path.rsplit("/", 1)[-1]
        tenant = self.tenants.get(name)
        if tenant is None:
            return _response(error("invalid_tenant", 90002))
        form = dict(parse_qsl((await request.body()).decode()))
        tenant.calls.append(Call(endpoint, form, time.monotonic()))
        if endpoint == "token":
            body = tenant.token.pop(0) if len(tenant.token) > 1 else tenant.token[0]
            return _response((400, body) if isinstance(body, dict) and "error" in body else body)
        if endpoint == "devicecode":
            return _response(device_code() if tenant.devicecode is None else tenant.devicecode)
        origin = f"https://{request.headers['Host']}"
        return _response(configuration(origin, name) if tenant.configuration is None else tenant.configuration)


def _response(answer: Any) -> Response:
    if answer in (STALL, TRICKLE, CUT):
        return StreamingResponse(_troubled(answer), media_type="application/json")
    status, body = answer if isinstance(answer, tuple) else (200, answer)
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
    """Run an imitation on a free loopback port, with a certificate that also covers ``names``."""
    files = certificate(folder, "127.0.0.1", *names)
    bound = socket.create_server(("127.0.0.1", 0), backlog=128)
    identity = Identity(f"https://127.0.0.1:{bound.getsockname()[1]}", files)
    paths = [f"/{{tenant}}/{path}" for path in (
        "v2.0/.well-known/openid-configuration", "oauth2/v2.0/devicecode", "oauth2/v2.0/token",
    )]  # fmt: skip
    routes = [Route(path, identity.respond, methods=["GET", "POST"]) for path in paths]
    # Like Microsoft's, it compresses responses for clients that accept that.
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
    """One proxied connection: CONNECT to any host leads to the imitation."""

    def __init__(self, client: socket.socket, port: int, hosts: list[str]) -> None:
        super().__init__(daemon=True)
        self._client, self._port, self._hosts = client, port, hosts

    def run(self) -> None:
        with self._client as client, socket.create_connection(("127.0.0.1", self._port)) as server:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4_096)
            self._hosts.append(head.split(b" ")[1].decode())
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
    """Run a proxy that connects any host name to the imitation; yields its address and the requested hosts."""
    hosts: list[str] = []
    port = int(identity.origin.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as bound:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    _Tunnel(bound.accept()[0], port, hosts).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}", hosts
        # Closing alone would not wake the thread that accepts connections.
        bound.shutdown(socket.SHUT_RDWR)
        thread.join()
