"""Settings that may hold a password can be read from files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.config.environment import SECRETS, SettingsError, masked, read_settings, sources
from gateway.config.secret_files import MAX_BYTES
from gateway.config.settings import Settings, variable

URL = "redis://:s3cret@cache:6379"


def faults_of(environment: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read_settings(environment)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("content", [URL, f"{URL}\n", f"\ufeff {URL}\r\n"])
def test_the_value_is_the_files_text(tmp_path: Path, content: str) -> None:
    file = tmp_path / "url"
    file.write_text(content, encoding="utf-8", newline="")
    environment = {"GATEWAY_CACHE_URL_FILE": str(file)}
    assert read_settings(environment).cache_url == URL
    assert sources(environment, {})["cache_url"] == "file"


def test_every_setting_whose_url_may_hold_a_password_has_a_file(tmp_path: Path) -> None:
    """A setting that is masked somewhere, and no other."""
    file = tmp_path / "value"
    for name in Settings.model_fields:
        value = {"cache_url": URL, "upstream_proxy": "http://user:s3cret@proxy:3128"}.get(name, "x")
        file.write_text(value)
        if name in SECRETS:
            assert getattr(read_settings({f"{variable(name)}_FILE": str(file)}), name) == value
            assert "s3cret" not in masked(value)
        else:
            assert f"{variable(name)}_FILE: no such setting" in faults_of({f"{variable(name)}_FILE": str(file)})[0]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "the file cannot be read: no such file or directory"),
        (b"", "the file cannot be read: it is empty"),
        (b" \n", "the file cannot be read: it is empty"),
        (b"\xff", "the file cannot be read: it is not text in UTF-8"),
        (b"x" * (MAX_BYTES + 1), f"the file cannot be read: it has more than {MAX_BYTES} bytes"),
    ],
)
def test_a_file_that_cannot_be_used_prevents_the_start(tmp_path: Path, content: bytes | None, fault: str) -> None:
    file = tmp_path / "url"
    if content is not None:
        file.write_bytes(content)
    assert faults_of({"GATEWAY_CACHE_URL_FILE": str(file)}) == [f"GATEWAY_CACHE_URL_FILE: {fault}"]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("text", ["s3cret-of-the-proxy", "s3cret:8080", "user:s3cret@proxy"])
def test_a_password_alone_is_refused_and_not_shown(tmp_path: Path, name: str, text: str) -> None:
    """It could be taken for a host name."""
    (tmp_path / "password").write_text(text)
    variable_name = f"{variable(name)}_FILE"
    assert faults_of({variable_name: str(tmp_path / "password")}) == [
        f"{variable_name}: write the file's text as a URL, with a scheme, ://, and a host"
    ]


def test_a_file_may_switch_the_proxy_off(tmp_path: Path) -> None:
    (tmp_path / "proxy").write_text("off\n")
    assert read_settings({"GATEWAY_UPSTREAM_PROXY_FILE": str(tmp_path / "proxy")}).upstream_proxy == "off"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert faults_of({"GATEWAY_CACHE_URL_FILE": str(tmp_path)}) == [
        "GATEWAY_CACHE_URL_FILE: the file cannot be read: is a directory"
    ]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert faults_of({"GATEWAY_CACHE_URL_FILE": str(tmp_path / "pipe")}) == [
        "GATEWAY_CACHE_URL_FILE: the file cannot be read: it is not a regular file"
    ]


def test_variable_and_file_together_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL)
    assert faults_of({"GATEWAY_CACHE_URL": "memory://", "GATEWAY_CACHE_URL_FILE": str(tmp_path / "url")}) == [
        "GATEWAY_CACHE_URL_FILE: GATEWAY_CACHE_URL is set too; remove one of them"
    ]


def test_an_invalid_value_in_a_file_is_named_without_being_shown(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("ftp://:s3cret@cache")
    (fault,) = faults_of({"GATEWAY_CACHE_URL_FILE": str(tmp_path / "url")})
    assert fault.startswith("GATEWAY_CACHE_URL: set it to `memory://`")
    assert "s3cret" not in fault
