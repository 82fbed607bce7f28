"""Environment variables of libraries: every one is known, and those that break a promise are refused."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.config.environment import SettingsError, read_settings
from gateway.config.library_variables import LIBRARY_VARIABLES, Handling, switch_faults
from tests.gateway.running import Running, environment, kill

# For each refused variable, a value with an effect and one without.
SWITCHES: dict[str, tuple[str, str | None]] = {
    "AIOCACHE_DISABLE": ("1", "0"),
    "PROMETHEUS_MULTIPROC_DIR": ("", None),
    "prometheus_multiproc_dir": ("/tmp", None),
    "SSLKEYLOGFILE": ("/dev/null", ""),
    "PYTHONHASHSEED": ("0", "random"),
    "PYTHONINTMAXSTRDIGITS": ("0", "4300"),
    "PYTHON_ZSTANDARD_IMPORT_POLICY": ("cffi", "default"),
    "PYDANTIC_SETTINGS_DEBUG": ("true", "0"),
}

# The libraries of pyproject.toml's dependencies and of the extra `token`, without their development servers.
LIBRARIES = (
    "aiocache", "anyio", "brotli", "click", "cryptography", "graphql", "h11", "httpcore", "httptools", "httpx", "msal",
    "msgspec", "prometheus_client", "pydantic", "pydantic_settings", "redis", "sniffio", "starlette",
    "starlette_compress", "strawberry", "structlog", "uvicorn", "uvloop", "zstandard",
)  # fmt: skip

# Read only by code that the gateway never runs: other programs, terminals, shells, and flows of applications.
UNREACHED = {
    "AZUREPS_HOST_ENVIRONMENT", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "BROWSER", "CLIENT_ID", "CLIENT_SECRET",
    "COMP_CWORD", "COMP_WORDS", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT",
    "LESS", "MSAL_FORCE_REGION", "MSI_ENDPOINT", "MSI_SECRET", "MY_MANAGED_IDENTITY_CONFIG", "PAGER", "REGION_NAME",
    "TERM", "XDG_CONFIG_HOME",
}  # fmt: skip

READ = re.compile(
    r"""(?:os\.environ(?:\.get|\.pop|\.setdefault)?[\[(]|getenv\()\s*["'](\w+)["']|["'](\w+)["'] in os\.environ"""
)
NAMED = re.compile(r"""^_?[A-Z_]*ENV_VAR\w* = ["']([A-Z_]+)["']""", re.MULTILINE)


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *arguments]
    return subprocess.run(command, env=environment(**variables), capture_output=True, text=True, check=False)


def files_of(library: str) -> Iterator[Path]:
    """Yield a library's source files; a library of the extras may be missing."""
    spec = importlib.util.find_spec(library)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in Path(folder).rglob("*.py"):
            if not {"cli", "django", "testing.py", "wsgi.py", "v1"} & set(path.parts):
                yield path


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_variable_of_a_library_is_known(library: str) -> None:
    """A new version may read a new variable: decide what the gateway does about it."""
    known = {name for one in LIBRARY_VARIABLES for name in one.names} | UNREACHED
    texts = [path.read_text(encoding="utf-8") for path in files_of(library)]
    read = {name for text in texts for match in READ.findall(text) for name in match if name}
    read |= {name for text in texts if "environ" in text for name in NAMED.findall(text)}
    assert read - known == set()


def test_every_refused_variable_has_its_tests() -> None:
    refused = {name for one in LIBRARY_VARIABLES if one.handling is Handling.REFUSED for name in one.names}
    assert refused == SWITCHES.keys()
    assert all(one.remedy for one in LIBRARY_VARIABLES if one.handling is Handling.REFUSED)


@pytest.mark.parametrize(("name", "values"), SWITCHES.items())
def test_a_value_is_refused_by_name_only_if_it_switches_something(name: str, values: tuple[str, str | None]) -> None:
    active, inactive = values
    with pytest.raises(SettingsError, match=f"^{name}: unset it"):
        read_settings({name: active})
    if inactive is not None:
        assert list(switch_faults({name: inactive})) == []


@pytest.mark.parametrize("value", ["1", "4301", "999999"])
def test_only_the_default_limit_of_digits_or_a_lower_one_is_accepted(value: str) -> None:
    assert bool(list(switch_faults({"PYTHONINTMAXSTRDIGITS": value}))) == (value != "1")


@pytest.mark.parametrize("name", SWITCHES)
def test_the_gateway_does_not_start_with_a_refused_variable(name: str) -> None:
    done = run("serve", "--port", "0", **{name: SWITCHES[name][0]})
    assert done.returncode == 1
    assert f"\n{name}: unset it. " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("export",), ("export", "--url", "https://127.0.0.1:9"), ("token",)])
def test_no_command_sends_a_token_while_keys_are_logged(command: tuple[str, ...], tmp_path: Path) -> None:
    if command == ("token",) and importlib.util.find_spec("msal") is None:
        pytest.skip("no msal")
    keys = tmp_path / "keys"
    ids = {"AZURE_CLIENT_ID": "11fa2ac0-079d-d25a-49fe-85b0834c687a", "AZURE_TENANT_ID": "contoso.onmicrosoft.com"}
    done = run(*command, PARTNER_CENTER_TOKEN="sample", SSLKEYLOGFILE=str(keys), **ids)
    assert (done.returncode, done.stdout) == (2, "")
    assert "SSLKEYLOGFILE: unset it" in done.stderr
    assert not keys.exists()


def test_help_and_schema_need_no_environment() -> None:
    variables = {name: active for name, (active, _) in SWITCHES.items() if name != "PYTHON_ZSTANDARD_IMPORT_POLICY"}
    assert run("export", "--help", **variables).returncode == 0
    assert run("schema", **variables).returncode == 0


def test_ignored_and_harmless_variables_change_no_response() -> None:
    """The proxy does not exist: a call that used it would fail."""
    values = {name: "1" for one in LIBRARY_VARIABLES if one.handling is Handling.HARMLESS for name in one.names}
    values |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"), "http://127.0.0.1:9")
    values |= {"WEB_CONCURRENCY": "3", "FORWARDED_ALLOW_IPS": "*", "PYTHONMALLOC": "debug", "NETRC": os.devnull}
    upstream = Running(("sandbox", "--port", "0"), {})
    try:
        gateway = Running(("--port", "0", "--upstream", upstream.url), values)
        try:
            response = httpx.post(
                f"{gateway.url}/graphql",
                json={"query": "{ licenseDeployments(first: 0) { totalCount } }"},
                headers={"Authorization": "Bearer sample", "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"},
                trust_env=False,
                timeout=30,
            )
            assert response.json() == {"data": {"licenseDeployments": {"totalCount": 2}}}
            children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children")
            assert not children.exists() or children.read_text() == ""
        finally:
            kill(gateway.process)
    finally:
        kill(upstream.process)
