"""Run the stories: each Markdown file of this folder is one.

Its fenced blocks are steps, in order. ``graphql TOKEN`` sends an operation, ``json`` is the whole answer. ``upstream``
lists the upstream requests since the last such block, one per line with their number. A block ``settings`` before the
first operation contains settings of the gateway. ``…`` in an answer stands for any text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

STORIES = sorted(Path(__file__).parent.glob("*.md"))
_FENCE = re.compile(r"^```(\w+) ?(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_story(story: Path, start_gateway: Any, upstream: Any) -> None:
    """Compare a story's answers and upstream requests with the actual ones."""
    steps = _FENCE.findall(story.read_text(encoding="utf-8"))
    assert {"graphql", "upstream"} <= {kind for kind, _, _ in steps}
    settings = "\n".join(body for kind, _, body in steps if kind == "settings")
    gateway = start_gateway(**dict(line.split("=", 1) for line in settings.lower().replace("gateway_", "").split()))
    before = len(upstream.calls)
    answer: dict[str, Any] = {}
    for kind, token, body in steps:
        if kind == "graphql":
            answer = gateway.ask(body, f"{token}+as={story.stem}" if token else None)
        elif kind == "json":
            assert _matches(json.loads(body), answer), json.dumps(answer, indent=2)
        elif kind == "upstream":
            calls = upstream.calls[before:]
            before = len(upstream.calls)
            hits = Counter(f"{call.path}?{call.query_string}" for call in calls)
            assert [f"{count} x GET {target}" for target, count in hits.items()] == body.split("\n")[:-1]


def _matches(expected: Any, actual: Any) -> bool:
    if expected == "…":
        return isinstance(actual, str)
    if isinstance(expected, dict):
        return (
            isinstance(actual, dict)
            and expected.keys() == actual.keys()
            and all(_matches(expected[k], actual[k]) for k in expected)
        )
    if isinstance(expected, list):
        return isinstance(actual, list) and len(expected) == len(actual) and all(map(_matches, expected, actual))
    return bool(expected == actual)
