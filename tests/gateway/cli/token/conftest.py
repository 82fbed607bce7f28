"""The stand-in that all tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.cli.token.identity import Identity, identity_service


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identity]:
    """Tests tell themselves apart by their tenants."""
    names = ("login.microsoftonline.com", "login.chinacloudapi.cn")
    with identity_service(tmp_path_factory.mktemp("identity"), *names) as running:
        yield running
