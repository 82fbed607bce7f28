"""One build for all tests here."""

from __future__ import annotations

import pytest

from tests.packaging.distributions import Distributions, build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """The sdist and the wheel of this checkout."""
    return build(tmp_path_factory.mktemp("dist"))
