"""Fixtures: one gateway with short timeouts in front of a scripted upstream."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from gateway.__main__ import build
from gateway.config.environment import read_settings
from tests.conftest import Gateway
from tests.faults.harness import (
    ATTEMPT_SECONDS,
    Bystander,
    Harness,
    production_server,
    running_bystander,
    token_upstream,
)

SETTINGS = {
    "upstream_timeout_seconds": ATTEMPT_SECONDS,
    "operation_timeout_seconds": 5,
    "upstream_max_retries": 1,
    "upstream_max_body_bytes": 300_000,
}


@pytest.fixture(scope="session")
def harness() -> Iterator[Harness]:
    """One gateway for all tests; each test uses its own tokens."""
    with token_upstream() as upstream:
        app = build(read_settings({}, {"upstream_url": upstream.url, **SETTINGS}))
        with production_server(app) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            yield Harness(Gateway(url, client), upstream)


@pytest.fixture(scope="session")
def bystander() -> Iterator[tuple[str, Bystander]]:
    """A server that must never get a connection, with its address."""
    with running_bystander() as address_and_server:
        yield address_and_server


@pytest.fixture(scope="session")
def patient_harness() -> Iterator[Harness]:
    """Like ``harness`` with the default timeouts, for tests that control when the upstream answers."""
    with token_upstream() as upstream:
        app = build(read_settings({}, {"upstream_url": upstream.url}))
        with production_server(app) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            yield Harness(Gateway(url, client), upstream)
