"""The imitation of the identity service, shared by all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.cli.token.identity import Identity, identity_service


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identity]:
    """Shared by all tests; each uses its own tenant."""
    names = ("login.microsoftonline.com", "login.chinacloudapi.cn")
    with identity_service(tmp_path_factory.mktemp("identity"), *names) as running:
        yield running
