"""Python runs this at the start of each process of the gateway, because the soak puts this folder on its path.

Every few seconds it writes how many memory blocks of Python objects are in use, to a file named after the process.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

PAUSE_SECONDS = 1.0


def write_blocks(path: Path) -> None:
    """Write the number of blocks until the folder is deleted."""
    while path.parent.exists():
        path.write_text(str(sys.getallocatedblocks()))
        time.sleep(PAUSE_SECONDS)


path = Path(os.environ["LIVE_MEMORY"]) / str(os.getpid())
threading.Thread(target=write_blocks, args=(path,), daemon=True).start()
