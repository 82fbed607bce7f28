"""The files of the GraphiQL page, read once and held in memory by name."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
OTHER_MEDIA_TYPE: Final = "text/plain; charset=utf-8"
# The served folders: our own files, and those that hatch_build.py fetched.
SERVED_FOLDERS: Final = ("static", "vendor")
EXAMPLES_NAME: Final = "examples.json"
# GraphiQL's style sheet contains two families of fonts, a third of the page's bytes. The page uses the system's fonts.
FONT: Final = re.compile(rb"@font-face\s*\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Assets:
    """Files by name, and one digest of all files. A URL with the digest always returns the same content."""

    files: Mapping[str, bytes]
    digest: str

    def media_type(self, name: str) -> str:
        return MEDIA_TYPES.get(Path(name).suffix, OTHER_MEDIA_TYPE)


def load_assets(folder: Path) -> Assets:
    """Read every served file below ``folder``, and the examples as one JSON file."""
    files = {
        path.relative_to(folder).as_posix(): read_asset(path)
        for served in SERVED_FOLDERS
        for path in sorted((folder / served).rglob("*"))
        if path.is_file()
    }
    files[EXAMPLES_NAME] = json.dumps(load_examples(folder / "examples")).encode()
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    # 64 bits are enough to distinguish releases; the digest need not be unguessable.
    return Assets(files, digest.hexdigest()[:16])


def read_asset(path: Path) -> bytes:
    """Return a file's content; a style sheet's without fonts."""
    content = path.read_bytes()
    return FONT.sub(b"", content) if path.suffix == ".css" else content


def load_examples(folder: Path) -> list[dict[str, str | None]]:
    """Return the example operations in file name order, each with its variables as JSON text."""
    examples: list[dict[str, str | None]] = []
    for path in sorted(folder.glob("*.graphql")):
        variables = path.with_suffix(".variables.json")
        examples.append(
            {
                "query": path.read_text(encoding="utf-8").strip(),
                "variables": variables.read_text(encoding="utf-8").strip() if variables.is_file() else None,
            }
        )
    return examples
