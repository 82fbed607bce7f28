"""The front door: ``gateway``, which Ctrl-C ends without a word however early it comes."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from gateway.composition import build


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, _leave)
    # Imported here, for it takes a while in which people change their minds.
    from gateway.cli.main import run

    run(sys.argv[1:])


def _leave(*_: Any) -> None:
    # Nothing needs closing yet; what serves has handlers of its own. An exception would get lost in imports, which wrap
    # some. 128 + 2 is what a shell makes of SIGINT.
    os._exit(130)


__all__ = ["build", "main"]

if __name__ == "__main__":
    main()
