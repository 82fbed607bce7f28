"""The workflows on GitHub are valid, and have few permissions: one runs what .ci/run does, one publishes a release."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.processes import clean_environment, lint
from tests.packaging.distributions import PROJECT

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.iterdir())
CI: dict[Any, Any] = yaml.safe_load((FOLDER / "ci.yml").read_text(encoding="utf-8"))
RELEASE: dict[Any, Any] = yaml.safe_load((FOLDER / "release.yml").read_text(encoding="utf-8"))
JOBS = RELEASE["jobs"]
STEPS = [step for workflow in (CI, RELEASE) for job in workflow["jobs"].values() for step in job.get("steps", [])]


def step_of(job: str, text: str) -> dict[str, Any]:
    """Return the only step of a job of the release whose action or script contains ``text``."""
    [step] = [step for step in JOBS[job]["steps"] if text in step.get("uses", "") + step.get("run", "")]
    return dict(step)


def by_version(workflow: str) -> str:
    """Return the workflow with major versions of its actions: actionlint knows the inputs of many, but of no commit."""
    return re.sub(r"(uses: \S+@)[0-9a-f]{40} # (v\d+)\S*", r"\1\2", workflow)


def run(script: str, folder: Path, variables: dict[str, str]) -> int:
    """Run a script of a workflow as GitHub does; return its status."""
    environment = clean_environment(variables)
    return subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environment, check=False).returncode


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_github_accepts_the_workflow(path: Path) -> None:
    assert lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)) == ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_actionlint_accepts_the_workflow(path: Path) -> None:
    """It gives the scripts of the steps to shellcheck."""
    assert lint("actionlint", str(path)) == ""
    assert lint("actionlint", "-", text=by_version(path.read_text(encoding="utf-8"))) == ""


@pytest.mark.parametrize(
    ("text", "broken", "finding"),
    [
        ("steps.image.outputs.digest", "steps.picture.outputs.digest", "expression"),
        ("needs: [test, build]", "needs: [tests, build]", "job-needs"),
        ("packages: write", "package: write", "permissions"),
        ("build-contexts:", "build-context:", "action"),
    ],
)
def test_actionlint_reports_a_fault(text: str, broken: str, finding: str) -> None:
    workflow = (FOLDER / "release.yml").read_text(encoding="utf-8")
    assert text in workflow
    assert f"[{finding}]" in lint("actionlint", "-", text=by_version(workflow.replace(text, broken)))


def test_shellcheck_reports_a_fault_in_a_step() -> None:
    assert "SC2086" in lint("shellcheck", "-", text="#!/bin/sh\necho $1\n")
    workflow = (FOLDER / "release.yml").read_text(encoding="utf-8")
    assert 'test "$TAG" =' in workflow
    assert "[shellcheck]" in lint("actionlint", "-", text=workflow.replace('test "$TAG" =', "test $TAG ="))


def test_the_schema_refuses_a_fault(tmp_path: Path) -> None:
    workflow = (FOLDER / "ci.yml").read_text(encoding="utf-8").replace("timeout-minutes", "timeout_minutes")
    (tmp_path / "ci.yml").write_text(workflow, encoding="utf-8")
    assert lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(tmp_path / "ci.yml"))


def test_shellcheck_accepts_the_script() -> None:
    assert lint("shellcheck", str(ROOT / ".ci" / "run")) == ""


def test_github_accepts_the_list_of_what_is_kept_up_to_date() -> None:
    path = ROOT / ".github" / "dependabot.yml"
    assert lint("check-jsonschema", "--builtin-schema", "vendor.dependabot", str(path)) == ""
    for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["updates"]:
        for folder in entry.get("directories", [entry.get("directory")]):
            assert (ROOT / folder.strip("/")).is_dir()


def test_the_workflow_runs_the_script_on_each_push_and_pull_request_and_before_a_release() -> None:
    assert [step["run"] for step in CI["jobs"]["test"]["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    # YAML 1.1 reads the key "on" as true. Tags are left to the release, which calls this workflow.
    assert CI[True] == {"push": {"branches": ["**"]}, "pull_request": None, "workflow_call": None}
    assert JOBS["test"]["uses"] == "./.github/workflows/ci.yml"
    assert RELEASE[True] == {"push": {"tags": ["v*"]}}


def test_where_there_is_an_engine_every_container_must_become_healthy() -> None:
    profiles = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"].values()
    commands = [step["run"] for step in CI["jobs"]["containers"]["steps"] if "docker compose" in step.get("run", "")]
    for name in {name for service in profiles for name in service.get("profiles", [])}:
        assert all(f"--profile {name} " in command for command in commands)
    assert "--wait " in commands[0]


def test_each_job_has_only_the_permissions_that_it_needs_and_a_timeout() -> None:
    assert CI["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in CI["jobs"].values())
    assert RELEASE["permissions"] == {}
    signs = {"id-token": "write", "attestations": "write"}
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "test": {"contents": "read"},
        "build": {"contents": "read", **signs},
        "image": {"contents": "read", "packages": "write", **signs},
        "pypi": {"id-token": "write"},
        "notes": {"contents": "write"},
    }
    assert all(job["timeout-minutes"] <= 60 for job in [*CI["jobs"].values(), *JOBS.values()] if "steps" in job)
    secrets = [name for path in FILES for name in re.findall(r"secrets\.(\w+)", path.read_text(encoding="utf-8"))]
    assert secrets == ["GITHUB_TOKEN"]


def test_every_action_is_pinned_to_a_commit_and_leaves_no_credentials_behind() -> None:
    """One commit for each action; the comment names its version."""
    lines = [line for path in FILES for line in re.findall(r"uses: ([\w-]+/.+)", path.read_text(encoding="utf-8"))]
    assert len(lines) == sum("uses" in step for step in STEPS)
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line) for line in lines)
    assert len({line.partition("@")[0] for line in lines}) == len(set(lines))
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)


def test_the_wheel_is_built_once_and_everything_published_has_it() -> None:
    """Nothing is published before all tests have passed."""
    builds = [step["run"] for job in JOBS.values() for step in job.get("steps", []) if " build " in step.get("run", "")]
    assert builds == ["python -m hatchling build -d dist"]
    assert {name: job.get("needs", []) for name, job in JOBS.items()} == {
        "test": [],
        "build": [],
        "image": ["test", "build"],
        "pypi": ["image"],
        "notes": ["pypi"],
    }
    assert step_of("build", "upload-artifact")["with"]["name"] == "dist"
    for job in ("image", "pypi", "notes"):
        assert step_of(job, "download-artifact")["with"] == {"name": "dist", "path": "dist"}


def test_the_image_is_for_both_platforms_with_sbom_and_signed_provenance() -> None:
    """It takes the wheel instead of the Dockerfile's stage of that name."""
    options = step_of("image", "build-push-action")["with"]
    assert options["build-contexts"] == "wheel=dist"
    assert options["platforms"] == "linux/amd64,linux/arm64"
    assert (options["sbom"], options["provenance"], options["push"]) == (True, "mode=max", True)
    assert step_of("image", "setup-qemu")["with"]["platforms"] == "arm64"
    assert "steps.image.outputs.digest" in step_of("image", "actions/attest@")["with"]["subject-digest"]
    assert step_of("build", "actions/attest@")["with"]["subject-path"] == "dist/*"


