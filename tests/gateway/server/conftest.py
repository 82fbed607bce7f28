"""The production server in a thread, and raw exchanges with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.__main__ import build
from gateway.config.environment import read_settings
from tests.faults.harness import address_of, production_server


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """The address of a gateway with the embedded sandbox."""
    with production_server(build(read_settings({}))) as url:
        yield address_of(url)
