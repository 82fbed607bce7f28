"""Tailcall, a GraphQL gateway in Rust: how to start it, and whether its program runs on this machine."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.servers import Server, running
from tests.ports import free_port

_PEERS_FOLDER = Path(__file__).parent / "peers"
_PROGRAM = _PEERS_FOLDER / "node_modules/@tailcallhq/core-linux-x64-gnu/bin/tailcall"
# Without the second one it reports each start to its makers.
_VARIABLES = {"TAILCALL_LOG_LEVEL": "error", "TAILCALL_TRACKER": "false"}


def missing() -> str | None:
    """Return why the program does not run here, or None."""
    try:
        subprocess.run([_PROGRAM, "--version"], check=True, capture_output=True, timeout=10)
    except (subprocess.SubprocessError, OSError) as error:
        return f"its program does not run: {type(error).__name__}"
    return None


@contextmanager
def tailcall(name: str, upstream: Server) -> Iterator[Server]:
    """Run Tailcall with its configuration for this port and upstream."""
    port = free_port()
    template = (_PEERS_FOLDER / "tailcall.graphql").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "tailcall.graphql")
        text = template.replace("@PORT@", str(port)).replace("@UPSTREAM@", upstream.url)
        configuration.write_text(text, encoding="utf-8")
        command = [str(_PROGRAM), "start", str(configuration)]
        with running(name, command, port, _VARIABLES) as server:
            yield server
