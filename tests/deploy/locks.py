"""Read locks of pip: one version for each package, with digests or without."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock, by its canonical name, with the digests of its files."""

    name: str
    version: str
    digests: tuple[str, ...]
    requirement: Requirement


def read_lock(path: Path) -> list[Pin]:
    """Return the pins of a lock. Raises ValueError for a line that is not one."""
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [_pin(line) for line in re.sub(r" \\\n +", " ", text).splitlines() if line]


def _pin(line: str) -> Pin:
    text, *options = line.split(" --hash=")
    requirement = Requirement(text)
    version = re.fullmatch(r"==([^,*]+)", str(requirement.specifier))
    if version is None or requirement.url is not None:
        raise ValueError(f"not one version: {line}")
    return Pin(canonicalize_name(requirement.name), version[1], tuple(options), requirement)
