"""Output files of a run."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.benchmarks.chart import chart
from tests.benchmarks.report import markdown
from tests.benchmarks.results import Results
from tests.benchmarks.targets import targets


def write_results(results: Results, folder: Path) -> None:
    """Write ``results.json``, ``results.md``, and ``chart.svg`` of the main cases into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    content = results.as_json() | {
        "verdicts": [
            {
                "path": target.path,
                "aim": target.requirement,
                "bound": target.bound,
                "found": target.measured,
                "verdict": target.verdict,
            }
            for target in targets(results)
        ]
    }
    text = msgspec.json.format(msgspec.json.encode(content), indent=1)
    (folder / "results.json").write_bytes(text + b"\n")
    (folder / "results.md").write_text(markdown(results), encoding="utf-8")
    if drawing := chart(results):
        (folder / "chart.svg").write_text(drawing, encoding="utf-8")
