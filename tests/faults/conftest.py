"""What the tests of faults share: one gateway with short patience, in front of an upstream that follows scripts."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from gateway.__main__ import build
from gateway.config.settings import read_settings
from tests.conftest import Gateway
from tests.faults.bench import ATTEMPT_SECONDS, Bench, Bystander, served_as_run, served_bystander, token_upstream

SETTINGS = {
    "upstream_timeout_seconds": ATTEMPT_SECONDS,
    "operation_timeout_seconds": 5,
    "upstream_max_retries": 1,
    "upstream_max_body_bytes": 300_000,
}


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """One gateway for all; every test asks with tokens of its own."""
    with token_upstream() as upstream:
        app = build(read_settings({}, {"upstream_url": upstream.url, **SETTINGS}))
        with served_as_run(app) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            yield Bench(Gateway(url, client), upstream)


@pytest.fixture(scope="session")
def bystander() -> Iterator[tuple[str, Bystander]]:
    """A server that nobody should ever speak to, with its address."""
    with served_bystander() as found:
        yield found


@pytest.fixture(scope="session")
def patient_bench() -> Iterator[Bench]:
    """As ``bench``, with the usual patience, for tests that themselves say when the upstream answers."""
    with token_upstream() as upstream:
        app = build(read_settings({}, {"upstream_url": upstream.url}))
        with served_as_run(app) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            yield Bench(Gateway(url, client), upstream)
