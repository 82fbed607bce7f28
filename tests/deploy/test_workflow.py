"""The workflow on GitHub is valid, and runs what .ci/run does, with few permissions."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.processes import PROGRAMS

ROOT = Path(__file__).parents[2]
PATH = ROOT / ".github" / "workflows" / "ci.yml"
WORKFLOW: dict[Any, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))


def test_github_accepts_the_workflow() -> None:
    command = [str(PROGRAMS / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(PATH)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_runs_the_script_on_each_push_and_pull_request() -> None:
    [job] = WORKFLOW["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    # YAML 1.1 reads the key "on" as true.
    assert set(WORKFLOW[True]) == {"push", "pull_request"}


def test_the_workflow_token_is_read_only_and_jobs_have_a_timeout() -> None:
    [job] = WORKFLOW["jobs"].values()
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "permissions" not in job
    assert job["timeout-minutes"] == 60
