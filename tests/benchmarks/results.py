"""The results of a run, with machine, versions and date."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.capacity import SecondLook, SlowExport
from tests.benchmarks.contenders import PEERS_FOLDER
from tests.benchmarks.csv_export import CsvExport
from tests.benchmarks.fairness import Fairness
from tests.benchmarks.growth import Growth
from tests.benchmarks.interference import Interference
from tests.benchmarks.measurements import Series, ratio
from tests.benchmarks.memory import Memory
from tests.benchmarks.views import Views

_PACKAGES = ("strawberry-graphql", "graphql-core", "starlette", "uvicorn", "uvloop", "httpx", "msgspec")
_NODE_PEERS = ("mercurius", "graphql-yoga", "graphql-jit", "graphql")
# Names in the report, and npm packages.
_PEERS = {name: name for name in _NODE_PEERS} | {"tailcall": "@tailcallhq/core-linux-x64-gnu"}


@dataclass(slots=True)
class Results:
    """All measurements; parts that were left out are empty."""

    cases: dict[str, dict[str, Series]] = field(default_factory=dict)
    beside: dict[str, Interference] = field(default_factory=dict)
    growth: list[Growth] = field(default_factory=list)
    memory: Memory | None = None
    second_look: SecondLook | None = None
    slow_export: SlowExport | None = None
    fairness: Fairness | None = None
    csv: CsvExport | None = None
    views: Views | None = None
    peak_memory_bytes: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    date: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())
    machine: dict[str, Any] = field(default_factory=lambda: machine())
    versions: dict[str, str] = field(default_factory=lambda: versions())

    def series(self, case: str, contender: str) -> Series | None:
        """Return one contender's rounds of a case; None if it was not measured."""
        return self.cases.get(case, {}).get(contender)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values, with every case's medians and quartiles."""
        return {
            "date": self.date,
            "machine": self.machine,
            "versions": self.versions,
            "cases": {name: _case(rows) for name, rows in self.cases.items()},
            "beside": self.beside,
            "growth": self.growth,
            "memory": self.memory,
            "second_look": self.second_look,
            "slow_export": self.slow_export,
            "fairness": self.fairness,
            "csv": self.csv,
            "views": self.views,
            "peak_memory_bytes": self.peak_memory_bytes,
            "notes": self.notes,
        }


def _case(rows: Mapping[str, Series]) -> dict[str, Any]:
    names = ("p50_ms", "p99_ms", "requests_per_second")
    first = next(iter(rows.values()))
    return {
        contender: {
            **{name: series.figure(name) for name in names},
            "p50_times_first": ratio(series, first, "p50_ms"),
            "cpu_ms_per_request": series.cpu_ms,
            "requests": sum(sample.requests for sample in series.samples),
            "reply_bytes": series.samples[0].reply_bytes,
        }
        for contender, series in rows.items()
    }


def machine() -> dict[str, Any]:
    """Return model and number of processors, and the system."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "system": f"{platform.system()} {platform.machine()}"}


def versions() -> dict[str, str]:
    """Return the versions of everything that is measured."""
    numbers = {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
    manifests = {name: PEERS_FOLDER / "node_modules" / package / "package.json" for name, package in _PEERS.items()}
    installed = {name: json.loads(path.read_text())["version"] for name, path in manifests.items() if path.exists()}
    if installed:
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
        installed = {"node": node} | installed
    # Some numbers begin with a "v".
    return numbers | {name: number.removeprefix("v") for name, number in installed.items()}
