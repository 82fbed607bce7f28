"""The entry point ``gateway``. Ctrl-C ends it silently, however early it comes."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from gateway.server.standard_streams import open_standard_streams

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from gateway.config.settings import Settings


def build(settings: Settings) -> Starlette:
    """Return the gateway for ``settings`` as an ASGI application. Raises SettingsError."""
    # Imported lazily: it imports everything, which the command line must not wait for.
    from gateway.composition import build as compose

    return compose(settings)


def main() -> None:
    """Run the command line."""
    open_standard_streams()
    signal.signal(signal.SIGINT, _leave)
    # Imported lazily: the import is slow, and Ctrl-C must work during it.
    from gateway.cli.main import run

    run(sys.argv[1:])


def _leave(*_: Any) -> None:
    # Nothing needs closing yet, and a running server installs its own handlers. Do not raise an exception here: some
    # imports catch and wrap it. Shells report SIGINT as exit code 128 + 2.
    os._exit(130)


__all__ = ["build", "main"]

if __name__ == "__main__":
    main()
