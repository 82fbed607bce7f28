"""Manifests of trusted documents at startup: all problems are reported at once, and a bad one prevents startup."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.composition import build
from gateway.config.environment import SettingsError, read_settings
from gateway.config.manifest import read_manifest
from tests.gateway.cli.test_main import run

GOOD = "{ licenseDeployments { totalCount } }"
NAME = "GATEWAY_TRUSTED_DOCUMENTS: "
APOLLO = {"format": "apollo-persisted-query-manifest", "version": 1}


def written(folder: Path, content: Any) -> str:
    path = folder / "manifest.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return str(path)


def faults_of(path: str) -> list[str]:
    """Return the lines of the error message about an invalid manifest, whichever step of the startup raises it."""
    with pytest.raises(SettingsError) as caught:
        build(read_settings({"GATEWAY_TRUSTED_DOCUMENTS": path}))
    return str(caught.value).splitlines()


def fault_of(path: str) -> str:
    (fault,) = faults_of(path)
    assert fault.startswith(NAME)
    return fault.removeprefix(NAME)


@pytest.mark.parametrize("path", ["/nothing/manifest.json", "", "/"])
def test_an_unreadable_file_is_reported(path: str) -> None:
    """An empty path is an error too: treating it as unset would allow all operations."""
    assert fault_of(path).startswith("the file cannot be read (")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff{}", b"[" * 100_000, b'{"a": "{ x }"} more'])
def test_a_file_that_is_not_json_is_reported(tmp_path: Path, content: bytes) -> None:
    assert fault_of(written(tmp_path, content)) == "the file is not JSON in UTF-8"


@pytest.mark.parametrize("content", [[], "text", 1, None, [{"id": "a", "body": GOOD}]])
def test_a_file_of_another_structure_is_reported(tmp_path: Path, content: Any) -> None:
    assert fault_of(written(tmp_path, content)).startswith("the file is neither an object")


@pytest.mark.parametrize("content", [{}, {**APOLLO, "operations": []}])
def test_a_manifest_without_documents_is_an_error(tmp_path: Path, content: Any) -> None:
    assert "nothing could run" in fault_of(written(tmp_path, content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "format"),
        ({"format": "another"}, "format"),
        ({"operations": {}}, "'operations'"),
        ({"operations": ["a"]}, "'operations'"),
        ({"operations": None}, "'operations'"),
    ],
)
def test_an_unknown_form_of_apollos_manifest_is_reported(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    assert message in fault_of(written(tmp_path, {**APOLLO, "operations": [{"id": "a", "body": GOOD}], **changes}))


def test_the_problems_of_all_entries_are_reported_at_once(tmp_path: Path) -> None:
    other = hashlib.sha256(b"another text").hexdigest()
    operations = [
        {"id": "good", "body": GOOD},
        {"body": GOOD},
        {"id": "", "body": GOOD},
        {"id": 5, "body": GOOD},
        {"id": "no-body"},
        {"id": "blank", "body": " "},
        {"id": "good", "body": "{ __typename }"},
        {"id": other, "body": GOOD},
        {"id": f"sha256:{other}", "body": GOOD},
        {"id": "sha256:short", "body": GOOD},
    ]
    faults = faults_of(written(tmp_path, {**APOLLO, "operations": operations}))
    assert [fault.removeprefix(NAME).split(": ")[0] for fault in faults[:6]] == [
        "document null",
        'document ""',
        "document 5",
        'document "no-body"',
        'document "blank"',
        'document "good"',
    ]
    assert all("is not the SHA-256 of its text" in fault for fault in faults[6:])
    assert len(faults) == 9


def test_duplicate_documents_are_allowed(tmp_path: Path) -> None:
    operations = [{"id": "a", "body": GOOD}, {"id": "a", "body": GOOD}, {"id": "b", "body": GOOD}]
    path = written(tmp_path, {**APOLLO, "operations": operations})
    assert read_manifest(path) == {"a": GOOD, "b": GOOD}


def test_every_document_is_checked_against_schema_and_limits(tmp_path: Path) -> None:
    """The message has one short line per document, even if that has many errors or contains line breaks."""
    faults = faults_of(
        written(
            tmp_path,
            {
                "good": GOOD,
                "parse": '{ """a\nb""" }',
                "schema": "{ nothing nobody }",
                "limits": "{" + "a: __typename " * 40 + "}",
                "fragment": "fragment F on LicenseDeployment { channel }",
                "mutation": "mutation { change }",
                "i" * 500: "{",
            },
        )
    )
    assert all(fault.startswith(f"{NAME}document ") for fault in faults)
    message = "\n".join(faults)
    for name in ("parse", "schema", "limits", "fragment", "mutation"):
        assert f'document "{name}": ' in message
    assert len(faults) == 6
    assert max(map(len, faults)) < 300


def test_introspection_in_a_manifest_needs_introspection(tmp_path: Path) -> None:
    path = written(tmp_path, {"schema": "{ __schema { queryType { name } } }"})
    build(read_settings({"GATEWAY_TRUSTED_DOCUMENTS": path}))
    with pytest.raises(SettingsError, match='document "schema": '):
        build(read_settings({"GATEWAY_TRUSTED_DOCUMENTS": path, "GATEWAY_INTROSPECTION": "off"}))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_invalid_document_prevents_startup(tmp_path: Path, workers: str) -> None:
    path = written(tmp_path, {"a": "{ nothing }", "b": "{"})
    done = run("serve", "--port", "0", "--workers", workers, GATEWAY_TRUSTED_DOCUMENTS=path)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "Error: Invalid settings:"
    assert [line.partition(": document ")[0] for line in lines[1:]] == [NAME.removesuffix(": ")] * 2


def test_problems_of_the_file_and_of_other_settings_are_reported_together(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": 1, "b": ""})
    done = run("serve", GATEWAY_TRUSTED_DOCUMENTS=path, GATEWAY_PORT="eight")
    assert done.returncode == 1
    names = [line.partition(": ")[0] for line in done.stderr.splitlines()[1:]]
    assert names == ["GATEWAY_PORT", "GATEWAY_TRUSTED_DOCUMENTS", "GATEWAY_TRUSTED_DOCUMENTS"]


def test_the_settings_command_shows_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": GOOD})
    assert (
        f"GATEWAY_TRUSTED_DOCUMENTS={path}  (default none; from environment)"
        in run("settings", GATEWAY_TRUSTED_DOCUMENTS=path).stdout
    )
    assert "GATEWAY_TRUSTED_DOCUMENTS=  (default none; from default)" in run("settings").stdout
