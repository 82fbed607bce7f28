"""Run the command of a Valkey container as a plain process, with Redis if Valkey is not installed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.deploy.processes import running
from tests.ports import free_port

# On a busy two-core machine.
STARTED_WITHIN_SECONDS = 45


def valkey_settings(options: Sequence[str], folder: Path, url: str) -> dict[str, Any]:
    """Start the server with ``options`` in ``folder``; return its settings, as a client with ``url`` reads them."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        assert not os.environ.get("CI"), "redis-server is not installed"
        pytest.skip("neither valkey-server nor redis-server is installed")
    port = free_port()
    command = [program, *options, "--port", str(port)]
    with running(command, {}, folder), redis.Redis.from_url(f"{url}:{port}") as client:
        limit = time.monotonic() + STARTED_WITHIN_SECONDS
        while not _listens(client):
            assert time.monotonic() < limit
            time.sleep(0.02)
        settings: dict[str, Any] = client.config_get("maxmemory", "maxmemory-policy", "save", "appendonly")
        return settings


def _listens(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.AuthenticationError:
        raise
    except redis.ConnectionError:
        return False
