"""The pictures of README and docs are screenshots of the browser tests, small enough to load at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.png"))
BROWSER_TESTS = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "browser").glob("test_*.py"))
MAX_BYTES = 150_000


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: str(path.stem))
def test_a_browser_test_makes_each_picture_of_the_page(picture: Path) -> None:
    """The name may have a parameter, such as "dark", at its end."""
    start = picture.stem.rpartition("-")[0]
    names = re.findall(r"screenshot\(f?\"([\w-]+)", BROWSER_TESTS)
    assert picture.stem in names or f"{start}-" in names
    assert f"pictures/{picture.name}" in (ROOT / "docs" / "graphiql.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("picture", [*PICTURES, ROOT / ".github" / "screenshot.png"], ids=lambda path: str(path.stem))
def test_pictures_are_small(picture: Path) -> None:
    assert picture.stat().st_size <= MAX_BYTES
