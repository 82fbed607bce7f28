"""The contenders: the gateway, and other servers that answer the same queries from the same upstream."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks import tailcall
from tests.benchmarks.servers import Server, module, running
from tests.ports import free_port

PEERS_FOLDER = Path(__file__).parent / "peers"
UPSTREAM_ROWS = 250_000
_INSTALL_SECONDS = 120

GATEWAY, REDIS, PLAIN = "gateway", "gateway with Redis", "plain Strawberry"
# The same gateway with `nodes` where the case has `edges`, so that both are measured in one run.
GATEWAY_NODES = "gateway, nodes"
PROXY, PROXY_1000, CONSTANT = "REST proxy", "REST proxy, top=1000", "constant response"
MERCURIUS, YOGA, TAILCALL = "Mercurius", "GraphQL Yoga", "Tailcall"
NODE_PEERS = (MERCURIUS, YOGA)
# Contenders measured on the process of another contender.
ALIASES = (PROXY_1000, GATEWAY_NODES)
GRAPHQL = (GATEWAY, REDIS, PLAIN, *NODE_PEERS, TAILCALL)

Running = AbstractContextManager[Server]


def stub(rows: int = UPSTREAM_ROWS, call_seconds: float = 0) -> Running:
    """Run the stub upstream, whose calls take ``call_seconds``."""
    port = free_port()
    return running("stub upstream", module("stub", port, rows, call_seconds), port)


def gateway(upstream: Server, name: str = GATEWAY, **settings: object) -> Running:
    """Run the gateway with default settings; ``settings`` override them by field name."""
    port = free_port()
    variables = {f"GATEWAY_{field.upper()}": str(value) for field, value in settings.items()}
    variables["GATEWAY_UPSTREAM_URL"] = upstream.url
    return running(name, [sys.executable, "-m", "gateway", "serve", "--port", str(port)], port, variables)


@contextmanager
def redis(url: str | None) -> Iterator[str | None]:
    """Yield the address of a Redis: ``url``, else that of a started server; None if no server is installed."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if url or program is None:
        yield url
        return
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with running("redis", command, port):
        yield f"redis://127.0.0.1:{port}"


def plain(upstream: Server) -> Running:
    """Run plain Strawberry."""
    return _python(PLAIN, "plain", upstream.url)


def _python(name: str, script: str, upstream: str) -> Running:
    port = free_port()
    return running(name, module(script, port, upstream), port)


def _node(name: str, script: str, upstream: Server) -> Running:
    port = free_port()
    command = [shutil.which("node") or "node", script, str(port), upstream.url]
    return running(name, command, port, {"NODE_ENV": "production"}, PEERS_FOLDER)


def install_peers() -> str | None:
    """Install the peers next to their configuration. Return why they are missing, or None."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return "node and npm are not installed"
    lock, done = PEERS_FOLDER / "package-lock.json", PEERS_FOLDER / "node_modules" / ".package-lock.json"
    if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
        return None
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(command, cwd=PEERS_FOLDER, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        return f"npm could not install them: {type(error).__name__}"
    return None


def start(stack: ExitStack, upstream: Server, *, peers: bool, redis_url: str | None = None) -> dict[str, Server]:
    """Start every contender; ``stack`` stops them."""
    commands = {
        GATEWAY: gateway(upstream),
        PLAIN: plain(upstream),
        PROXY: _python(PROXY, "proxy", upstream.url),
        CONSTANT: _python(CONSTANT, "proxy", "constant"),
    }
    if redis_url:
        commands[REDIS] = gateway(upstream, REDIS, cache_url=redis_url)
    if peers:
        commands[MERCURIUS] = _node(MERCURIUS, "mercurius.mjs", upstream)
        commands[YOGA] = _node(YOGA, "yoga.mjs", upstream)
        if tailcall.missing() is None:
            commands[TAILCALL] = tailcall.tailcall(TAILCALL, upstream)
    servers = {name: stack.enter_context(command) for name, command in commands.items()}
    return servers | {PROXY_1000: servers[PROXY], GATEWAY_NODES: servers[GATEWAY]}
