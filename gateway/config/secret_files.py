"""Settings that may hold a secret, read from files: ``GATEWAY_CACHE_URL_FILE`` and the like.

Container engines and Kubernetes mount secrets as files, which unlike variables appear in no process list or dump.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

SUFFIX = "_FILE"

# Values of these settings that are words instead of URLs.
WORDS = ("off",)

# A URL with a password has a few hundred characters (our choice).
MAX_BYTES = 65_536


def from_files(variables: Mapping[str, str], names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Return ``variables`` with each ``<name>_FILE`` replaced by ``<name>`` and the file's text, and a list of faults.

    The message of a fault names the variable and what to do, never the content of a file.
    """
    values, faults = dict(variables), list[str]()
    for name in names:
        file_name = name + SUFFIX
        path = values.pop(file_name, None)
        if path is None:
            continue
        if name in values:
            faults.append(f"{file_name}: {name} is set too; remove one of them")
            continue
        try:
            text = _text(Path(path))
        except (OSError, ValueError) as error:
            reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
            faults.append(f"{file_name}: the file cannot be read: {reason}")
            continue
        if "://" in text or text.lower() in WORDS:
            values[name] = text
        else:
            # A password alone might be taken for a host name, which is shown.
            faults.append(f"{file_name}: write the file's text as a URL, with a scheme, ://, and a host")
    return values, faults


def _text(path: Path) -> str:
    """Return the file's text. Raises OSError, and ValueError with the reason."""
    # Opening a pipe would wait for its writer. Windows has no such flag.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError("it is not text in UTF-8") from None
    if not text:
        raise ValueError("it is empty")
    return text
