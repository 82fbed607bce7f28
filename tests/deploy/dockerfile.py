"""Read the Dockerfile: its stages, and their instructions."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "Dockerfile"
TEXT = FILE.read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the build: its base image, its name, and its instructions as pairs of keyword and rest."""

    base: str
    name: str
    instructions: tuple[tuple[str, str], ...]

    def all(self, keyword: str) -> list[str]:
        """Return what follows ``keyword``, in order."""
        return [rest for word, rest in self.instructions if word == keyword]


def read_stages() -> list[Stage]:
    """Return the stages in order; continued lines are joined, and comments are left out."""
    text = re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)
    pairs = [line.split(None, 1) for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines() if line.strip()]
    starts = [place for place, (word, _) in enumerate(pairs) if word == "FROM"]
    stages = []
    for start, end in zip(starts, [*starts[1:], len(pairs)], strict=True):
        base, _, name = re.sub(r"--platform=\S+ ", "", pairs[start][1]).partition(" AS ")
        stages.append(Stage(base, name, tuple((word, rest) for word, rest in pairs[start + 1 : end])))
    return stages


def variables() -> dict[str, str]:
    """Return the gateway's settings that the image sets."""
    return dict(re.findall(r"(GATEWAY_\w+)=(\S+)", TEXT))


def health_command() -> list[str]:
    """Return the command of the image's health check."""
    [check] = read_stages()[-1].all("HEALTHCHECK")
    command: list[str] = json.loads(check.partition("CMD ")[2])
    return command


def copied() -> set[str]:
    """Return the paths that the stages copy from the checkout."""
    lines = [rest for stage in read_stages() for rest in stage.all("COPY") if not rest.startswith("--from=")]
    return {name for line in lines for name in line.split()[:-1]}