@pytest.mark.parametrize(
    ("tag", "heading", "passes"),
    [
        (f"v{PROJECT['version']}", f"{PROJECT['version']} - 2026-12-01", True),
        ("v99.0.0", f"{PROJECT['version']} - 2026-12-01", False),
        (f"v{PROJECT['version']}", "Unreleased", False),
    ],
)
def test_only_the_tag_of_the_version_in_the_changelog_is_released(
    tag: str, heading: str, passes: bool, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n", encoding="utf-8")
    status = run(step_of("build", "tomllib")["run"], tmp_path, {"TAG": tag})
    assert (status == 0) is passes


def test_the_release_shows_its_part_of_the_changelog(tmp_path: Path) -> None:
    script, command = step_of("notes", "gh release")["run"].strip().splitlines()
    assert command.startswith('gh release create "$TAG" --verify-tag')
    text = "# Changelog\n\n## Unreleased\n\n- c\n\n## 1.1.0 - 2026-12-01\n\n### Added\n\n- b\n\n"
    text += "## 1.0.0 - 2026-11-01\n\n- a\n"
    (tmp_path / "CHANGELOG.md").write_text(text, encoding="utf-8")
    assert run(script, tmp_path, {"TAG": "v1.1.0"}) == 0
    assert (tmp_path / "notes.md").read_text(encoding="utf-8") == "\n### Added\n\n- b\n\n"
