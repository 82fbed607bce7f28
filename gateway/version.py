"""The installed version."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "partner-center-graphql"


def _installed() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0"


# "0" if the source runs without being installed.
VERSION = _installed()
