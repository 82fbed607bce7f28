"""Each Markdown file of this folder is a story, and this runs it.

Its fenced blocks are steps, in order: ``graphql TOKEN`` asks, ``json`` is the whole answer, and ``upstream`` lists the
requests that reached the upstream since the last such block, one a line with the number of hits. A block
``settings`` before the first question holds the gateway's settings. ``…`` in an answer stands for any text.
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
    """A story's answers and upstream requests are as written."""
    steps = _FENCE.findall(story.read_text(encoding="utf-8"))
    assert {"graphql", "upstream"} <= {kind for kind, _, _ in steps}
    settings = "\n".join(body for kind, _, body in steps if kind == "settings")
    gateway = start_gateway(**dict(line.split("=", 1) for line in settings.lower().replace("gateway_", "").split()))
    before = len(upstream.calls)
    reply: dict[str, Any] = {}
    for kind, token, body in steps:
        if kind == "graphql":
            reply = gateway.ask(body, f"{token}+as={story.stem}" if token else None)
        elif kind == "json":
            assert _alike(json.loads(body), reply), json.dumps(reply, indent=2)
        elif kind == "upstream":
            made = upstream.calls[before:]
            before = len(upstream.calls)
            hits = Counter(f"{call.path}?{call.query_string}" for call in made)
            assert [f"{count} x GET {target}" for target, count in hits.items()] == body.split("\n")[:-1]


def _alike(wanted: Any, found: Any) -> bool:
    if wanted == "…":
        return isinstance(found, str)
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and wanted.keys() == found.keys()
            and all(_alike(wanted[k], found[k]) for k in wanted)
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(_alike, wanted, found))
    return bool(wanted == found)
