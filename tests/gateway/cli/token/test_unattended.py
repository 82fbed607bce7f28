"""Run the script from docs/authentication.md verbatim, with an imitation of the sign-in and a vault in a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.cli.token.token_command import SCOPE
from tests.gateway.cli.token.identity import CLIENT_ID, Identity, access_token, error, good, proxy
from tests.gateway.running import environment

TENANT = "fabrikam.example"
SCRIPT = Path(__file__).with_name("unattended.py")

# Azure CLI, as far as the script uses it; a secret is a file.
AZ = """#!/bin/sh
[ "$1 $2" = "keyvault secret" ] && [ "$4 $5" = "--vault-name my-vault" ] && [ "$6" = --name ] || exit 2
case "$3 $8 $9 ${10} ${11}" in
  "show --query value --output tsv") exec cat "FOLDER/$7" ;;
  "set --file /dev/stdin --encoding utf-8") exec cat /dev/stdin >"FOLDER/$7" ;;
  *) exit 2 ;;
esac
"""


class Service:
    """The script in its place."""

    def __init__(self, identity: Identity, folder: Path) -> None:
        self._identity = identity
        self.vault = folder / "vault"
        self.vault.mkdir()
        (self.vault / "partner-center-client-secret").write_text("of the app\n")
        az = folder / "az"
        az.write_text(AZ.replace("FOLDER", str(self.vault)))
        az.chmod(0o755)
        self._path = f"{folder}:/usr/bin:/bin"

    @property
    def kept(self) -> str:
        """The refresh token in the vault."""
        return (self.vault / "partner-center-refresh-token").read_text()

    def run(self, *arguments: str, **pipes: Any) -> subprocess.Popen[str]:
        """Start it behind a proxy that knows the way to Microsoft."""
        with_proxy = {"HTTPS_PROXY": pipes.pop("proxy"), "REQUESTS_CA_BUNDLE": str(self._identity.files.authority)}
        who = {"AZURE_CLIENT_ID": CLIENT_ID, "AZURE_TENANT_ID": TENANT, "VAULT": "my-vault"}
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), *arguments],
            env={**environment(**with_proxy, **who), "PATH": self._path},
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


@pytest.fixture
def service(identity: Identity, tmp_path: Path) -> Service:
    return Service(identity, tmp_path)


def test_consent_is_given_once_and_the_newest_refresh_token_is_kept(identity: Identity, service: Service) -> None:
    first, second = access_token(uti="first"), access_token(uti="second")
    tenant = identity.tenant(TENANT)
    with proxy(identity) as (address, asked):
        consent = service.run("consent", proxy=address)
        assert consent.stdin is not None
        assert consent.stderr is not None
        # MSAL's own warning comes before it.
        line = next(line for line in consent.stderr if line.startswith("Sign in with MFA"))
        page = dict(parse_qsl(urlsplit(line.split(" ")[-1].strip()).query))
        tenant.token = [
            good(refresh_token="refresh 1", nonce=page["nonce"]),
            good(first, refresh_token="refresh 2"),
            good(second),
        ]
        out, err = consent.communicate(f"http://localhost/?code=once&state={page['state']}\n", timeout=30)
        assert (consent.returncode, out) == (0, ""), err
        assert service.kept == "refresh 1"
        for token, kept in ((first, "refresh 2"), (second, "refresh 2")):
            run = service.run(proxy=address)
            assert run.communicate(timeout=30) == (f"{token}\n", "")
            assert service.kept == kept
    assert (page["client_id"], SCOPE in page["scope"].split()) == (CLIENT_ID, True)
    assert "offline_access" in page["scope"].split()
    redeemed, *renewed = (call.form for call in tenant.calls_of("token"))
    assert (redeemed["grant_type"], redeemed["code"]) == ("authorization_code", "once")
    assert [form["refresh_token"] for form in renewed] == ["refresh 1", "refresh 2"]
    assert all(form["client_secret"] == "of the app" for form in (redeemed, *renewed))
    assert set(asked) == {"login.microsoftonline.com:443"}


def test_a_refresh_token_that_no_longer_counts_is_told_and_kept(identity: Identity, service: Service) -> None:
    """Ninety days unused, or a password that changed: consent is due again."""
    identity.tenant(TENANT, error("invalid_grant", 700082))
    (service.vault / "partner-center-refresh-token").write_text("refresh 1")
    with proxy(identity) as (address, _):
        run = service.run(proxy=address)
        out, err = run.communicate(timeout=30)
    assert (run.returncode, out, service.kept) == (1, "", "refresh 1")
    assert err.startswith("AADSTS700082")
