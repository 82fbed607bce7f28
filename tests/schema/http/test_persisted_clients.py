"""Persisted queries of Apollo Client and urql, run in Node against a gateway."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.schema.http.node_packages import installed

if TYPE_CHECKING:
    from tests.conftest import StartGateway

PINS = Path(__file__).parent / "persisted-clients"


def test_apollo_client_and_urql_send_a_text_once_then_only_its_hash(start_gateway: StartGateway) -> None:
    """The first response makes them send the text, with any status and any method."""
    script = shutil.copy(PINS / "persisted.mjs", installed(PINS))
    command = ["node", str(script), f"{start_gateway().url}/graphql", "sample"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    sys.stderr.write(done.stderr)
    results = json.loads(done.stdout)
    assert set(results) == {"Apollo by POST", "Apollo by GET", "urql by POST", "urql by GET"}
    for name, result in results.items():
        assert result["answers"] == [2, 2, 2], name
        first, second, *others = result["requests"]
        method = name.rpartition(" ")[2]
        assert first == [method, "hash", 400], name
        # Apollo always sends texts by POST, because they may be long.
        assert second == ["POST" if name.startswith("Apollo") else method, "text", 200], name
        assert others == [[method, "hash", 200]] * 2, name
