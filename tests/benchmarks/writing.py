"""The files of a run."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.benchmarks.chart import chart
from tests.benchmarks.report import markdown
from tests.benchmarks.results import Results
from tests.benchmarks.verdicts import verdicts


def write(results: Results, folder: Path) -> None:
    """``results.json`` with all figures and verdicts, ``results.md``, and ``chart.svg`` of the main cases."""
    folder.mkdir(parents=True, exist_ok=True)
    found = results.as_json() | {
        "verdicts": [
            {"path": one.path, "aim": one.demand, "bound": one.bound, "found": one.found, "verdict": one.word}
            for one in verdicts(results)
        ]
    }
    text = msgspec.json.format(msgspec.json.encode(found), indent=1)
    (folder / "results.json").write_bytes(text + b"\n")
    (folder / "results.md").write_text(markdown(results), encoding="utf-8")
    if drawing := chart(results):
        (folder / "chart.svg").write_text(drawing, encoding="utf-8")
